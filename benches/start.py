"""Start: a program uses one pool once, from exec to exit; each time in a new process."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from measure import Row, Sample

if TYPE_CHECKING:
    from collections.abc import Iterator

    from measure import Sampler

SECTION = "Start"
WORK = "a program that uses one pool once, from exec to exit (floor: gevent's hub, no pool)"
USE = "assert ThreadPool(1).apply(abs, (-1,)) == 1"
PROGRAMS = {
    "hubpool": f"from hubpool import ThreadPool; {USE}",
    "gevent": f"from gevent.threadpool import ThreadPool; {USE}",
    "none": "import gevent; gevent.sleep(0); assert abs(-1) == 1",
}


def from_exec_to_exit(side: str) -> Sampler:
    """Make what samples the time of a process."""

    def sample(seconds: float) -> Sample:
        done = 0
        cpu, start = cpu_of_children(), time.perf_counter()
        while (wall := time.perf_counter() - start) < seconds or not done:
            subprocess.run([sys.executable, "-c", PROGRAMS[side]], check=True)
            done += 1
        return Sample(wall / done, (cpu_of_children() - cpu) / done)

    return sample


def cpu_of_children() -> float:
    """Return the CPU seconds of all processes that this one has waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def rows() -> Iterator[Row]:
    """List the only row."""
    ours, peer, floor = (from_exec_to_exit(side) for side in PROGRAMS)
    yield Row(
        SECTION, WORK, ours, peer, 1, shown="both", libuv=True, floor=floor, noise=True, weight=3
    )
