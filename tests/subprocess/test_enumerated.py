"""What `threading` lists of a process's workers, in programs with and without gevent's patches."""

from __future__ import annotations

import pytest
from running import LOOPS, run

PATCHED = "from gevent import monkey; monkey.patch_all()\n"
START = """
import os, sys, threading, traceback
import gevent
from gevent import monkey
import hubpool

lock = monkey.get_original("_thread", "allocate_lock")
fork, waitpid = (monkey.get_original("os", name) for name in ("fork", "waitpid"))

class Gate:
    def __init__(self):
        self.entered, self.opened = lock(), lock()
        self.entered.acquire(), self.opened.acquire()
    def __call__(self, value=None):
        self.entered.release()
        assert self.opened.acquire(timeout=30)
        return value
    def await_entered(self):
        while not self.entered.acquire(False):
            gevent.sleep(0.001)
    def open(self):
        self.opened.release()

def until(condition):
    with gevent.Timeout(30, ref=False):
        while not condition():
            gevent.sleep(0.001)

def others():
    return [t for t in threading.enumerate() if t is not threading.main_thread()]

class Pool(hubpool.ThreadPool):
    submit = hubpool.ThreadPool.spawn
    def result(self, *args):
        return self.spawn(*args).get()

class Executor(hubpool.ThreadPoolExecutor):
    def result(self, *args):
        return self.submit(*args).result()

gate = Gate()
pool = KIND(1)
name = {"Pool": "hubpool-1", "Executor": "ThreadPoolExecutor-0_0"}["KIND"]
daemon = "KIND" == "Pool"
"""
#: Programs that print "done".
PROGRAMS = {
    "each thread that is listed can be joined once its tasks have ended": """
pool.submit(gate)
gate.await_entered()
(thread,) = others()
pool.submit(gate)
assert thread.is_alive()
thread.join(0), thread.join(-1), thread.join(0.01)
assert thread.is_alive()
ended = []
def join():
    thread.join()
    ended.append(thread.is_alive())
joiner = gevent.spawn(join)
gevent.sleep(0)
gate.open()
gate.await_entered()  # The next task.
gevent.sleep(0.01)
assert not ended
gate.open()
joiner.get(timeout=30)
assert ended == [False]
thread.join()
assert others() == []
""",
    "a thread without a hub can join": """
pool.submit(gate)
gate.await_entered()
(thread,) = others()
started, ended = lock(), lock()
started.acquire(), ended.acquire()
def join():
    started.release()
    thread.join()
    ended.release()
monkey.get_original("_thread", "start_new_thread")(join, ())
until(lambda: started.acquire(False))
assert not ended.acquire(False)
gate.open()
until(lambda: ended.acquire(False))
""",
    "an entry is what the worker's thread is": """
def look(gate):
    gate()
    thread = threading.current_thread()
    try: thread.join()
    except RuntimeError as error: assert str(error) == "cannot join current thread", error
    else: raise AssertionError
    return thread, threading.get_ident(), threading.get_native_id(), thread.is_alive()
asked = pool.submit(look, gate)
gate.await_entered()
(thread,) = others()
assert isinstance(thread, monkey.get_original("threading", "Thread"))
assert not isinstance(thread, monkey.get_original("threading", "_DummyThread"))
assert thread.name == name and thread.daemon is daemon
text = repr(thread)
assert text == f"<WorkerThread({name}, started{' daemon' * daemon} {thread.ident})>", text
gate.open()
found, ident, native_id, alive = asked.get()
assert (found, ident, native_id, alive) == (thread, thread.ident, thread.native_id, True)
until(lambda: others() == [])
assert "idle" in repr(thread)
pool.kill()
until(lambda: "stopped" in repr(thread))
thread.join()
try: thread.start()
except RuntimeError as error: assert "only be started once" in str(error)
else: raise AssertionError
""",
    "all tasks of a thread find the same entry, and what they store on it": """
def store(value):
    thread = threading.current_thread()
    seen = getattr(thread, "seen", ())
    thread.seen = (*seen, value)
    return thread.seen, thread
assert pool.result(store, 1)[0] == (1,)
until(lambda: others() == [])
seen, first = pool.result(store, 2)
assert seen == (1, 2)
assert pool.result(threading.current_thread) is first
""",
    "a thread that a task starts is a daemon if the worker's is": """
assert pool.result(lambda: threading.Thread().daemon) is daemon
""",
    "a process exits while threads are listed": """
pool.submit(gate)
gate.await_entered()
assert len(others()) == 1
idle = KIND(1)
idle.result(abs, -1)
if not daemon:
    gate.open()
""",
    "a child that a task forks has one thread, which is its main one": """
def work():
    pid = fork()
    if pid:
        return waitpid(pid, 0)[1]
    status = 1
    try:
        thread = threading.current_thread()
        assert thread is threading.main_thread(), (thread, threading.main_thread())
        # gevent lists the main thread twice there, on CPython 3.13.
        assert set(threading.enumerate()) == {thread}
        assert thread.ident == threading.get_ident() and thread.is_alive() and not thread.daemon
        repr(thread)
        ran = []
        worker = threading.Thread(target=ran.append, args=(1,))
        worker.start(), worker.join()
        assert ran == [1]
        # What a child does that exits as multiprocessing's do.
        threading._shutdown()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)
assert pool.result(work) == 0
other = KIND(1)
other.submit(gate)
gate.await_entered()
assert pool.result(work) == 0
gate.open()
""",
    "a child of a process of which a worker is busy knows the worker no more": """
pool.submit(gate)
gate.await_entered()
(thread,) = others()
pid = fork()
if pid == 0:
    status = 1
    try:
        assert others() == [] and not thread.is_alive()
        assert threading.current_thread() is threading.main_thread()
        thread.join()
        thread.join(1)
        assert "stopped" in repr(thread)
        threading._shutdown()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)
assert waitpid(pid, 0)[1] == 0
assert others() == [thread] and thread.is_alive()
gate.open()
thread.join()
""",
    "a child of a fork by C code joins what it finds in the list at once": """
import ctypes
pool.submit(gate)
gate.await_entered()
pid = ctypes.PyDLL(None).fork()
if pid == 0:
    status = 1
    try:
        for thread in others():
            thread.join(10)
            assert not thread.is_alive()
        assert others() == []
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)
assert waitpid(pid, 0)[1] == 0
gate.open()
""",
}

# In a patched program gevent's fork wants the main thread.
MULTIPROCESSING = """
import multiprocessing
def start():
    process = multiprocessing.get_context("fork").Process(target=print, args=("child",))
    process.start()
    process.join()
    return process.exitcode
print(pool.result(start))
"""


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("before", ["", PATCHED], ids=["plain", "patched"])
@pytest.mark.parametrize("kind", ["Pool", "Executor"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_what_threading_lists(name: str, kind: str, before: str, loop: str) -> None:
    program = before + (START + PROGRAMS[name]).replace("KIND", kind)
    done = run("-W", "ignore::DeprecationWarning", "-c", program + "\nprint('done')\n", loop=loop)
    assert (done.stdout, done.stderr, done.returncode) == ("done\n", "", 0)


@pytest.mark.parametrize("kind", ["Pool", "Executor"])
def test_a_task_may_start_a_process_of_multiprocessing(kind: str) -> None:
    program = (START + MULTIPROCESSING).replace("KIND", kind)
    done = run("-W", "ignore::DeprecationWarning", "-c", program, loop=LOOPS[0])
    assert (done.stdout, done.stderr, done.returncode) == ("child\n0\n", "", 0)
