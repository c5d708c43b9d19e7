"""A process that C code forks can use every pool and executor that it inherits, at once.

uWSGI, `daemon(3)` and programs that embed Python fork so: Python calls no hook in the child. Each
claim is tried on each loop, in patched and unpatched programs.
"""

from __future__ import annotations

import pytest
from running import LOOPS, run
from test_fork import PRELUDE, PROGRAMS, SILENT

SECONDS = 60

UNPATCHED = ""
PATCHED = "from gevent import monkey\nmonkey.patch_all()\n"

#: Called with the interpreter's lock held, as a host program does that embeds Python. A thread that
#: waits for that lock at the fork breaks the lock itself in the child, which only hooks mend that
#: nobody calls. So the forking thread lets the others run until all of them sleep for good.
C_FORK = """
import ctypes, os
from gevent.monkey import get_original
native_sleep = get_original("time", "sleep")
own_number = get_original("_thread", "get_native_id")

def look_at_threads():
    looks = {}
    for number in os.listdir("/proc/self/task"):
        if int(number) != own_number():
            with open(f"/proc/self/task/{number}/status") as status:
                lines = [line.split() for line in status]
            looks[number] = [line[1] for line in lines if "ctxt" in line[0] or line[0] == "State:"]
    return looks

def all_sleep():
    try:
        before = look_at_threads()
        native_sleep(0.01)
        return before == look_at_threads() and all(look[0] == "S" for look in before.values())
    except OSError:  # One has ended.
        return False

def c_fork(raw=ctypes.PyDLL(None).fork):
    while not all_sleep():
        pass
    return raw()

python_fork = get_original("os", "fork")
wait_for = get_original("os", "waitpid")
"""

#: The first child forks before it has used anything; the second is the one that is looked at.
TWICE = """
def fork():
    pid = {first}()
    if pid == 0:
        pid = {second}()
        if pid:
            wait_for(pid, 0)
            os._exit(0)
    return pid
"""

#: How a program forks, by name.
WAYS = {
    "c_fork": UNPATCHED + C_FORK + "fork = c_fork\n",
    "patched_c_fork": PATCHED + C_FORK + "fork = c_fork\n",
    "c_fork_in_a_c_fork": UNPATCHED + C_FORK + TWICE.format(first="c_fork", second="c_fork"),
    "c_fork_in_a_python_fork": C_FORK + TWICE.format(first="python_fork", second="c_fork"),
    "python_fork_in_a_c_fork": PATCHED
    + C_FORK
    + TWICE.format(first="c_fork", second="python_fork"),
}

EXECUTOR = """
from hubpool import ThreadPoolExecutor

def use_executor(executor):
    assert executor.submit(os.getpid).result() == os.getpid()
    assert list(executor.map(abs, [-1, -2, -3])) == [1, 2, 3]
"""

OWN_PROGRAMS = {
    "may_use_what_was_only_made": """
pools = [gevent.get_hub().threadpool, hubpool.ThreadPool(2)]
executor = ThreadPoolExecutor(2)
def check():
    for pool in pools:
        use(pool)
    use_executor(executor)
for _ in range(2):
    in_child(check)
check()
""",
    "may_use_what_was_used": """
pools = [gevent.get_hub().threadpool, hubpool.ThreadPool(2)]
executor = ThreadPoolExecutor(2)
def check():
    use_executor(executor)
    for pool in pools:
        use(pool)
check()
for _ in range(2):
    in_child(check)
check()
""",
    "may_let_the_loop_run_first": """
pool, executor = hubpool.ThreadPool(2), ThreadPoolExecutor(2)
use(pool)
use_executor(executor)
def check():
    gevent.sleep(0.01)
    use(pool)
    use_executor(executor)
in_child(check)
check()
""",
    "may_use_what_is_in_use": """
pool, executor = hubpool.ThreadPool(2), ThreadPoolExecutor(2)
ran, begun, gate = [], [Gate() for _ in range(4)], Gate()
def task(number):
    if number < 4:
        begun[number].open()
    gate.wait()
    ran.append((os.getpid(), number))
    return number
results = [pool.spawn(task, number) for number in (0, 1, 10)]
futures = [executor.submit(task, number) for number in (2, 3, 11)]
for opened in begun:
    opened.wait()
numbers = pool.imap(abs, iter(range(-5, 0)))
def check():
    gate.open()
    assert len(pool) == 0 and pool.size == 0
    use(pool)
    use_executor(executor)
    for future in futures:
        try:
            future.result()
        except concurrent.futures.BrokenExecutor:
            continue
        raise AssertionError("the parent's task has run")
    assert not any(result.ready() for result in results)
    assert ran == []
import concurrent.futures
for _ in range(2):
    in_child(check)
gate.open()
assert [result.get() for result in results] == [0, 1, 10]
assert [future.result() for future in futures] == [2, 3, 11]
assert list(numbers) == [5, 4, 3, 2, 1]
assert {pid for pid, _ in ran} == {os.getpid()} and len(ran) == 6
""",
    "reads_of_its_parents_map_what_was_there": """
pool = hubpool.ThreadPool(1)
begun, gate = Gate(), Gate()
def task(number):
    if number == 3:
        begun.open()
        gate.wait()
    return number
numbers, whole = pool.imap(task, range(6)), pool.imap(abs, range(3))
assert next(numbers) == 0
begun.wait()
def check():
    read = []
    try:
        for number in numbers:
            read.append(number)
    except hubpool.TaskCancelledError:
        pass
    else:
        raise AssertionError("the map has come to an end")
    assert read == [1, 2]
    try:
        next(whole)
    except hubpool.TaskCancelledError:
        pass
    else:
        raise AssertionError("the map has been run")
    use(pool)
in_child(check)
gate.open()
assert list(numbers) == [1, 2, 3, 4, 5] and list(whole) == [0, 1, 2]
""",
    "reads_no_further_in_its_parents_iterable": """
pool = hubpool.ThreadPool(1)
begun, gate = Gate(), Gate()
def task(number):
    if number == 0:
        begun.open()
        gate.wait()
    return number
read = []
def source():
    for number in range(100):
        read.append(number)
        yield number
numbers = pool.imap_unordered(task, source())
while len(pool) < 2:
    gevent.idle()
begun.wait()
before = len(read)
assert before < 100
def check():
    gate.open()
    use(pool)
    gevent.sleep(0.01)
    assert len(read) == before
in_child(check)
gate.open()
assert sorted(numbers) == list(range(100))
""",
    "may_come_to_a_pool_by_any_way": """
import concurrent.futures
pool, executor = hubpool.ThreadPool(2), ThreadPoolExecutor(2)
result, future = pool.spawn(abs, -1), executor.submit(abs, -1)
result.get(), future.result()
begun, gate = Gate(), Gate()
def task():
    begun.open()
    gate.wait()
running, late = executor.submit(task), pool.submit_threadsafe(abs, -1)
begun.wait()
def equal(one, other):
    assert one == other, (one, other)
def broken(future):
    try:
        future.result()
    except concurrent.futures.BrokenExecutor:
        return
    raise AssertionError("no error")
ways = [
    lambda: equal(pool.apply(abs, (-1,)), 1),
    lambda: equal(pool.spawn(abs, -1).get(), 1),
    lambda: equal(pool.apply_async(abs, (-1,)).get(), 1),
    lambda: equal(pool.map(abs, [-1]), [1]),
    lambda: equal(list(pool.imap(abs, iter([-1]))), [1]),
    lambda: equal(list(pool.imap_unordered(abs, [-1])), [1]),
    lambda: equal(pool.submit_threadsafe(abs, -1).result(), 1),
    lambda: equal(pool.join(), True),
    lambda: pool.kill(),
    lambda: pool.kill(drop_queued=True),
    lambda: equal(pool.cancel(result), False),
    lambda: equal(len(pool), 0),
    lambda: equal(bool(pool), False),
    lambda: equal("tasks=0 size=0 maxsize=2" in repr(pool), True),
    lambda: equal(pool.size, 0),
    lambda: setattr(pool, "size", 2),
    lambda: setattr(pool, "size", 0),
    lambda: setattr(pool, "maxsize", 3),
    lambda: pool.adjust(),
    lambda: equal(pool.task_queue.qsize(), 0),
    lambda: equal(pool.task_queue.unfinished_tasks, 0),
    lambda: gevent.reinit(),
    lambda: hubpool.set_thread_limit(1),
    lambda: equal(hubpool.ThreadPool(1).apply(abs, (-1,)), 1),
    lambda: equal(executor.submit(abs, -1).result(), 1),
    lambda: equal(list(executor.map(abs, [-1])), [1]),
    lambda: equal(future.result(), 1),
    lambda: equal(gevent.wait([executor.submit(abs, -1)])[0].get(), 1),
    lambda: broken(running),
    lambda: broken(late),
    lambda: equal(running.cancel(), False),
    lambda: setattr(executor, "_max_workers", 3),
    lambda: equal(ThreadPoolExecutor(1).submit(abs, -1).result(), 1),
    lambda: gevent.sleep(0.01),
    lambda: gc.collect(),
]
import gc
for number, way in enumerate(ways):
    def check():
        try:
            way()
        except BaseException as error:
            raise AssertionError(f"the way of number {number}") from error
        use(pool)
        use_executor(executor)
        pool.kill()
        executor.shutdown()
    in_child(check)
for again in (lambda: executor.shutdown(), lambda: executor.shutdown(wait=False)):
    def check():
        again()
        use(pool)
        try:
            executor.submit(abs, -1)
        except RuntimeError:
            return
        raise AssertionError("it has been shut down")
    in_child(check)
gate.open()
assert late.result() == 1
""",
    "may_come_to_an_executor_in_several_threads_at_once": """
pool, executor = hubpool.ThreadPool(2), ThreadPoolExecutor(2)
use(pool)
use_executor(executor)
start_new_thread = get_original("_thread", "start_new_thread")
def check():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    done = [Gate() for _ in range(4)]
    failed = []
    def work(gate):
        try:
            assert executor.submit(os.getpid).result() == os.getpid()
        except BaseException as error:
            failed.append(error)
        gate.open()
    for gate in done:
        start_new_thread(work, (gate,))
    for gate in done:
        gate.wait()
    sys.setswitchinterval(interval)
    assert not failed, failed
    use(pool)
for _ in range(10):
    in_child(check)
""",
    "gets_in_its_loop_what_another_thread_submits": """
pool = hubpool.ThreadPool(2)
use(pool)
start_new_thread = get_original("_thread", "start_new_thread")
for _ in range(8):
    end, start = os.pipe()
    pid = fork()
    if pid == 0:
        def work():
            while not all_sleep():  # The hub is in its loop.
                pass
            if pool.submit_threadsafe(os.getpid).result(timeout=20) == os.getpid():
                os.write(start, b"well")
            os._exit(0)
        start_new_thread(work, ())
        gevent.sleep(1000)
    ended = 0
    while not ended:
        gevent.sleep(0.01)  # The parent's loop polls beside the child's.
        ended, _ = raw_waitpid(pid, os.WNOHANG)
    os.close(start)
    assert raw_read(end, 4) == b"well"
    os.close(end)
use(pool)
""",
    "goes_on_in_its_greenlets_though_another_thread_comes_first": """
import concurrent.futures
executor, other = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
begun, gate = Gate(), Gate()
def task():
    begun.open()
    gate.wait()
future = executor.submit(task)
begun.wait()
waiting = [gevent.spawn(way) for way in (future.exception, executor.shutdown)]
gevent.idle()
start_new_thread = get_original("_thread", "start_new_thread")
def check():
    done = Gate()
    start_new_thread(lambda: other.submit(done.open).result(), ())
    done.wait()
    error, none = [one.get() for one in waiting]
    assert isinstance(error, concurrent.futures.BrokenExecutor) and none is None
    use_executor(other)
in_child(check)
in_child(check)
gate.open()
assert [one.get() for one in waiting] == [None, None]
""",
    "leaves_its_parents_set_of_descriptors_alone": """
def sets_of_descriptors():
    numbers = [int(number) for number in os.listdir("/proc/self/fd")]
    for number in numbers:
        try:
            if os.readlink(f"/proc/self/fd/{number}") == "anon_inode:[eventpoll]":
                yield os.dup(number)
        except FileNotFoundError:  # The folder's own.
            pass

def look_at(numbers):
    for number in numbers:
        with open(f"/proc/self/fdinfo/{number}") as information:
            yield sorted(line for line in information if line.startswith("tfd"))

pool, executor = hubpool.ThreadPool(2), ThreadPoolExecutor(2)
use(pool)
use_executor(executor)
pools = [pool, hubpool.ThreadPool(2)]
sets = list(sets_of_descriptors())
start_new_thread = get_original("_thread", "start_new_thread")
def check():
    # The hub is another thread's than the one that comes to the executor first.
    before = list(look_at(sets))
    assert any(before)
    done = Gate()
    start_new_thread(lambda: executor.submit(done.open).result(), ())
    done.wait()
    use_executor(executor)
    for pool in pools:
        use(pool)
    gevent.sleep(0.01)
    assert list(look_at(sets)) == before
in_child(check)
in_child(check)
use(pool)
""",
    "may_drop_what_it_has_inherited": """
import gc
pool, executor = hubpool.ThreadPool(2), ThreadPoolExecutor(2)
use(pool)
use_executor(executor)
numbers = pool.imap(abs, range(-9, 0))
assert next(numbers) == 9
def check():
    global pool, executor, numbers
    del pool, executor, numbers
    gc.collect()
    use(hubpool.ThreadPool(2))
    use_executor(ThreadPoolExecutor(2))
in_child(check)
use(pool)
use_executor(executor)
assert list(numbers) == [8, 7, 6, 5, 4, 3, 2, 1]
""",
    "may_destroy_its_hub": """
pool = hubpool.ThreadPool(2)
use(pool)
pid = fork()
if pid == 0:
    gevent.get_hub().destroy(destroy_loop=True)
    assert hubpool.ThreadPool(2).map(abs, [-1, -2]) == [1, 2]
    os._exit(7)
_, status = raw_waitpid(pid, 0)
assert os.WEXITSTATUS(status) in STATUS, status
use(pool)
""",
    "goes_on_in_a_greenlet_that_waits_for_a_slot": """
pool = hubpool.ThreadPool(1)
begun, gate = Gate(), Gate()
def task():
    begun.open()
    gate.wait()
    return os.getpid()
results = [pool.spawn(task)]
begun.wait()
results.append(pool.spawn(os.getpid))
waiting = gevent.spawn(pool.spawn, os.getpid)
gevent.idle()
assert not waiting.ready()
def check():
    use(hubpool.ThreadPool(1))
    assert waiting.get().get() == os.getpid()
    assert pool.join(timeout=20)
    use(pool)
in_child(check)
gate.open()
assert {result.get() for result in [*results, waiting.get()]} == {os.getpid()}
""",
    "leaves_the_wake_ups_to_its_parent": """
import signal
pool = hubpool.ThreadPool(2)
ends = [os.pipe() for _ in range(4)]
pids = []
for _ in range(2):
    pid = fork()
    if pid == 0:
        gevent.sleep(30)
        os._exit(1)
    pids.append(pid)
for number in range(200):
    result = pool.spawn(abs, -number)
    with gevent.Timeout(20):
        result.wait()
    assert result.get() == number
for pid in pids:
    os.kill(pid, signal.SIGKILL)
    raw_waitpid(pid, 0)
""",
    "and_its_sibling_and_its_parent_use_one_pool_at_once": """
for used in (False, True):
    pool, executor = hubpool.ThreadPool(2), ThreadPoolExecutor(2)
    hubs = gevent.get_hub().threadpool
    if used:
        use(pool)
        use_executor(executor)
    def work():
        with gevent.Timeout(25):
            for number in range(200):
                assert pool.apply(abs, (-number,)) == number
                assert hubs.spawn(abs, -number).get() == number
                assert executor.submit(abs, -number).result() == number
    pids = []
    for _ in range(2):
        pid = fork()
        if pid == 0:
            try:
                work()
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        pids.append(pid)
    work()
    assert [raw_waitpid(pid, 0)[1] for pid in pids] == [0, 0]
""",
    "exits_as_any_program_does": """
for used in (False, True):
    pool, executor = hubpool.ThreadPool(2), ThreadPoolExecutor(2)
    for use_in_child in (False, True):
        if used:
            use(pool)
            use_executor(executor)
        pid = fork()
        if pid == 0:
            if use_in_child:
                use(pool)
                use_executor(executor)
            sys.exit(7)
        _, status = raw_waitpid(pid, 0)
        assert os.WEXITSTATUS(status) in STATUS, status
""",
    "exits_beside_what_its_parent_runs": """
pool, executor = hubpool.ThreadPool(1), ThreadPoolExecutor(1)
begun, gate = [Gate(), Gate()], Gate()
def task(number):
    begun[number].open()
    gate.wait()
result, future = pool.spawn(task, 0), executor.submit(task, 1)
for opened in begun:
    opened.wait()
queued = executor.submit(print, "run once")
pid = fork()
if pid == 0:
    sys.exit(7)
_, status = raw_waitpid(pid, 0)
assert os.WEXITSTATUS(status) in STATUS, status
gate.open()
result.get(), future.result(), queued.result()
""",
}

#: What the programs write beside the last line.
WRITTEN = {"exits_beside_what_its_parent_runs": "run once\n"}


#: A filter of the kernel's that refuses `io_uring_setup`. A child shares libuv's ring with its
#: parent until its loop is made anew: if both poll before that, libuv aborts now and then, with a
#: pool or without.
NO_RING = """
def refuse_rings():
    import ctypes, struct
    steps = (0x20, 0, 0, 0), (0x15, 0, 1, 425), (0x06, 0, 0, 0x50000 | 38), (0x06, 0, 0, 0x7FFF0000)
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    filter = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(code)))
    prctl = ctypes.CDLL(None).prctl
    assert prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
    assert prctl(22, 2, filter) == 0  # PR_SET_SECCOMP
refuse_rings()
"""


def check(program: str, loop: str, written: str = "") -> None:
    if loop.startswith("libuv"):
        program = NO_RING + program
    # Python warns of a fork beneath threads, which is what this is about.
    options = ("-W", "ignore::DeprecationWarning", "-c", program + 'report("through")\n')
    pool = "hubpool.ThreadPool"
    process = run(*options, loop=loop, timeout=SECONDS, GEVENT_THREADPOOL=pool)
    outcome = (process.returncode, process.stdout, process.stderr)
    assert outcome == (0, written + "through\n", ""), process.stderr


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("claim", OWN_PROGRAMS)
def test_a_child(claim: str, way: str, loop: str) -> None:
    # The first child of two exits by itself.
    status = "STATUS = {7, 0}\n" if "_in_a_" in way else "STATUS = {7}\n"
    program = WAYS[way] + PRELUDE + SILENT + EXECUTOR + status + OWN_PROGRAMS[claim]
    check(program, loop, WRITTEN.get(claim, ""))


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("way", ["c_fork", "patched_c_fork"])
@pytest.mark.parametrize("claim", PROGRAMS)
def test_a_child_as_those_of_python(claim: str, way: str, loop: str) -> None:
    check(WAYS[way] + PRELUDE + SILENT + PROGRAMS[claim], loop)


#: Another thread may take the interpreter's lock as this one forks, and the child never gets it
#: then. So no other thread is there.
LETS_GO = """
import ctypes
fork = ctypes.CDLL(None).fork
"""


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("patched", [UNPATCHED, PATCHED], ids=["unpatched", "patched"])
def test_a_child_that_is_forked_without_the_interpreters_lock(patched: str, loop: str) -> None:
    claim = "may_use_what_was_only_made"
    body = OWN_PROGRAMS[claim].replace("for _ in range(2):", "for _ in range(1):")
    check(patched + LETS_GO + PRELUDE + SILENT + EXECUTOR + body, loop)


DAEMON = """
pools = [gevent.get_hub().threadpool, hubpool.ThreadPool(2)]
executor = ThreadPoolExecutor(2)
for pool in pools:
    use(pool)
use_executor(executor)
parent = os.getpid()
while not all_sleep():
    pass
assert ctypes.PyDLL(None).daemon(1, 1) == 0
assert os.getpid() != parent
for pool in pools:
    use(pool)
use_executor(executor)
"""


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("patched", [UNPATCHED, PATCHED], ids=["unpatched", "patched"])
def test_a_daemon(patched: str, loop: str) -> None:
    check(patched + C_FORK + PRELUDE + SILENT + EXECUTOR + DAEMON, loop)


#: The parent runs tasks, and a map is half read, as other programs are started.
STARTS_PROGRAMS = """
import subprocess, time
pool, executor = hubpool.ThreadPool(3), ThreadPoolExecutor(2)
begun, gate = Gate(), Gate()
def task():
    begun.open()
    gate.wait()
    return 7
result = pool.spawn(task)
begun.wait()
numbers = pool.imap(abs, range(50))
assert next(numbers) == 0
futures = [executor.submit(abs, -number) for number in range(50)]
program = [sys.executable, "-c", "print(7)"]
cores = pool._core, executor._core
for keywords in ({}, {"close_fds": False}, {"preexec_fn": int}, {"start_new_session": True}):
    done = subprocess.run(program, stdout=subprocess.PIPE, **keywords)
    assert done.stdout == b"7\\n"
subprocess._USE_VFORK = False
assert subprocess.run(program, stdout=subprocess.PIPE).stdout == b"7\\n"
pid = os.posix_spawn(sys.executable, [*program[:2], "pass"], os.environ)
assert raw_waitpid(pid, 0)[1] == 0
assert os.system("true") == 0
assert (pool._core, executor._core) == cores
gate.open()
assert result.get() == 7
assert list(numbers) == list(range(1, 50))
assert [future.result() for future in futures] == list(range(50))
use(pool)
use_executor(executor)
"""


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("patched", [UNPATCHED, PATCHED], ids=["unpatched", "patched"])
def test_a_program_that_is_started_leaves_the_pools_alone(patched: str, loop: str) -> None:
    check(patched + PRELUDE + SILENT + EXECUTOR + STARTS_PROGRAMS, loop)


#: The child's only thread is the worker's; it has nobody to give its result to.
JOB_THAT_FORKS = """
def fork(number):
    os.write(1, b".")
    return c_fork() if number == 2 else None
def initialize():
    pass
pool = hubpool.ThreadPool(2)
executors = ThreadPoolExecutor(2), ThreadPoolExecutor(2, initializer=initialize)
for jobs in (
    lambda: [pool.apply(fork, (2,))],
    lambda: pool.map(fork, range(5)),
    lambda: list(pool.imap_unordered(fork, iter(range(5)))),
    lambda: [executors[0].submit(fork, 2).result()],
    lambda: [executors[1].submit(fork, 2).result()],
):
    for _ in range(3):
        (pid,) = filter(None, jobs())
        assert raw_waitpid(pid, 0)[1] == 0
        assert pool.map(abs, [-1, -2]) == list(executors[0].map(abs, [-1, -2])) == [1, 2]
def ask():
    pid = c_fork()
    if pid == 0:
        try:
            hubpool.from_thread.run(int)
        except RuntimeError:
            os._exit(7)
        os._exit(1)
    return pid
import hubpool.from_thread
assert os.WEXITSTATUS(raw_waitpid(pool.apply(ask), 0)[1]) == 7
"""


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("patched", [UNPATCHED, PATCHED], ids=["unpatched", "patched"])
def test_the_child_of_a_job_ends_with_the_job(patched: str, loop: str) -> None:
    written = "." * 3 * (1 + 5 + 5 + 1 + 1)
    check(patched + C_FORK + PRELUDE + SILENT + EXECUTOR + JOB_THAT_FORKS, loop, written)


#: A daemon closes all that it has; what it opens then has the numbers of before.
CLOSES_ALL = """
pool = hubpool.ThreadPool(2)
use(pool)
os.closerange(3, 256)
ends = [os.pipe() for _ in range(40)]
for _, start in ends:
    os.write(start, b"7")
pid = fork()
if pid == 0:
    os._exit(0 if all(raw_read(end, 1) == b"7" for end, _ in ends) else 1)
assert raw_waitpid(pid, 0)[1] == 0
report("through")
os._exit(0)
"""


# libuv itself closes, in each child, the numbers that its own pipe has had.
@pytest.mark.parametrize("way", ["c_fork", "patched_c_fork"])
def test_what_has_the_number_of_a_closed_descriptor_is_left_alone(way: str) -> None:
    check(WAYS[way] + PRELUDE + SILENT + CLOSES_ALL, "libev-cext")
