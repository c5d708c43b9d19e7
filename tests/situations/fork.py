"""A fork at any moment: parent and child go on to use their pools."""

from __future__ import annotations

#: How a program forks.
WAYS = {
    "`os.fork()`": "fork = os.fork\n",
    "`os.fork()`, patched": "from gevent import monkey; monkey.patch_all(); fork = os.fork\n",
    "`gevent.os.fork()`": "fork = gevent.os.fork\n",
    "`multiprocessing`": """
import multiprocessing
def fork():
    raise NotImplementedError
def in_child(fork, function):
    def run():
        with gevent.Timeout(3):
            function()
    process = multiprocessing.get_context("fork").Process(target=run)
    sys.stderr = open(os.devnull, "w")  # It prints what the child raises.
    process.start()
    sys.stderr = sys.__stderr__
    process.join()
    return process.exitcode
""",
}

#: What the parent's pool is about. A gate is opened when the child has ended.
STATES = {
    "idle": """
pool.apply(int)
results = []
""",
    "busy": """
results = [pool.spawn(gate, 0)]
gate.await_begun()
""",
    "its queue full": """
results = [pool.spawn(gate, number) for number in range(3)]
gate.await_begun(2)
""",
    "half way in a map": """
results = [gevent.spawn(pool.map, gate, range(10))]
gevent.sleep(0.01)
gate.await_begun(2)
""",
}

_CHILD = """
gate, pool = Gate(), ThreadPool(2)
{state}
def child():
    use(pool)
    {again}
    gate.open()
    use(pool)
    assert gate.ended == [], "the child runs its parent's tasks"
check(in_child(fork, child) == 0, "a child's task is lost")
check(in_child(fork, child) == 0, "a second child's task is lost")
check(gate.ended == [], "something has opened the gate")
gate.open()
for result in results:
    result.get(timeout=3)
use(pool)
"""

PROGRAMS = {
    f"{way}, the pool {state}": f"{WAYS[way]}"
    + _CHILD.replace("{state}", STATES[state]).replace("{again}", "")
    for way in WAYS
    for state in STATES
}
for way in ("`os.fork()`", "`os.fork()`, patched", "`gevent.os.fork()`"):
    PROGRAMS[f"{way}, and again in the child"] = WAYS[way] + _CHILD.replace(
        "{state}", STATES["busy"]
    ).replace("{again}", "assert in_child(fork, lambda: use(pool)) == 0")
PROGRAMS |= {
    "`os.fork()` in a worker": """
pool = ThreadPool(2)
use(pool)
def child():
    assert pool.apply(os.getpid) == os.getpid()
    use(ThreadPool(1))
check(pool.apply(in_child, (os.fork, child)) == 0, "a child's task is lost")
use(pool)
""",
    "a hook that uses the pool as a child begins": """
pool, told = ThreadPool(2), []
use(pool)
os.register_at_fork(after_in_child=lambda: told.append(pool.spawn(os.getpid)))
def child():
    assert told[0].get() == os.getpid()
    use(pool)
check(in_child(gevent.os.fork, child) == 0, "the hook's task is lost")
use(pool)
""",
    "the same, by a hook older than the pool's": """
pool, told = ThreadPool(2), []
use(pool)
def child():
    assert told[0].get() == os.getpid()
    use(pool)
TELL.append(lambda: told.append(pool.spawn(os.getpid)))
check(in_child(gevent.os.fork, child) == 0, "the hook's task is lost")
TELL.clear()
use(pool)
""",
    "`subprocess` in workers and beside them": """
import subprocess
pool = ThreadPool(4)
def run(number):
    return int(subprocess.run([sys.executable, "-S", "-c", f"print({number})"],
                              stdout=subprocess.PIPE, check=True).stdout)
mapping = gevent.spawn(pool.map, run, range(8))
beside = gevent.spawn(lambda: [run(number) for number in range(3)])
check(mapping.get() == list(range(8)), "a wrong result")
check(beside.get() == list(range(3)), "a wrong result")
use(pool)
""",
    "an executor in a child": """
executor = ThreadPoolExecutor(2)
gate = Gate()
held = [executor.submit(gate, number) for number in range(3)]
gate.await_begun(2)
def child():
    assert executor.submit(os.getpid).result(timeout=2) == os.getpid()
    assert list(executor.map(abs, [-1, -2])) == [1, 2]
check(in_child(gevent.os.fork, child) == 0, "the child's task is lost")
gate.open()
check([future.result(timeout=3) for future in held] == [0, 1, 2], "the parent's are lost")
""",
}
