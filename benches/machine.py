"""Whether the cores were free: how much of each a spin gets, and how fast it is there.

A core that others use gives a spin less than all of its time. Two that are a virtual
machine's share of one core's hardware give all of it, and are slower together than alone:
that is no fault of the run, but it is told.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

SPIN_SECONDS = 0.25
#: The share of its time that a free core gives.
FREE = 0.95


def spin(core: int) -> dict[str, float]:
    """Count on a core; return the share of its time that this took, and the speed."""
    os.sched_setaffinity(0, {core})
    counted = 0
    cpu, start = time.process_time(), time.perf_counter()
    while (wall := time.perf_counter() - start) < SPIN_SECONDS:
        for _ in range(10_000):
            pass
        counted += 10_000
    return {"share": (time.process_time() - cpu) / wall, "speed": counted / wall}


def spin_on(cores: list[int]) -> list[dict[str, float]]:
    """Spin on cores at once, each in a process of its own."""
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, str(core)],
            stdout=subprocess.PIPE,
        )
        for core in cores
    ]
    return [json.loads(process.communicate()[0]) for process in processes]


def look(cores: list[int]) -> dict[str, Any]:
    """Say how free the cores are now."""
    load = os.getloadavg()[0]
    alone = max(spin_on([core])[0]["speed"] for core in cores)
    together = spin_on(cores)
    shares = [each["share"] for each in together]
    speeds = [each["speed"] / alone for each in together]
    return {
        "load": load,
        "shares": shares,
        "speeds": speeds,
        "free": min(shares) >= FREE,
    }


def describe(seen: dict[str, Any]) -> str:
    """Put it in words."""
    shares = ", ".join(f"{share:.0%}" for share in seen["shares"])
    speeds = ", ".join(f"{speed:.0%}" for speed in seen["speeds"])
    verdict = "free" if seen["free"] else "NOT free"
    return (
        f"{verdict} (load average {seen['load']:.2f}; a spin on each at once got {shares} of the "
        f"time, at {speeds} of the speed of one alone)"
    )


if __name__ == "__main__":
    print(json.dumps(spin(int(sys.argv[1]))))
