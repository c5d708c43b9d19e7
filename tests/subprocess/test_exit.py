"""A process ends at once, whatever its workers are about."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from running import LOOPS, run

#: 50 of 50 on each of the two loops.
TIMES = 50
START = """
import threading, time, gevent, hubpool
pool = hubpool.ThreadPool(4)
begun = threading.Event()
def block():
    begun.set()
    time.sleep(1000)
def endless():
    begun.set()
    while True:
        pass
"""
#: What the main greenlet has done when the program reaches its end.
SITUATIONS = {
    "no worker was ever made": "",
    "idle workers": "pool.size = 4; pool.apply(abs, (-1,))",
    "workers blocked in a system call": "pool.spawn(block); begun.wait()",
    "a worker blocked on a lock": """
lock = threading.Lock()
lock.acquire()
pool.spawn(lambda: (begun.set(), lock.acquire()))
begun.wait()
""",
    "a worker that runs Python": "pool.spawn(endless); begun.wait()",
    "a full queue": """
pool.maxsize = 2
results = [pool.spawn(block) for _ in range(3)]
begun.wait()
""",
    "a map half way": """
results = pool.imap(lambda number: number, iter(int, 1))
for _ in range(100):
    next(results)
""",
    "a map whose items block": """
results = pool.imap_unordered(lambda _: block(), range(1000))
gevent.sleep(0)
begun.wait()
""",
    "workers that wake up as the interpreter ends": """
results = [pool.spawn(time.sleep, 0.0001 * number) for number in range(4)]
""",
    "a thread whose hub is at its messages": """
from _thread import start_new_thread
from hubpool._native import Guard
start_new_thread(Guard(endless, print), ())
begun.wait()
""",
    "workers that drop functions, whose destructors take their time": """
class Slow:
    def __call__(self):
        begun.set()
    def __del__(self, sleep=time.sleep, steps=range(20000)):
        sleep(0.002)
        for step in steps:
            pass
for _ in range(4):
    pool.spawn(Slow())
begun.wait()
""",
    "workers that drop what tasks left in their contexts": """
import contextvars
class Slow:
    def __del__(self, sleep=time.sleep):
        sleep(0.005)
left = contextvars.ContextVar("left")
def leave():
    left.set(Slow())
    begun.set()
for _ in range(5):
    pool.spawn(leave)
begun.wait()
""",
    "an exit from a greenlet": "pool.spawn(block); begun.wait(); raise SystemExit(0)",
}


def _end(program: str, loop: str) -> tuple[int | str, str]:
    """Run a program; return its status and what it wrote to stderr."""
    try:
        done = run("-c", START + program, loop=loop)
    except subprocess.TimeoutExpired:
        return "hung", ""
    return done.returncode, done.stderr


@pytest.mark.timeout(300)
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_process_ends_at_once_with_nothing_to_say(situation: str, loop: str) -> None:
    with ThreadPoolExecutor(4) as runners:
        ends = list(runners.map(lambda _: _end(SITUATIONS[situation], loop), range(TIMES)))
    assert [end for end in ends if end != (0, "")] == []


HOOKS = """
from gevent import monkey
monkey.patch_all()
import atexit, socket
pool.kill()

def fail():
    raise ZeroDivisionError

def hook():
    print(pool.apply(abs, (-1,)), pool.spawn(abs, -2).get())
    try:
        pool.apply(fail)
    except ZeroDivisionError:
        print("failed")
    print(socket.getaddrinfo("127.0.0.1", 80)[0][4])

gevent.get_hub().handle_error = lambda *_: None
atexit.register(hook)
"""

#: Some CPythons start no thread once they exit: 3.12.0 and 3.12.1 in exit hooks, too.
NO_NEW_THREADS = (
    HOOKS
    + """
from hubpool import _gevent
def refuse(*_):
    raise RuntimeError("can't create new thread at interpreter shutdown")
atexit.register(setattr, _gevent, "start_new_thread", refuse)
"""
)

#: At the limit, an executor may have work and no thread.
WITHOUT_THREADS = """
hubpool.set_thread_limit(1)
executor = hubpool.ThreadPoolExecutor(1)
pool.spawn(block)
begun.wait()
for number in range(3):
    executor.submit(print, number)
"""


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    ("program", "written"),
    [
        (HOOKS, "1 2\nfailed\n('127.0.0.1', 80)\n"),
        (NO_NEW_THREADS, "1 2\nfailed\n('127.0.0.1', 80)\n"),
        (WITHOUT_THREADS, "0\n1\n2\n"),
    ],
    ids=["a pool", "a pool without new threads", "an executor at the limit"],
)
def test_an_exit_hook_may_use_a_pool(program: str, written: str, loop: str) -> None:
    done = run("-c", START + program, loop=loop, GEVENT_THREADPOOL="hubpool.ThreadPool")
    assert (done.stdout, done.stderr, done.returncode) == (written, "", 0)
