"""On what machine a report was taken, and whether its cores were free.

A core that others use gives a spin less than all of its time. Two that are a virtual
machine's share of one core's hardware give all of it, and are slower together than alone:
that is no fault of the run, but it is told. Between the looks before and after, the kernel's
counters tell what others used and what the hypervisor kept.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

SPIN_SECONDS = 0.25
#: The share of its time that a free core gives before, during and after a run.
FREE = 0.95
#: How often a byte goes there and back.
HAND_OVERS = 2_000


@dataclass
class Conditions:
    """The machine of a run, and how free its cores were."""

    machine: dict[str, str]
    #: What look() saw, and what watched() saw of each part of the run.
    before: dict[str, Any]
    during: dict[str, dict[str, float]] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)

    @contextlib.contextmanager
    def watch(self, part: str) -> Iterator[None]:
        """Note what others use during a part of the run."""
        with watched() as self.during[part]:
            yield

    def lines(self) -> Iterator[str]:
        """Put everything in words."""
        yield f"The machine: {describe_machine(self.machine)}."
        yield f"The cores before: {describe(self.before)}."
        for part, seen in self.during.items():
            yield f"The cores during {part}: {describe_watched(seen)}."
        yield f"The cores after: {describe(self.after)}."


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
            [sys.executable, __file__, "spin", str(core)],
            stdout=subprocess.PIPE,
        )
        for core in cores
    ]
    return [json.loads(process.communicate()[0]) for process in processes]


def echo(core: int) -> None:
    """Send each byte of the standard input back, from this core."""
    os.sched_setaffinity(0, {core})
    while byte := os.read(0, 1):
        os.write(1, byte)


def hand_over(core: int, other: int) -> dict[str, float]:
    """Send a byte there and back between processes on two cores; return the seconds of one way."""
    os.sched_setaffinity(0, {core})
    process = subprocess.Popen(
        [sys.executable, __file__, "echo", str(other)],
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin
    assert process.stdout
    there, back = process.stdin.fileno(), process.stdout.fileno()
    took = []
    for _ in range(HAND_OVERS):
        start = time.perf_counter()
        os.write(there, b".")
        os.read(back, 1)
        took.append((time.perf_counter() - start) / 2)
    process.communicate()
    took.sort()
    return {"median": statistics.median(took), "p99": took[int(0.99 * len(took))]}


def hand_over_on(core: int, other: int) -> dict[str, float]:
    """Measure a hand-over in a process of its own, whose cores may be changed."""
    command = [sys.executable, __file__, "hand-over", str(core), str(other)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    found: dict[str, float] = json.loads(answer.stdout)
    return found


def identify() -> dict[str, str]:
    """Name the machine, as util-linux and the kernel do."""
    answer = subprocess.run(
        ["lscpu", "--json"],
        check=True,
        stdout=subprocess.PIPE,
        env={**os.environ, "LC_ALL": "C"},
    )
    known = {line["field"].rstrip(":"): line["data"] for line in json.loads(answer.stdout)["lscpu"]}
    return {
        "model": known.get("Model name", known.get("Architecture", "unknown")),
        "cores": known.get("CPU(s)", "?"),
        "threads of a core": known.get("Thread(s) per core", "?"),
        "hypervisor": known.get("Hypervisor vendor", "none"),
        "kernel": platform.release(),
    }


def look(cores: list[int]) -> dict[str, Any]:
    """Say how free the cores are now, and what a hand-over between processes costs on them."""
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
        "switch": hand_over_on(cores[0], cores[0]),
        "wake_up": hand_over_on(cores[0], cores[1]) if len(cores) > 1 else None,
    }


@contextlib.contextmanager
def watched() -> Iterator[dict[str, float]]:
    """Give what fills, at the end, with what others and the hypervisor took of the cores.

    Only the processes that have ended by then count as the run's own.
    """
    seen: dict[str, float] = {}
    start, (busy, stolen), own = time.perf_counter(), used(), own_cpu()
    yield seen
    wall = time.perf_counter() - start
    busy_now, stolen_now = used()
    others = (busy_now - busy) - (own_cpu() - own)
    seen.update(others=max(0.0, others) / wall, stolen=(stolen_now - stolen) / wall)


def used() -> tuple[float, float]:
    """Return the seconds that all cores were busy, and that the hypervisor kept from them."""
    import psutil  # noqa: PLC0415 - a spin does without

    times = psutil.cpu_times()
    busy = times.user + times.nice + times.system + times.irq + times.softirq
    return busy, times.steal


def own_cpu() -> float:
    """Return the CPU seconds of this process and of all that have ended within it."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def describe(seen: dict[str, Any]) -> str:
    """Put a look in words."""
    shares = ", ".join(f"{share:.0%}" for share in seen["shares"])
    speeds = ", ".join(f"{speed:.0%}" for speed in seen["speeds"])
    verdict = "free" if seen["free"] else "NOT free"
    return (
        f"{verdict} (load average {seen['load']:.2f}; a spin on each at once got {shares} of the "
        f"time, at {speeds} of the speed of one alone; {describe_costs(seen)})"
    )


def describe_costs(seen: dict[str, Any]) -> str:
    """Put the costs of a hand-over between two processes in words."""
    told = [f"a byte to a process on the same core took {microseconds(seen['switch'])}"]
    if seen["wake_up"] is not None:
        told.append(f"to one asleep on the other core {microseconds(seen['wake_up'])}")
    return ", ".join(told)


def microseconds(cost: dict[str, float]) -> str:
    """Write a median and its worst cases."""
    return f"{cost['median'] * 1e6:.1f} us (p99 {cost['p99'] * 1e6:.1f} us)"


def describe_watched(seen: dict[str, float]) -> str:
    """Put in words what others took."""
    verdict = "free" if sum(seen.values()) <= 1 - FREE else "NOT free"
    return (
        f"{verdict} (others used {seen['others']:.2f} of a core, the hypervisor kept "
        f"{seen['stolen']:.2f} of a core)"
    )


def describe_machine(known: dict[str, str]) -> str:
    """Put in words what machine it is."""
    return (
        f"{known['model']}, {known['cores']} CPUs, {known['threads of a core']} thread(s) of each "
        f"core, hypervisor {known['hypervisor']}, Linux {known['kernel']}"
    )


if __name__ == "__main__":
    task, *cores = sys.argv[1:]
    if task == "spin":
        print(json.dumps(spin(int(cores[0]))))
    elif task == "echo":
        echo(int(cores[0]))
    else:
        print(json.dumps(hand_over(int(cores[0]), int(cores[1]))))
