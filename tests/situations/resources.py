"""No threads, no descriptors, no memory; and pools that come and go."""

from __future__ import annotations

#: As no thread can be started. Root may start as many as it likes.
_NO_THREADS = """
import resource
def forbid():
    if os.getuid() == 0:
        os.setresuid(65534, 65534, 0)
    resource.setrlimit(resource.RLIMIT_NPROC, (0, resource.getrlimit(resource.RLIMIT_NPROC)[1]))
def allow():
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    resource.setrlimit(resource.RLIMIT_NPROC, (hard, hard))
    os.setresuid(-1, 0, 0) if os.getresuid()[2] == 0 else None
"""

_CAME_AND_WENT = """
def left():
    gc.collect()
    return threads(), len(os.listdir("/proc/self/fd")), len(threading._active)
def memory():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1])
def round(number):
    for _ in range(number):
        pool = ThreadPool(2)
        assert pool.map(abs, [-1, -2]) == [1, 2]
        {end}
round(50)
until(lambda: left()[0] == 1, 2)
before, memory_before = left(), memory()
round(1000)
check(until(lambda: left()[0] <= before[0], 5), "their threads stay")
check(left() == before, f"they leave {left()} where there was {before}")
check(memory() - memory_before < 1000, f"they leave {(memory() - memory_before) * 4} KiB")
gevent.wait(timeout=5)
"""

PROGRAMS = {
    "no thread, for a new pool": _NO_THREADS
    + """
pool, ran = ThreadPool(2), []
forbid()
with raises(RuntimeError):
    pool.spawn(ran.append, "spawned")
with raises(RuntimeError):
    pool.apply(ran.append, ("applied",))
with raises(RuntimeError):
    pool.map(ran.append, ["mapped"])
allow()
use(pool)
pool.join()
check(ran == [], "what failed is run all the same")
""",
    "no further thread, for a pool that has one": _NO_THREADS
    + """
pool = ThreadPool(4)
pool.apply(int)
pool.size = 1
forbid()
results = [pool.spawn(abs, -number) for number in range(5)]
check([result.get() for result in results] == list(range(5)), "a wrong result")
check(pool.map(abs, range(-50, 0)) == list(range(50, 0, -1)), "a wrong result")
check(pool.size == 1, "there are more")
allow()
use(pool)
""",
    "no thread, for an executor": _NO_THREADS
    + """
executor, ran = ThreadPoolExecutor(2), []
forbid()
with raises(RuntimeError):
    executor.submit(ran.append, 1)
allow()
check(executor.submit(abs, -2).result() == 2, "a wrong result")
check(ran == [], "what failed is run all the same")
""",
    "no address space for a thread": """
import resource
pool, ran = ThreadPool(2), []
with open("/proc/self/status") as status:
    size = int(next(line for line in status if line.startswith("VmSize")).split()[1]) * 1024
soft, hard = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (size + 2**20, hard))
threading.stack_size(64 * 2**20)
with raises(RuntimeError, MemoryError):
    pool.spawn(ran.append, 1)
threading.stack_size(0)
resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
use(pool)
check(ran == [], "what failed is run all the same")
""",
    "no descriptor, for a new pool": """
import resource
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
gevent.get_hub(), gevent.sleep(0.001)
resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) - 1, hard))
try:
    pool = ThreadPool(1)
except OSError:
    pool = None
if pool is not None:
    use(pool)
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
use(ThreadPool(1))
""",
    "1,000 pools that are killed": _CAME_AND_WENT.replace("{end}", "pool.kill()"),
    "1,000 pools that are dropped": _CAME_AND_WENT.replace("{end}", "del pool"),
    "1,000 pools that are left to the collector": _CAME_AND_WENT.replace(
        "{end}", "cycle = [pool]; cycle.append(cycle)"
    ),
    "1,000 executors that are shut down": _CAME_AND_WENT.replace(
        "ThreadPool(2)", "ThreadPoolExecutor(2)"
    )
    .replace("pool.map(abs, [-1, -2])", "list(pool.map(abs, [-1, -2]))")
    .replace("{end}", "pool.shutdown()"),
    "1,000 hubs in threads, each with a pool": """
def work():
    pool = ThreadPool(1)
    assert pool.apply(abs, (-1,)) == 1
    pool.kill()
    gevent.get_hub().destroy(destroy_loop=True)
def round(number):
    for _ in range(number):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
def left():
    gc.collect()
    return threads(), len(os.listdir("/proc/self/fd")), len(threading._active)
round(20)
until(lambda: threads() == 1, 5)
before = left()
round(1000)
check(until(lambda: left() == before, 5), f"they leave {left()} where there was {before}")
""",
    "a pool that nobody uses": """
pool = ThreadPool(4)
pool.size = 4
pool.map(abs, range(100))
before = time.process_time()
gevent.sleep(1)
check(time.process_time() - before < 0.02, "it takes CPU time")
""",
}
