"""Tasks that misbehave: the next one sees nothing of it."""

from __future__ import annotations

#: Where a task's error is printed by the hub, that is no sign of anything here.
_QUIET = """
gevent.get_hub().handle_error = lambda *_: None
pool = ThreadPool(1)
"""

PROGRAMS = {
    "every exception that Python has": _QUIET
    + """
import builtins
special = {
    "UnicodeDecodeError": ("utf-8", b"", 0, 1, ""), "UnicodeEncodeError": ("utf-8", "", 0, 1, ""),
    "UnicodeTranslateError": ("", 0, 1, ""), "ExceptionGroup": ("", [ValueError()]),
    "BaseExceptionGroup": ("", [ValueError()]),
}
kinds = [kind for kind in vars(builtins).values()
         if isinstance(kind, type) and issubclass(kind, BaseException)]
kinds += [gevent.GreenletExit, gevent.Timeout]
def fail(error):
    raise error
for kind in kinds:
    if kind in (StopIteration, StopAsyncIteration):
        pass
    error = kind(*special.get(kind.__name__, ()))
    result = pool.spawn(fail, error)
    result.wait(timeout=5)
    if kind is gevent.GreenletExit and result.value is error:
        continue  # gevent counts it as a value where a greenlet ends by it.
    check(result.exception is error, f"{kind.__name__} is lost")
use(pool)
""",
    "every exception, in a map": _QUIET
    + """
def fail(kind):
    raise kind
for kind in (ValueError, SystemExit, KeyboardInterrupt, gevent.GreenletExit, gevent.Timeout,
             GeneratorExit, StopIteration, MemoryError):
    for method in (pool.map, pool.imap, pool.imap_unordered):
        try:
            for _ in method(fail, [kind]):
                check(kind is gevent.GreenletExit, f"{kind.__name__} is lost")
        except kind:
            pass
        except RuntimeError:
            check(kind is StopIteration, "RuntimeError")
use(pool)
""",
    "an exception whose `__str__`, `__repr__` and `__reduce__` fail": """
class Nasty(Exception):
    def __str__(self):
        raise ZeroDivisionError
    __repr__ = __reduce__ = __reduce_ex__ = __str__
def fail():
    raise Nasty
pool = ThreadPool(1)
sys.stderr = open(os.devnull, "w")
with raises(Nasty):
    pool.apply(fail)
sys.stderr = sys.__stderr__
use(pool)
""",
    "a value whose `__del__` fails and uses the pool": """
class Nasty:
    def __del__(self):
        gone.append(pool.spawn(abs, -1))
        raise ZeroDivisionError
pool, gone, told = ThreadPool(1), [], []
sys.unraisablehook = lambda unraisable: told.append(unraisable.exc_type)
pool.apply(Nasty)
pool.spawn(Nasty)
pool.spawn(lambda nasty: None, Nasty())
pool.join()
check(until(lambda: len(told) == 3, 5), "one is not let go of")
use(pool)
""",
    "a task that uses gevent": """
hubs = lambda: sum(
    isinstance(thing, gevent.hub.Hub) and thing.loop is not None for thing in gc.get_objects())
descriptors = lambda: len(os.listdir("/proc/self/fd"))
pool = ThreadPool(2)
pool.map(abs, [1])
before = hubs(), descriptors()
def task(number):
    gevent.sleep(0.001)
    return [greenlet.get() for greenlet in [gevent.spawn(abs, -number) for _ in range(3)]]
check(pool.map(task, range(10)) == [[number] * 3 for number in range(10)], "a wrong result")
pool.kill()
gc.collect()
check(until(lambda: (hubs(), descriptors()) == before, 5), "a thread's hub outlives it")
""",
    "a task that uses its own pool, and another": """
pool, other = ThreadPool(2), ThreadPool(1)
def task():
    return pool.apply(abs, (-1,)) + other.apply(abs, (-2,))
check(pool.apply(task) == 3, "a wrong result")
def wrong():
    other.spawn(abs, -1)
from gevent.exceptions import InvalidThreadUseError
gevent.get_hub().handle_error = lambda *_: None
with raises(InvalidThreadUseError):
    pool.apply(wrong)
def own():
    inner = ThreadPool(1)
    try:
        return inner.map(abs, [-1, -2])
    finally:
        inner.kill()
check(pool.apply(own) == [1, 2], "a wrong result")
""",
    "trace and profile functions that a task leaves": """
pool, seen = ThreadPool(1), []
pool.apply(sys.settrace, (lambda *_: seen.append("trace"),))
pool.apply(sys.setprofile, (lambda *_: seen.append("profile"),))
seen.clear()
def task():
    return sys.gettrace(), sys.getprofile()
check(pool.apply(task) == (None, None), "the next task has it")
check(seen == [], "the next task is seen by it")
""",
    "an exception that a task handles as it ends": """
pool = ThreadPool(1)
def generator():
    try:
        raise ValueError
    except ValueError:
        yield
kept = []
def task():
    try:
        raise KeyError
    except KeyError:
        kept.append(generator())
        next(kept[0])
pool.apply(task)
check(pool.apply(sys.exc_info) == (None, None, None), "the next task has it")
""",
    "a callback that changes `maxsize`": """
pool, gate = ThreadPool(1), Gate()
first, second = pool.spawn(abs, -1), pool.spawn(gate)
def grow(_):
    pool.maxsize = 4
first.rawlink(grow)
first.get()
check(until(lambda: pool.maxsize == 4, 5), "the callback is not called")
others = [pool.spawn(gate) for _ in range(3)]
gate.await_begun(4)
gate.open()
gevent.joinall(others, timeout=5)
use(pool)
""",
    "a callback that calls `kill()`": """
pool, told = ThreadPool(2), []
result = pool.spawn(abs, -1)
def end(_):
    try:
        pool.kill()
        told.append("killed")
    except BaseException as error:
        told.append(type(error).__name__)
result.rawlink(end)
result.get()
check(until(lambda: told, 5), "the callback does not return")
check(told == ["killed"], told)
use(pool)
""",
    "`apply_async()` with a callback that fails": """
pool, told = ThreadPool(1), []
gevent.get_hub().handle_error = lambda *_: None
def callback(value):
    told.append(value)
    raise ZeroDivisionError
pool.apply_async(abs, (-1,), callback=callback)
check(until(lambda: told == [1], 5), "it is not called")
use(pool)
""",
    "`os._exit()` in a child that a task forks": """
pool = ThreadPool(1)
def task():
    pid = gevent.monkey.get_original("os", "fork")()
    if pid == 0:
        os._exit(7)
    return os.waitstatus_to_exitcode(gevent.monkey.get_original("os", "waitpid")(pid, 0)[1])
check(pool.apply(task) == 7, "a wrong status")
use(pool)
""",
    "a task that raises in another's thread": _QUIET
    + """
import ctypes
pool = ThreadPool(2)
def endless():
    begun.append(threading.get_ident())
    while True:
        time.sleep(0.001)
begun = []
result = pool.spawn(endless)
check(until(lambda: begun, 5), "it does not begin")
ctypes.pythonapi.PyThreadState_SetAsyncExc(
    ctypes.c_ulong(begun[0]), ctypes.py_object(ZeroDivisionError))
with raises(ZeroDivisionError):
    result.get(timeout=5)
use(pool)
""",
}
