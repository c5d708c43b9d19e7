"""Two sides, measured in turns: samples of each, and the ratios of their pairs.

A row names a piece of work and has a function for each side that takes one sample. Both
sides are sampled again and again in one process, in turns the one first and the other, so
that what disturbs the machine disturbs both. What counts is the median of the ratios.
"""

from __future__ import annotations

import gc
import statistics
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from typing import TypeAlias


class NotRunError(Exception):
    """A row cannot be measured on this machine; the message says why."""


@dataclass(frozen=True)
class Sample:
    """What one side took, once."""

    #: What the row is about, in its unit; the less the better.
    value: float
    #: Seconds of CPU that a task took, in all threads; `None` where that says nothing.
    cpu: float | None = None
    #: Further values of the same run, each by its name; the less the better.
    more: Mapping[str, float] = field(default_factory=dict)


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
    #: How many times the usual budget it gets, and exactly how many pairs, if not as usual.
    weight: float = 1
    pairs: int | None = None
    #: What the report tells: the "ratio", the "values", or "both".
    shown: str = "ratio"
    #: The name of the sample's first value, where the sample has more than one.
    told: str = ""
    #: The units of the further values that are not seconds.
    units: Mapping[str, str] = field(default_factory=dict)
    #: Samples the same work by bare threads that have no pool.
    floor: Sampler | None = None
    #: Whether each round samples the peer a second time, against itself.
    noise: bool = False
    #: Whether the report lists each pair.
    each: bool = False
    #: Where the row is measured: on one core, on two, or on both.
    cores: tuple[int, ...] = (1, 2)


@dataclass(frozen=True)
class Effort:
    """How long to measure a row."""

    #: Seconds for all samples of both sides. Work that takes longer gets longer.
    budget: float
    #: The fewest and the most pairs.
    least: int
    most: int
    #: Whether a row that wants an exact number of pairs gets fewer.
    quick: bool = False

    def pairs(self, wanted: int | None) -> tuple[int, int]:
        """Return the fewest and the most pairs of a row."""
        if wanted is None:
            return self.least, self.most
        if self.quick:
            return min(self.least, wanted), min(self.most, wanted)
        return wanted, wanted


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
    #: What bare threads take, and how many times as much hubpool takes.
    floor: float | None = None
    floor_ratio: Spread | None = None
    #: The ratio of the peer to itself, sampled twice in each round.
    noise: Spread | None = None
    #: The samples of each pair, hubpool's first, if the row wants them told.
    each: list[tuple[Sample, Sample]] | None = None
    #: The units of the samples' further values that are not seconds.
    units: Mapping[str, str] = field(default_factory=dict)
    #: Why nothing was measured.
    not_run: str | None = None

    @classmethod
    def missing(cls, row: Row, reason: str) -> Figure:
        """Make the figure of a row that cannot be measured here."""
        nothing = Spread(0.0, 0.0, 0.0)
        return cls(row.section, row.work, row.threads, 0.0, 0.0, nothing, not_run=reason)


@dataclass(frozen=True)
class Round:
    """One sample of each side."""

    ours: Sample
    peer: Sample
    floor: Sample | None = None
    again: Sample | None = None


def quotient(peer: float, ours: float) -> float:
    """Divide, where both may be too little to be seen."""
    smallest = 1e-9
    return max(peer, smallest) / max(ours, smallest)


def alternate(row: Row, effort: Effort) -> Iterator[Figure]:
    """Sample all sides in turns until the row's budget is spent; make a figure of each value."""
    least, most = effort.pairs(row.pairs)
    samplers = {"ours": row.ours, "peer": row.peer}
    if row.floor is not None:
        samplers["floor"] = row.floor
    if row.noise:
        samplers["again"] = row.peer
    budget = effort.budget * row.weight
    seconds = budget / most / 2
    # A third side takes time of its own, and none of the two sides'.
    end = time.perf_counter() + budget * (1 if effort.quick else len(samplers) / 2)
    rounds: list[Round] = []
    while len(rounds) < most and (len(rounds) < least or time.perf_counter() < end):
        order = reversed(samplers) if len(rounds) % 2 else iter(samplers)
        rounds.append(Round(**{side: samplers[side](seconds) for side in order}))
    yield figure(row, rounds)
    for name in rounds[0].ours.more:
        yield further_figure(row, rounds, name)


def figure(row: Row, rounds: list[Round]) -> Figure:
    """Sum up the first value of each sample."""
    pairs = [(each.ours, each.peer) for each in rounds]
    cpu = [(a.cpu, b.cpu) for a, b in pairs if a.cpu is not None and b.cpu is not None]
    floors = [(each.ours.value, each.floor.value) for each in rounds if each.floor]
    return Figure(
        row.section,
        f"{row.work}: {row.told}" if row.told else row.work,
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
        floor=statistics.median(floor for _, floor in floors) if floors else None,
        floor_ratio=Spread.of([quotient(*pair) for pair in floors]) if floors else None,
        noise=noise(rounds),
        each=pairs if row.each else None,
        units=row.units,
    )


def noise(rounds: list[Round]) -> Spread | None:
    """Compare the peer with itself, if it was sampled twice."""
    again = [quotient(each.peer.value, each.again.value) for each in rounds if each.again]
    return Spread.of(again) if again else None


def further_figure(row: Row, rounds: list[Round], name: str) -> Figure:
    """Sum up the value of each sample that has this name."""

    def only(sample: Sample | None) -> Sample | None:
        return Sample(sample.more[name]) if sample and name in sample.more else None

    there = [
        Round(
            Sample(each.ours.more[name]),
            Sample(each.peer.more[name]),
            only(each.floor),
            only(each.again),
        )
        for each in rounds
    ]
    unit = row.units.get(name, "s")
    # A count may be so near nothing that its ratio says nothing.
    shown = "both" if unit else "values"
    return figure(replace(row, told=name, unit=unit, shown=shown, each=False), there)


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
