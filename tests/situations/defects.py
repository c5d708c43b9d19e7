"""What goes wrong on gevent's pool, and must not here."""

from __future__ import annotations

PROGRAMS = {
    "a signal handler that calls `spawn()` wherever the signal comes": """
pool = ThreadPool(10000)
pool.size = 2
count = [0]
def handler(*_):
    count[0] += 1
    pool.spawn(int)
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
for _ in range(3000):
    pool.spawn(int).get()
signal.setitimer(signal.ITIMER_REAL, 0)
pool.join()
check(count[0] > 0, "no signal came")
""",
    "a pool in a child of `os.fork()`": """
pool = ThreadPool(1)
pool.apply(int)
status = in_child(os.fork, lambda: pool.spawn(abs, -1).get(timeout=3))
check(status == 0, "the child's task is lost")
""",
    "a pool in a child of `gevent.os.fork()`": """
pool = ThreadPool(1)
pool.apply(int)
status = in_child(gevent.os.fork, lambda: pool.spawn(abs, -1).get(timeout=3))
check(status == 0, "the child's task is lost")
""",
    "`idle_task_timeout` after a fork": """
pool = ThreadPool(1, idle_task_timeout=0.05)
pool.apply(int)
def child():
    pool.apply(int)
    with gevent.Timeout(2):
        while pool.size:
            gevent.sleep(0.01)
check(in_child(gevent.os.fork, child) == 0, "the child's threads stay for ever")
""",
    "several greenlets that submit to a full executor": """
executor = ThreadPoolExecutor(1)
greenlets = [gevent.spawn(lambda: executor.submit(time.sleep, 0.001).result()) for _ in range(20)]
check(len(gevent.joinall(greenlets, timeout=20)) == 20, "they wait for ever")
""",
    "a `spawn()` that fails for want of a thread": """
pool, ran = ThreadPool(1), []
threading.stack_size(1 << 46)
try:
    pool.spawn(ran.append, "failed")
except RuntimeError:
    pass
threading.stack_size(0)
pool.apply(ran.append, ("made",))
gevent.sleep(0.05)
check(ran == ["made"], "what failed runs later all the same")
""",
    "an error that its caller catches": """
pool = ThreadPool(1, report_errors="never")
try:
    pool.apply(int, ("x",))
except ValueError:
    pass
""",
    "`sys.exit()` in a task": """
pool = ThreadPool(1, report_errors="never")
result = pool.spawn(sys.exit, 3)
result.wait()
gevent.sleep(0.01)
check(isinstance(result.exception, SystemExit), "no SystemExit in the result")
""",
    "a context variable that a task sets": """
import contextvars
variable = contextvars.ContextVar("variable", default="unset")
pool = ThreadPool(1)
pool.apply(variable.set, ("set",))
check(pool.apply(variable.get) == "unset", "the next task sees it")
""",
    "an executor's `initializer`": """
ran = []
executor = ThreadPoolExecutor(1, initializer=ran.append, initargs=(1,))
executor.submit(int).result()
check(ran == [1], "it is ignored")
""",
    "an executor's futures": """
future = ThreadPoolExecutor(1).submit(int)
check(isinstance(future, concurrent.futures.Future), "they are none of the standard library's")
""",
    "`cancel()` of what is queued in an executor": """
executor = ThreadPoolExecutor(1)
first, second = executor.submit(time.sleep, 0.2), executor.submit(int)
check(second.cancel() and second.cancelled(), "it cannot be cancelled")
""",
    "`exception()` of a task that failed in an executor": """
future = ThreadPoolExecutor(1).submit(int, "x")
try:
    error = future.exception()
except ValueError:
    check(False, "it raises")
check(isinstance(error, ValueError), "it does not return the exception")
""",
    "an executor's `shutdown(wait=False, cancel_futures=True)`": """
executor, ran = ThreadPoolExecutor(1), []
executor.submit(time.sleep, 0.3)
executor.submit(ran.append, 1)
start = time.monotonic()
executor.shutdown(wait=False, cancel_futures=True)
check(time.monotonic() - start < 0.2, "it waits")
time.sleep(0.4)
check(not ran, "it runs what it was to cancel")
""",
    "a pool that is dropped": """
before = threads()
pool = ThreadPool(3)
pool.map(time.sleep, [0.01] * 3)
del pool
gc.collect()
deadline = time.monotonic() + 3
while threads() > before and time.monotonic() < deadline:
    gevent.sleep(0.01)
check(threads() <= before, "its threads stay")
""",
    "an `apply()` that times out before its task has begun": """
pool, ran = ThreadPool(1), []
blocked = pool.spawn(time.sleep, 0.2)
with gevent.Timeout(0.05, False):
    pool.apply(ran.append, (1,))
blocked.get()
pool.join()
check(not ran, "the task is run for nobody")
""",
    "`join()` with a time-out": """
pool = ThreadPool(1)
pool.spawn(time.sleep, 0.3)
check(not pool.join(timeout=0.01), "it returns no answer")
check(pool.join(timeout=10), "it returns no answer")
""",
    "`kill()` of a pool with much in its queue": """
pool, ran = ThreadPool(1), []
pool.maxsize = 100
blocked = pool.spawn(time.sleep, 0.1)
pool.maxsize = 1
with gevent.Timeout(3):
    pool.kill(drop_queued=True)
""",
    "a task from another thread": """
pool, results = ThreadPool(1), []
thread = threading.Thread(target=lambda: results.append(pool.submit_threadsafe(abs, -1).result()))
thread.start()
until(lambda: results)
""",
    "a call from a task into its hub": """
pool = ThreadPool(1)
from hubpool import from_thread
hub = gevent.get_hub()
check(pool.apply(lambda: from_thread.run(gevent.get_hub)) is hub, "it runs elsewhere")
""",
    "a name to look up while all threads of the hub's pool are busy": """
import gevent.socket
gevent.config.threadpool = ThreadPool
pool, gate = gevent.get_hub().threadpool, Gate()
held = [pool.spawn(gate) for _ in range(pool.maxsize)]
with gevent.Timeout(2, False):
    found = gevent.socket.getaddrinfo("127.0.0.1", 80)
gate.open()
check("found" in globals(), "it waits for them")
""",
    "a task whose recursion has no end": """
gevent.get_hub().exception_stream = None
def deeper():
    return deeper()
with raises(RecursionError):
    ThreadPool(1).apply(deeper)
""",
    "the names of threads": """
def name():
    with open("/proc/thread-self/comm") as comm:
        return comm.read()
check(ThreadPool(1).apply(name).startswith("hubpool"), "they have none")
""",
    "`next()` of a map that has ended": """
numbers = ThreadPool(1).imap(abs, [-1])
check(list(numbers) == [1], "a wrong result")
with gevent.Timeout(3):
    check(next(numbers, None) is None, "a result from nowhere")
""",
}
