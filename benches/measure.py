"""Two sides, measured in turns: samples of each, and the ratios of their pairs.

A row names a piece of work and has a function for each side that takes one sample. Both
sides are sampled again and again in one process, in turns the one first and the other, so
that what disturbs the machine disturbs both. What counts is the median of the ratios.
"""

from __future__ import annotations

import gc
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from typing import TypeAlias


@dataclass(frozen=True)
class Sample:
    """What one side took, once."""

    #: What the row is about, in its unit; the less the better.
    value: float
    #: Seconds of CPU that a task took, in all threads; `None` where that says nothing.
    cpu: float | None = None


#: Takes a sample for about so many seconds.
Sampler: TypeAlias = "Callable[[float], Sample]"
#: Makes what a side's work is done on, with its threads started, and unmakes it.
Opener: TypeAlias = "Callable[[], AbstractContextManager[Any]]"


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    section: str
    work: str
    ours: Sampler
    peer: Sampler
    threads: int | None = None
    unit: str = "s"
    #: Whether it is also measured on libuv.
    libuv: bool = False
    #: How many times the usual budget it gets, and how many pairs, if not as usual.
    weight: float = 1
    pairs: int | None = None
    #: What the report tells: the "ratio", the "values", or "both".
    shown: str = "ratio"


@dataclass(frozen=True)
class Effort:
    """How long to measure a row."""

    #: Seconds for all samples of both sides. Work that takes longer gets longer.
    budget: float
    #: The fewest and the most pairs.
    least: int
    most: int


@dataclass(frozen=True)
class Spread:
    """The median of all pairs, and how far they are apart."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """Sum the values up."""
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class Figure:
    """A row's outcome; a ratio above 1 means that hubpool took less."""

    section: str
    work: str
    threads: int | None
    #: The medians of the samples' values.
    hubpool: float
    peer: float
    ratio: Spread
    unit: str = "s"
    shown: str = "ratio"
    pairs: int = 0
    #: The same for the CPU seconds of a task.
    hubpool_cpu: float | None = None
    peer_cpu: float | None = None
    cpu_ratio: Spread | None = None


def quotient(peer: float, ours: float) -> float:
    """Divide, where both may be too little to be seen."""
    smallest = 1e-9
    return max(peer, smallest) / max(ours, smallest)


def alternate(row: Row, effort: Effort) -> Figure:
    """Sample both sides in turns, until the row's budget is spent."""
    most = row.pairs or effort.most
    least = min(most, effort.least)
    budget = effort.budget * row.weight
    end = time.perf_counter() + budget
    pairs: list[tuple[Sample, Sample]] = []
    while len(pairs) < most and (len(pairs) < least or time.perf_counter() < end):
        seconds = budget / most / 2
        if len(pairs) % 2:
            peer = row.peer(seconds)
            ours = row.ours(seconds)
        else:
            ours = row.ours(seconds)
            peer = row.peer(seconds)
        pairs.append((ours, peer))
    cpu = [(a.cpu, b.cpu) for a, b in pairs if a.cpu is not None and b.cpu is not None]
    return Figure(
        row.section,
        row.work,
        row.threads,
        hubpool=statistics.median(ours.value for ours, _ in pairs),
        peer=statistics.median(peer.value for _, peer in pairs),
        ratio=Spread.of([quotient(peer.value, ours.value) for ours, peer in pairs]),
        unit=row.unit,
        shown=row.shown,
        pairs=len(pairs),
        hubpool_cpu=statistics.median(ours for ours, _ in cpu) if cpu else None,
        peer_cpu=statistics.median(peer for _, peer in cpu) if cpu else None,
        cpu_ratio=Spread.of([quotient(peer, ours) for ours, peer in cpu]) if cpu else None,
    )


def timing(open_side: Opener, run: Callable[[Any], None], tasks: int) -> Sampler:
    """Make what samples the seconds of a task, where a run has so many tasks."""

    def sample(seconds: float) -> Sample:
        with open_side() as subject:
            # Nobody pays for the other side's garbage.
            gc.collect()
            done = 0
            cpu, start = time.process_time(), time.perf_counter()
            while True:
                run(subject)
                done += tasks
                wall = time.perf_counter() - start
                if wall >= seconds:
                    break
            cpu = time.process_time() - cpu
        return Sample(wall / done, cpu / done)

    return sample
