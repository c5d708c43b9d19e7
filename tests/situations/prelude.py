"""What each program begins with. It is run as a part of the program, not imported."""

import concurrent.futures
import contextlib
import gc
import os
import signal
import sys
import threading
import time

import gevent
import gevent.monkey
import gevent.os

#: Seconds that anything here may take on a pool that does it right.
SECONDS = 20

#: Called in a child before what any pool has registered.
TELL = []
os.register_at_fork(after_in_child=lambda: [tell() for tell in TELL])


def check(right, what):
    """Say what is wrong, and end."""
    if not right:
        print(what)
        sys.stdout.flush()
        os._exit(0)


@contextlib.contextmanager
def raises(*kinds):
    """Check that one of these errors is raised."""
    try:
        yield
    except kinds:
        pass
    except BaseException as error:
        check(False, f"{type(error).__name__} instead of {kinds[0].__name__}")
    else:
        check(False, f"no {kinds[0].__name__}")


def until(condition, seconds=SECONDS):
    """Let greenlets run until it holds; return whether it does."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        gevent.sleep(0.001)
    return condition()


class Gate:
    """A function that blocks its thread until the gate is opened, without gevent's help."""

    def __init__(self):
        self.begun = []
        self.ended = []
        self._lock = gevent.monkey.get_original("_thread", "allocate_lock")()
        self._lock.acquire()

    def __call__(self, value=None):
        self.begun.append(value)
        if self._lock.acquire(True, SECONDS):
            self._lock.release()
        self.ended.append(value)
        return value

    def open(self):
        """Let all go on."""
        self._lock.release()

    def await_begun(self, number=1):
        """Wait until so many calls have begun, without the hub."""
        deadline = time.monotonic() + SECONDS
        while len(self.begun) < number and time.monotonic() < deadline:
            gevent.monkey.get_original("time", "sleep")(0.001)
        check(len(self.begun) >= number, "a task does not begin")


def in_child(fork, function):
    """Call the function in a child; return the child's status."""
    pid = fork()
    if pid == 0:
        status = 1
        try:
            with gevent.Timeout(3):
                function()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(gevent.monkey.get_original("os", "waitpid")(pid, 0)[1])


def use(pool):
    """Use a pool in all ways."""
    assert pool.apply(os.getpid) == os.getpid()
    assert pool.spawn(abs, -1).get() == 1
    assert pool.map(abs, range(-100, 0)) == list(range(100, 0, -1))
    assert list(pool.imap(abs, [-1, -2, -3])) == [1, 2, 3]
    assert sorted(pool.imap_unordered(abs, [-1, -2, -3])) == [1, 2, 3]


def threads():
    """Count the threads of this process, as the system does."""
    return len(os.listdir("/proc/self/task"))
