"""What is left of a thread that has ended, in programs with and without gevent's patches."""

from __future__ import annotations

import pytest
from running import LOOPS, run

PATCHED = "from gevent import monkey; monkey.patch_all()\n"
START = """
import gc, threading, weakref
import gevent, gevent.local
from gevent import monkey
import hubpool

gc.collect()
gc.disable()
#: What is kept for a thread by its number, its greenlet, or its object.
KINDS = {"native": monkey.get_original("threading", "local"), "gevent": gevent.local.local}
locals_ = {kind: make() for kind, make in KINDS.items()}
gone, refs = set(), []

class Value:
    def __init__(self, kind):
        self.kind = kind
    def __del__(self):
        gone.add(self.kind)

def leave(how="value"):
    if how == "hub":
        gevent.sleep(0.001)
    for kind in locals_:
        locals_[kind].value = Value(kind)
    threading.current_thread().value = Value("object")
    refs.append(weakref.ref(threading.current_thread()))
    refs.append(weakref.ref(gevent.getcurrent()))
    if how == "hub":
        refs.append(weakref.ref(gevent.get_hub()))
    if how == "error":
        raise ZeroDivisionError

def has_gone():
    return gone == {*KINDS, "object"} and not any(ref() for ref in refs)

def until(condition):
    with gevent.Timeout(30, ref=False):
        while not condition():
            gevent.sleep(0.001)

def state():
    return gone, [ref() for ref in refs]
"""
EXECUTOR = """
executor = hubpool.ThreadPoolExecutor(1{initializer})
threads = executor._threads
future = executor.submit(leave, {how!r})
error = future.exception()
executor.shutdown()
assert has_gone(), state()
assert len(threads) == 0
"""
POOL = """
pool = hubpool.ThreadPool(1, report_errors={report!r})
{submit}
pool.kill()
until(has_gone)
"""
SUBMISSIONS = {
    "task": "result = pool.spawn(leave, {how!r}); result.wait(); error = result.exc_info",
    "unretrieved": "result = pool.spawn(leave, {how!r}); result.wait()",
    "map": "try: kept = pool.map(leave, [{how!r}])\n"
    "except ZeroDivisionError as error: kept = error",
}


def _ends(program: str, before: str, loop: str) -> None:
    done = run("-c", before + START + program + "print('done')", loop=loop)
    assert (done.stdout, done.stderr, done.returncode) == ("done\n", "", 0)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("before", ["", PATCHED], ids=["plain", "patched"])
@pytest.mark.parametrize("initializer", ["", ", initializer=int"])
@pytest.mark.parametrize("how", ["value", "error", "hub"])
def test_what_tasks_have_left_in_an_executors_threads_is_gone_after_shutdown(
    how: str, initializer: str, before: str, loop: str
) -> None:
    _ends(EXECUTOR.format(how=how, initializer=initializer), before, loop)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("before", ["", PATCHED], ids=["plain", "patched"])
@pytest.mark.parametrize("how", ["value", "error", "hub"])
@pytest.mark.parametrize("submission", ["task", "unretrieved", "map"])
def test_what_tasks_have_left_in_a_pools_threads_goes_with_them(
    submission: str, how: str, before: str, loop: str
) -> None:
    report = "unretrieved" if submission == "unretrieved" else "never"
    submit = SUBMISSIONS[submission].format(how=how)
    _ends(POOL.format(report=report, submit=submit), before, loop)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("before", ["", PATCHED], ids=["plain", "patched"])
def test_executors_that_take_turns_keep_no_thread_that_has_ended(before: str, loop: str) -> None:
    _ends(
        "hubpool.set_thread_limit(1)\n"
        "executors = [hubpool.ThreadPoolExecutor(1) for _ in range(2)]\n"
        "for number in range(100):\n"
        "    executor = executors[number % 2]\n"
        "    executor.submit(leave).result(30)\n"
        "    if number % 2:\n"
        "        until(lambda: sum(len(e._threads) for e in executors) <= 1)\n"
        "for executor in executors: executor.shutdown()\n"
        "assert has_gone(), state()\n",
        before,
        loop,
    )
