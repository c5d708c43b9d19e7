"""What a pool costs beside its work: idle CPU, memory, the first result, the import.

Each sample is taken in a new process, which this file is the program of::

    python benches/costs.py memory hubpool 1
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from measure import Sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from measure import Sampler

#: Many enough that a task's share of what the allocator takes at once is small.
QUEUED = 20_000
MODULES = {"hubpool": "hubpool", "gevent": "gevent.threadpool"}


def in_new_process(resource: str, side: str) -> Sampler:
    """Make what samples a resource of a side's."""

    def sample(seconds: float) -> Sample:
        command = [sys.executable, __file__, resource, side, str(seconds)]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        return Sample(**json.loads(answer.stdout))

    return sample


def idle(side: str, seconds: float) -> Sample:
    """Sample the CPU that a pool takes a second, with ten threads and nothing to do."""
    import gevent  # noqa: PLC0415

    import sides  # noqa: PLC0415

    pool = sides.POOLS[side](10)
    pool.size = 10
    sides.start_threads(pool, 10)
    gevent.sleep(0.1)
    cpu, start = time.process_time(), time.perf_counter()
    gevent.sleep(seconds)
    wall = time.perf_counter() - start
    return Sample((time.process_time() - cpu) / wall)


def memory(side: str, _seconds: float) -> Sample:
    """Sample the memory of a task that waits in a pool's queue."""
    import sides  # noqa: PLC0415

    pool = sides.POOLS[side](1)
    sides.add_backlog(pool, QUEUED // 10)()
    pool.join()
    before = resident()
    let_go = sides.add_backlog(pool, QUEUED)
    taken = resident() - before
    let_go()
    return Sample(taken / QUEUED)


def executor_memory(side: str, _seconds: float) -> Sample:
    """Sample the memory of a task that waits in an executor's queue."""
    import threading  # noqa: PLC0415

    import sides  # noqa: PLC0415

    with sides.EXECUTORS[side](1) as executor:
        gate = threading.Event()
        executor.submit(gate.wait)
        futures = [executor.submit(int) for _ in range(QUEUED // 10)]
        before = resident()
        futures += [executor.submit(int) for _ in range(QUEUED)]
        taken = resident() - before
        gate.set()
    return Sample(taken / QUEUED)


def first(side: str, _seconds: float) -> Sample:
    """Sample the time from a process's first pool to its first result."""
    import gevent  # noqa: PLC0415

    import sides  # noqa: PLC0415

    gevent.sleep(0)
    cpu, start = time.process_time(), time.perf_counter()
    sides.POOLS[side](1).apply(abs, (-1,))
    wall = time.perf_counter() - start
    return Sample(wall, time.process_time() - cpu)


def importing(side: str, _seconds: float) -> Sample:
    """Sample the time of an import, with all that it brings along."""
    # In one more process, where nothing of that is there yet.
    program = f"""
import time
cpu, start = time.process_time(), time.perf_counter()
import {MODULES[side]}
print(time.perf_counter() - start, time.process_time() - cpu)
"""
    command = [sys.executable, "-c", program]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    wall, cpu = map(float, answer.stdout.split())
    return Sample(wall, cpu)


def resident() -> int:
    """Return the bytes of memory that this process has."""
    import psutil  # noqa: PLC0415

    size: int = psutil.Process().memory_info().rss
    return size


RESOURCES: dict[str, Callable[[str, float], Sample]] = {
    "idle": idle,
    "memory": memory,
    "executor-memory": executor_memory,
    "first": first,
    "import": importing,
}


if __name__ == "__main__":
    resource, side, seconds = sys.argv[1:]
    print(json.dumps(asdict(RESOURCES[resource](side, float(seconds)))))
