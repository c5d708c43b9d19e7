"""Python's signal handlers that use a pool, wherever the signal comes."""

from __future__ import annotations

_HANDLED = """
import pickle  # gevent imports it with the first error.
pool = ThreadPool(10000)
pool.size = 2
other = ThreadPool(2)
count, refused, wrong = [0], [0], []
def handler(*_):
    count[0] += 1
    try:
        {call}
    except gevent.exceptions.BlockingSwitchOutError:
        refused[0] += 1
    except AssertionError as error:
        # gevent says that of the hub's own greenlet, which cannot wait.
        if "Impossible to call blocking function" not in str(error):
            wrong.append(error)
        refused[0] += 1
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.001, {seconds})
deadline = time.monotonic() + 1
while time.monotonic() < deadline:
    check(pool.spawn(abs, -1).get() == 1, "a wrong result")
    check(pool.map(abs, [-1, -2]) == [1, 2], "a wrong result")
    check(pool.map(abs, iter([-1, -2])) == [1, 2], "a wrong result")
signal.setitimer(signal.ITIMER_REAL, 0)
signal.signal(signal.SIGALRM, signal.SIG_IGN)
pool.join()
other.join()
check(count[0] > 10, "no signal came")
check(not wrong, f"the handler fails: {wrong[:1]}")
use(pool)
use(other)
"""

#: Handlers that do not wait: the signal may come while the last one is handled.
_QUICK = {
    "spawn()": "pool.spawn(int)",
    "imap()": "pool.imap(abs, [-1, -2, -3])",
    "imap() of an iterator": "pool.imap(abs, iter([-1, -2, -3]))",
    "cancel()": "pool.cancel(pool.spawn(int))",
    "maxsize": "pool.maxsize = 9000 + count[0] % 1000",
}

#: Handlers that wait, which other greenlets run in the midst of. gevent's libuv loop
#: cannot bear that, whatever they wait for.
_WAITING = {
    "apply()": "assert pool.apply(abs, (-5,)) == 5",
    "map()": "assert pool.map(abs, [-1, -2, -3]) == [1, 2, 3]",
    "map() of an iterator": "assert pool.map(abs, iter([-1, -2, -3])) == [1, 2, 3]",
    "next()": "assert next(pool.imap(abs, [-1, -2, -3])) == 1",
    "kill() of another pool": "other.spawn(int); other.kill()",
}

PROGRAMS = {
    f"a handler that calls `{name}`": _HANDLED.replace("{call}", call).replace(
        "{seconds}", "0.0005"
    )
    for name, call in _QUICK.items()
}
_WAITERS = {
    f"a handler that waits in `{name}`": _HANDLED.replace("{call}", call).replace(
        "{seconds}", "0.005"
    )
    for name, call in _WAITING.items()
}
PROGRAMS |= _WAITERS
ON_LIBEV_ALONE = frozenset(_WAITERS)

_INTERRUPTED = """
gevent.get_hub().exception_stream = None
gate, pool = Gate(), ThreadPool(1)
busy = pool.spawn(gate)
gate.await_begun()
def interrupt(*_):
    raise KeyboardInterrupt
signal.signal(signal.SIGALRM, interrupt)
signal.setitimer(signal.ITIMER_REAL, 0.05)
with raises(KeyboardInterrupt):
    {wait}
gate.open()
busy.get()
use(pool)
"""

PROGRAMS |= {
    f"`KeyboardInterrupt` in `{name}`": _INTERRUPTED.replace("{wait}", wait)
    for name, wait in {
        "apply()": "pool.apply(int)",
        "get()": "busy.get()",
        "spawn()": "[pool.spawn(int) for _ in range(5)]",
        "map()": "pool.map(abs, range(5))",
        "next()": "next(pool.imap(abs, range(5)))",
        "join()": "pool.join()",
        "kill()": "pool.kill()",
    }.items()
}
