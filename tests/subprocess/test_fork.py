"""A forked child has pools that work, and nothing of its parent's work.

Each way to fork is tried on each loop. The child is handed nothing but the
fork: it uses the pools at once.
"""

from __future__ import annotations

import pytest
from running import LOOPS, run

SECONDS = 30

#: How a program forks, by name: what to do first, and what defines `fork`.
WAYS = {
    "patched_os_fork": """
from gevent import monkey
monkey.patch_all()
import os
fork = os.fork
""",
    "gevent_os_fork": """
import gevent.os
fork = gevent.os.fork
""",
    "raw_os_fork_and_reinit": """
import os
import gevent

def fork():
    pid = os.fork()
    if pid == 0:
        gevent.reinit()
    return pid
""",
}

#: `in_child` runs a function in a child, and is through when the child has said
#: that all is well. The locks are native ones, so that waiting for a task that
#: runs does not run the hub.
PRELUDE = """
import os, sys, traceback
import gevent
import gevent.monkey
from gevent.monkey import get_original
import hubpool

allocate_lock = get_original("_thread", "allocate_lock")
raw_read = get_original("os", "read")
raw_waitpid = get_original("os", "waitpid")

class Gate:
    # Closed until it is opened; greenlets and threads alike wait without the hub.
    def __init__(self):
        self.lock = allocate_lock()
        self.lock.acquire()

    def open(self):
        self.lock.release()

    def wait(self):
        assert self.lock.acquire(True, 20), "the gate was not opened"
        self.lock.release()

def report(words):
    sys.stdout.write(words + "\\n")
    sys.stdout.flush()

def in_child(check):
    end, start = os.pipe()
    pid = fork()
    if pid == 0:
        try:
            with gevent.Timeout(20):
                check()
            os.write(start, b"well")
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(0)
    os.close(start)
    told = raw_read(end, 4)
    os.close(end)
    assert told == b"well", "the child failed"

def use(pool):
    assert pool.apply(os.getpid) == os.getpid()
    assert pool.map(abs, range(-100, 0)) == list(range(100, 0, -1))
    assert list(pool.imap(abs, [-1, -2, -3])) == [1, 2, 3]
    assert sorted(pool.imap_unordered(abs, [-1, -2, -3])) == [1, 2, 3]
    try:
        pool.apply(int, ("x",))
    except ValueError:
        pass
    else:
        raise AssertionError("no ValueError")
    assert not pool and 0 < pool.size <= pool.maxsize
"""

#: A task's error is reported by the hub; the programs expect that one.
SILENT = """
gevent.get_hub().NOT_ERROR += (ValueError,)
"""

PROGRAMS = {
    "has_a_hub_pool_and_a_users_pool_that_work": """
hub = gevent.get_hub()
pools = [hub.threadpool, hubpool.ThreadPool(3)]
assert type(hub.threadpool) is hubpool.ThreadPool
for pool in pools:
    use(pool)
for _ in range(3):
    def check():
        assert gevent.get_hub() is hub and hub.threadpool is pools[0]
        for pool in pools:
            use(pool)
    in_child(check)
    for pool in pools:
        use(pool)
""",
    "may_use_pools_that_were_never_used": """
pools = [gevent.get_hub().threadpool, hubpool.ThreadPool(3)]
def check():
    for pool in pools:
        assert pool.size == 0
        use(pool)
in_child(check)
for pool in pools:
    use(pool)
""",
    "keeps_what_a_pool_was_told": """
class Pool(hubpool.ThreadPool):
    pass
class Worker(hubpool._WorkerGreenlet):
    pass
Pool._WorkerGreenlet = Worker
hub = gevent.get_hub()
pool = Pool(3, hub, idle_task_timeout=0.05)
pool.maxsize = 2
use(pool)
def check():
    assert pool.hub is hub is gevent.get_hub()
    assert pool.maxsize == 2 and pool.pid == os.getpid()
    use(pool)
    assert all(
        type(worker) is Worker and worker._idle_task_timeout == 0.05
        for worker in tuple(pool._worker_greenlets)
    )
    while pool.size:
        gevent.sleep(0.01)
    use(pool)
in_child(check)
use(pool)
""",
    "does_not_run_its_parents_tasks": """
pool = hubpool.ThreadPool(2)
ran = []
begun = [Gate(), Gate()]
gate = Gate()
def task(number):
    if number < 2:
        begun[number].open()
        gate.wait()
    ran.append((os.getpid(), number))
    return number
results = [pool.spawn(task, number) for number in range(3)]
waiting = gevent.spawn(pool.spawn, task, 3)
for opened in begun:
    opened.wait()
assert len(pool) == 3 and pool.task_queue.qsize() == 1
def check():
    assert len(pool) == 0 and pool.size == 0
    assert pool.task_queue.qsize() == 0 and pool.task_queue.unfinished_tasks == 0
    gate.open()
    waiting.kill()
    use(pool)
    pool.join()
    assert not any(result.ready() for result in results)
    assert ran == []
in_child(check)
assert len(pool) == 3 and ran == []
gate.open()
assert [result.get() for result in results] == [0, 1, 2]
assert waiting.get().get() == 3
assert sorted(ran) == [(os.getpid(), number) for number in range(4)]
pool.join()
use(pool)
""",
    "does_not_wait_for_its_parents_tasks": """
pool = hubpool.ThreadPool(1)
begun, gate = Gate(), Gate()
def task():
    begun.open()
    gate.wait()
result = pool.spawn(task)
begun.wait()
joining, killing = gevent.spawn(pool.join), gevent.spawn(pool.kill)
gevent.idle()
def check():
    assert joining.get() is True and killing.get() is None
    use(pool)
in_child(check)
assert not joining.ready() and not killing.ready()
gate.open()
assert joining.get() is True and killing.get() is None
use(pool)
""",
    "does_not_wait_for_its_parents_executor": """
import concurrent.futures, threading
executor = hubpool.ThreadPoolExecutor(1)
begun, gate = Gate(), Gate()
def task():
    begun.open()
    gate.wait()
    return 7
future = executor.submit(task)
late = executor.submit(abs, -1)
begun.wait()
def result(future):
    try:
        return future.result()
    except concurrent.futures.BrokenExecutor:
        return "broken"
(thread,) = executor._threads
(worker,) = (one for one in threading.enumerate() if type(one).__name__ == "WorkerThread")
ways = [
    (lambda: result(future), "broken", 7),
    (lambda: result(late), "broken", 1),
    (lambda: future.exception() is None, False, True),
    (future.wait, None, 7),
    (lambda: gevent.wait([future]) == [future], True, True),
    (lambda: list(gevent.iwait([future, late])) != [], True, True),
    (lambda: thread.join(), None, None),
    (lambda: worker.join(), None, None),
    (lambda: executor.shutdown(), None, None),
]
if gevent.monkey.is_module_patched("threading"):
    ways += [
        (lambda: len(concurrent.futures.wait([future, late]).done), 2, 2),
        (lambda: len(list(concurrent.futures.as_completed([future, late]))), 2, 2),
    ]
waiting = [gevent.spawn(way) for way, *_ in ways]
gevent.idle()
def check():
    assert [one.get() for one in waiting] == [here for _, here, _ in ways]
    other = hubpool.ThreadPoolExecutor(1)
    assert other.submit(os.getpid).result() == os.getpid()
    other.shutdown()
for _ in range(2):
    in_child(check)
assert not any(one.ready() for one in waiting)
gate.open()
assert [one.get() for one in waiting] == [in_parent for _, _, in_parent in ways]
""",
    "goes_on_in_a_greenlet_whose_future_was_done": """
executor = hubpool.ThreadPoolExecutor(1)
begun, gate = Gate(), Gate()
future = executor.submit(gate.wait)
waiting = gevent.spawn(future.exception)
gevent.idle()
gate.open()
while not future.done():  # The hub does not run.
    pass
def check():
    assert waiting.get() is None
in_child(check)
assert waiting.get() is None
""",
    "has_no_task_of_its_parents_in_its_loop": """
executor = hubpool.ThreadPoolExecutor(1)
begun, gate = Gate(), Gate()
def task():
    begun.open()
    gate.wait()
future = executor.submit(task)
begun.wait()
pid = fork()
if pid == 0:
    os._exit(7 if gevent.wait(timeout=20) is True else 1)
_, status = raw_waitpid(pid, 0)
assert os.WEXITSTATUS(status) == 7, status
gate.open()
future.result()
""",
    "exits_though_its_parent_joins_an_executor_at_exit": """
import atexit
executor = hubpool.ThreadPoolExecutor(1)
gate = Gate()
future = executor.submit(gate.wait)
parent = os.getpid()
def go():
    try:
        pid = fork()
    except RuntimeError as error:  # CPython 3.12.0 and 3.12.1 fork no more by then.
        assert str(error) == "can't fork at interpreter shutdown"
        gate.open()
        return
    if pid:
        _, status = raw_waitpid(pid, 0)
        assert os.WEXITSTATUS(status) == 7, status
        gate.open()
atexit.register(lambda: os.getpid() == parent or os._exit(7))
gevent.spawn(go)
""",
    "does_not_run_its_parents_map": """
pool = hubpool.ThreadPool(2)
ran = []
begun = Gate()
gate = Gate()
def task(number):
    if number == 0:
        begun.open()
    gate.wait()
    ran.append(os.getpid())
    return number
mapped = gevent.spawn(pool.map, task, range(10))
while not len(pool):
    gevent.idle()
begun.wait()
def check():
    assert len(pool) == 0 and pool.size == 0
    gate.open()
    use(pool)
    pool.join()
    assert ran == []
in_child(check)
assert ran == []
gate.open()
assert mapped.get() == list(range(10))
assert ran == [os.getpid()] * 10
use(pool)
""",
    "may_fork_again": """
pool = hubpool.ThreadPool(2)
use(pool)
def check():
    use(pool)
    in_child(lambda: use(pool))
    use(pool)
in_child(check)
use(pool)
""",
    "may_kill_its_pool_and_exit": """
pool = hubpool.ThreadPool(2)
use(pool)
def check():
    pool.kill()
    assert pool.size == 0
    use(pool)
    pool.kill()
    assert pool.size == 0
in_child(check)
pool.kill()
assert pool.size == 0
pid = fork()
if pid == 0:
    use(pool)
    sys.exit(7)
_, status = raw_waitpid(pid, 0)
assert os.WEXITSTATUS(status) == 7, status
use(pool)
""",
    "may_be_forked_in_a_greenlet": """
pool = hubpool.ThreadPool(2)
use(pool)
gevent.spawn(in_child, lambda: use(pool)).get()
use(pool)
""",
}


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("claim", PROGRAMS)
def test_a_child(claim: str, way: str, loop: str) -> None:
    program = WAYS[way] + PRELUDE + SILENT + PROGRAMS[claim] + 'report("through")\n'
    # Python warns of a fork beneath threads, which is what this is about.
    options = ("-W", "ignore::DeprecationWarning", "-c", program)
    pool = "hubpool.ThreadPool"
    process = run(*options, loop=loop, timeout=SECONDS, GEVENT_THREADPOOL=pool)
    outcome = (process.returncode, process.stdout, process.stderr)
    assert outcome == (0, "through\n", ""), process.stderr


#: An error that another greenlet came upon as it stood in for the hub is left to the hub. Then
#: the process forks, before the hub has its turn, in a greenlet that the hub has resumed.
LEFT_TO_THE_HUB = """
import os, sys
import gevent
import hubpool

def fail():
    raise ValueError("the parent's")

reported = []
hub = gevent.get_hub()
hub.handle_error = lambda context, kind, *_: reported.append(kind)
pool = hubpool.ThreadPool(2)
for _ in range(50):
    for _ in range(20):
        pool.apply(int)
    value, failing = pool.spawn(int), pool.spawn(fail)
    value.get()
    pid = os.fork()
    if pid == 0:
        before = len(reported)
        gevent.sleep(0.01)
        again = len(reported) - before
        works = pool.apply(int) == 0
        os._exit(0 if works and not again else 1)
    assert os.waitpid(pid, 0)[1] == 0
    try:
        failing.get()
    except ValueError:
        pass
    assert reported == [ValueError], reported
    reported.clear()
print("done")
"""


@pytest.mark.parametrize("loop", LOOPS)
def test_an_error_that_was_left_to_the_hub_is_the_parents(loop: str) -> None:
    ended = run("-c", LEFT_TO_THE_HUB, loop=loop, timeout=SECONDS)
    assert (ended.stdout, ended.returncode) == ("done\n", 0), ended.stderr


#: The child's only thread is the worker's; it has nobody to give its result to.
JOB_THAT_FORKS = """
import logging, os
import hubpool

def fork(number):
    os.write(1, b".")
    return os.fork() if number == 2 else None

logging.disable()
pool, executor = hubpool.ThreadPool(2), hubpool.ThreadPoolExecutor(2)
for jobs in (
    lambda: [pool.apply(fork, (2,))],
    lambda: pool.map(fork, range(5)),
    lambda: list(pool.imap_unordered(fork, iter(range(5)))),
    lambda: [executor.submit(fork, 2).result()],
):
    for _ in range(3):
        (pid,) = filter(None, jobs())
        assert os.waitpid(pid, 0)[1] == 0
        assert pool.map(abs, [-1, -2]) == list(executor.map(abs, [-1, -2])) == [1, 2]
print("done", flush=True)
os._exit(0)
"""


@pytest.mark.parametrize("loop", LOOPS)
def test_the_child_of_a_job_that_forks_ends_with_the_job(loop: str) -> None:
    options = ("-W", "ignore::DeprecationWarning", "-c", JOB_THAT_FORKS)
    ended = run(*options, loop=loop, timeout=SECONDS)
    # Each job has run once, in the parent.
    assert ended.stdout == "." * 3 * (1 + 5 + 5 + 1) + "done\n", ended
    assert ended.returncode == 0, ended.stderr
