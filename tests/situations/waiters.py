"""Waiters that go away: what they waited for neither holds the pool up nor is held up."""

from __future__ import annotations

_BROKEN_OFF = """
gate, ran, pool = Gate(), [], ThreadPool(1)
busy = pool.spawn(gate, "busy")
gate.await_begun()
def wait():
    {wait}
{way}
gate.open()
busy.get()
pool.join()
check(not len(pool), "the pool does not get empty")
use(pool)
check(ran == [], "the task is run for nobody")
"""

_WAYS = {
    "a `Timeout`": """
with gevent.Timeout(0.05, False):
    wait()
    check(False, "it does not wait")
""",
    "the `kill()` of the greenlet": """
waiting = gevent.spawn(wait)
gevent.sleep(0.05)
waiting.kill()
del waiting  # With it goes what its frames refer to.
""",
}

PROGRAMS = {
    f"{way} in `{name}`": _BROKEN_OFF.replace("{wait}", wait).replace("{way}", _WAYS[way])
    for name, wait in {
        "spawn() of a full pool": "pool.spawn(abs, -1); pool.spawn(ran.append, 1)",
        "apply()": "pool.apply(ran.append, (1,))",
        "map()": "pool.map(ran.append, range(9))",
        "join()": "pool.join()",
        "get()": "busy.get()",
        "next() of imap()": "next(pool.imap(ran.append, range(9)))",
    }.items()
    for way in _WAYS
}
PROGRAMS |= {
    "a result that is dropped": """
import weakref
class Value:
    pass
pool, seen = ThreadPool(1), []
def task():
    value = Value()
    seen.append(weakref.ref(value))
    return value
for _ in range(10):
    pool.spawn(task)
pool.join()
check(until(lambda: not any(ref() for ref in seen), 2), "its value stays")
check(len(seen) == 10, "it is not run")
""",
    "an iterator that is dropped half way": """
read = []
def source():
    for number in range(10000):
        read.append(number)
        yield number
pool = ThreadPool(2)
results = pool.imap(lambda number: time.sleep(0.0005), source())
for _ in range(3):
    next(results)
del results
gc.collect()
pool.join()
so_far = len(read)
check(so_far < 10000, "the rest of its input is read")
gevent.sleep(0.05)
check(len(read) == so_far, "its input is read on")
use(pool)
""",
    "an endless map beside a greenlet that times out": """
pool = ThreadPool(2)
with gevent.Timeout(0.5, False):
    next(pool.imap(abs, iter(int, 1)))
    gevent.sleep(10)
""",
    "an iterator that is killed": """
pool, gate = ThreadPool(2), Gate()
results = pool.imap(gate, range(100))
gate.await_begun(1) if until(lambda: gate.begun, 2) else None
results.kill()
gate.open()
pool.join()
check(len(gate.ended) <= 3, "what is queued is run")
use(pool)
""",
    "`cancel()` of what is queued": """
pool, gate, ran = ThreadPool(1), Gate(), []
busy = pool.spawn(gate)
queued = pool.spawn(ran.append, 1)
gate.await_begun()
check(pool.cancel(queued), "it is not withdrawn")
check(not pool.cancel(busy), "what runs cannot be withdrawn")
gate.open()
busy.get()
with raises(Exception):
    queued.get()
pool.join()
check(ran == [], "it is run all the same")
""",
    "waiters of one result, some of which go": """
pool, gate = ThreadPool(1), Gate()
result = pool.spawn(gate, 7)
waiting = [gevent.spawn(result.get) for _ in range(10)]
gevent.sleep(0)
for greenlet in waiting[::2]:
    greenlet.kill()
gate.open()
check([greenlet.get() for greenlet in waiting[1::2]] == [7] * 5, "a waiter gets nothing")
""",
    "a future whose waiter times out": """
executor, gate = ThreadPoolExecutor(1), Gate()
future = executor.submit(gate, 7)
with raises(concurrent.futures.TimeoutError, gevent.Timeout):
    future.result(timeout=0.01)
gate.open()
check(future.result(timeout=5) == 7, "a wrong result")
""",
}
