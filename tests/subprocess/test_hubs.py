"""Hubs that are destroyed while their loop, or their pools, live on."""

from __future__ import annotations

import pytest
from running import LOOPS, run

PROGRAM = """
import gc, os, sys
import gevent, hubpool
from gevent import get_hub, socket

pools = []
for number in range(10):
    pool = hubpool.ThreadPool(1)
    assert pool.map(abs, [-1, -2]) == [1, 2]
    if KEEP:
        pools.append(pool)
    pool.kill()
    get_hub().destroy(destroy_loop=False)
    del pool
    if number % 2:
        gc.collect()
    # These get the number of a descriptor that a wake may just have closed.
    reader, writer = socket.socketpair()
    waiter = gevent.spawn(reader.recv, 10)
    gevent.sleep(0.001)
    writer.send(b"x")
    assert waiter.get(timeout=10) == b"x"
    reader.close()
    writer.close()
    others = len(os.listdir("/proc/self/fd"))
    if number == 1:
        before = others
# That of the last one may be closed only when the next one is made.
assert others <= before + 1, (others, before)
print("done")
"""


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("keep", [False, True])
def test_a_loop_outlives_its_hubs(loop: str, keep: bool) -> None:
    # The development mode fills what has been freed, and shows what is left open.
    program = PROGRAM.replace("KEEP", str(keep))
    done = run("-X", "dev", "-c", program, loop=loop, timeout=120)
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr
    assert done.stderr == ""


EVENT_PROGRAM = """
from gevent import monkey
monkey.patch_all()
import threading
import gevent.threadpool, hubpool

for kind in (gevent.threadpool.ThreadPoolExecutor, hubpool.ThreadPoolExecutor):
    executor = kind(1)
    event = threading.Event()
    try:
        executor.submit(event.wait).result(60)
    except BaseException as error:
        print(type(error).__name__)
    event.set()
    executor.shutdown()
"""


@pytest.mark.parametrize("loop", LOOPS)
def test_a_task_that_waits_for_a_patched_event_alone_ends_as_on_gevents_executor(
    loop: str,
) -> None:
    done = run("-c", EVENT_PROGRAM, loop=loop, timeout=120)
    assert (done.stdout, done.returncode) == ("LoopExit\nLoopExit\n", 0), done.stderr
