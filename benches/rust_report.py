"""What was measured of the crate: goals, shares, and the files of a report."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from measure import Figure, Sample, Spread, quotient
from report import CORES, spread, times

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from machine import Conditions
    from report import Sections

OURS = "hubpool"
HOW = (
    "Who awaits is a plain thread in `futures_lite::future::block_on`. Pools whose jobs return "
    "nothing send each result through a channel of `oneshot`; crossbeam-channel, kanal and "
    "async-channel are threads by hand that take boxed jobs from such a channel. A limit of their "
    "own on what is in flight have hubpool, kanal and async-channel, whose submitter is suspended; "
    "for the others it is by hand: the oldest future is awaited before the next job is submitted. "
    "Maps are hubpool's own, and for the others by hand: an ordered one awaits the oldest future, "
    "an unordered one has its results from one channel (affinitypool's, whose tasks end with their "
    "futures, from a `FuturesUnordered`); all are at most 1,024 items ahead. Bytes are those asked "
    "of the allocator, with the future's channel and without the place of the future itself. All "
    "check what the jobs return. The C library is told to keep the memory of a burst for the next "
    "one (`MALLOC_TRIM_THRESHOLD_`, `MALLOC_MMAP_THRESHOLD_`): by default some contenders, hubpool "
    "and tokio among them, spend half of a burst's time on pages that come and go, and others "
    "none, as the sizes of what they ask for happen to be.",
)


@dataclass(frozen=True)
class Goal:
    """How much hubpool may take."""

    #: Of what: of the "best" peer's, of a peer's that is named, of its own for another "row";
    #: or the "value" itself.
    against: str
    at_most: float
    #: Where it holds, if not on one core and on two.
    cores: int | None = None
    #: The name of the other row.
    of: str = ""

    def describe(self, unit: str) -> str:
        """Put it in words."""
        if self.against == "value":
            return f"at most {amount(self.at_most, unit)}"
        against = {"best": "the best peer", "row": self.of}.get(self.against, self.against)
        return f"at most {self.at_most:g}x {against}"


@dataclass(frozen=True)
class Outcome:
    """All samples of a row."""

    name: str
    work: str
    threads: int
    cores: int
    unit: str
    goals: tuple[Goal, ...]
    samples: dict[str, list[Sample]]

    def median(self, contender: str) -> float:
        """Return what a contender usually takes."""
        return statistics.median(sample.value for sample in self.samples[contender])

    def best_peer(self) -> str:
        """Return whose median is the least, hubpool's aside."""
        return min((name for name in self.samples if name != OURS), key=self.median)

    def share(self, peer: str) -> Spread:
        """Return hubpool's share of what a peer takes, over the rounds."""
        pairs = zip(self.samples[OURS], self.samples[peer], strict=True)
        return Spread.of([quotient(ours.value, other.value) for ours, other in pairs])

    def cpu_share(self, peer: str) -> float | None:
        """Return the same of the CPU seconds, if they say anything."""
        pairs = zip(self.samples[OURS], self.samples[peer], strict=True)
        shares = [quotient(a.cpu, b.cpu) for a, b in pairs if a.cpu and b.cpu]
        return statistics.median(shares) if shares else None

    def aims(self) -> list[Goal]:
        """Return the goals for so many cores."""
        return [goal for goal in self.goals if goal.cores in (None, self.cores)]

    def cell(self, peer: str) -> str:
        """Write hubpool's share of a peer's; or what the peer takes, where many take nothing."""
        if self.unit == "/s":
            return amount(self.median(peer), self.unit)
        cpu = self.cpu_share(peer)
        return spread(self.share(peer)) + (f", CPU {times(cpu)}x" if cpu is not None else "")

    def lines(self) -> Iterator[str]:
        """Write all that the contenders took, the least first."""
        for name in sorted(self.samples, key=self.median):
            told = name == OURS or self.unit == "/s"
            cell = "" if told else f"hubpool takes {self.cell(name)}"
            yield f"{name:<18} {amount(self.median(name), self.unit):>12}  {cell}"


@dataclass
class Report:
    """One run of the benchmarks."""

    #: Versions, times, how hard it tried.
    about: dict[str, Any]
    conditions: Conditions
    outcomes: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Add a row's."""
        self.outcomes.append(outcome)

    def missed(self, outcome: Outcome) -> list[Goal]:
        """Return the goals that a row does not reach."""
        return [goal for goal in outcome.aims() if self.reached(outcome, goal) > goal.at_most]

    def reached(self, outcome: Outcome, goal: Goal) -> float:
        """Return what a goal is about, as it was measured."""
        if goal.against == "value":
            return outcome.median(OURS)
        if goal.against == "row":
            other = (each for each in self.outcomes if each.name == goal.of)
            return outcome.median(OURS) / next(
                each.median(OURS) for each in other if each.cores == outcome.cores
            )
        peer = outcome.best_peer() if goal.against == "best" else goal.against
        return outcome.share(peer).median

    def misses(self) -> Iterator[str]:
        """Name what hubpool does not reach."""
        for outcome in self.outcomes:
            for goal in self.missed(outcome):
                reached = self.reached(outcome, goal)
                found = (
                    amount(reached, outcome.unit)
                    if goal.against == "value"
                    else f"{times(reached)}x"
                )
                yield (
                    f"{outcome.work}, {outcome.threads} threads, {CORES[outcome.cores]}: {found}, "
                    f"should be {goal.describe(outcome.unit)}"
                    + (f" ({outcome.best_peer()})" if goal.against == "best" else "")
                )

    def worst(self) -> dict[str, tuple[float, Outcome]]:
        """Find for each contender in which row it falls farthest behind the best."""
        found: dict[str, tuple[float, Outcome]] = {}
        for outcome in self.outcomes:
            if outcome.unit == "s" and outcome.name != "cold":
                best = min(map(outcome.median, outcome.samples))
                for name in outcome.samples:
                    behind = outcome.median(name) / best
                    if name not in found or behind > found[name][0]:
                        found[name] = (behind, outcome)
        return dict(sorted(found.items(), key=lambda item: item[1][0]))

    def as_json(self) -> str:
        """Write everything."""
        rows = [
            {
                **{key: getattr(each, key) for key in ("name", "work", "threads", "cores", "unit")},
                "best_peer": each.best_peer(),
                "goals": [
                    {**asdict(goal), "reached": self.reached(each, goal)} for goal in each.aims()
                ],
                "contenders": {
                    name: {
                        "value": asdict(Spread.of([sample.value for sample in samples])),
                        "cpu": statistics.median(sample.cpu or 0 for sample in samples),
                        "hubpool_share": asdict(each.share(name)),
                    }
                    for name, samples in each.samples.items()
                },
            }
            for each in self.outcomes
        ]
        whole = {"about": self.about, "conditions": asdict(self.conditions), "rows": rows}
        return json.dumps(whole, indent=1) + "\n"

    def as_markdown(self, plot: str) -> str:
        """Write the tables, with a link to the plot."""
        about = self.about
        versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
        lines = [
            "# The crate and its peers",
            "",
            "What hubpool takes of what a peer takes: the median of rounds, with the lowest and "
            "the highest. In each round every contender has its turn, in a process of its own. "
            "Below 1x hubpool takes less. CPU is the share of the CPU seconds of a task, all "
            "threads together. The best peer is the one with the least median in that row.",
            "",
            f"{versions}; {about['platform']}, {about['when']}, {about['seconds']:.0f} s"
            + (", QUICK: one cold sample each" * about["quick"])
            + ".",
            "",
            *(f"- {line}" for line in self.conditions.lines()),
            "",
            f"![The shares as a plot]({plot})",
            "",
            *HOW,
        ]
        for cores in sorted({each.cores for each in self.outcomes}):
            outcomes = [each for each in self.outcomes if each.cores == cores]
            lines += ["", f"## On {CORES[cores]}", "", *self.goal_table(outcomes)]
            lines += ["", "What each takes; the least is bold.", "", *value_table(outcomes)]
        lines += ["", "## The worst row of each", ""]
        lines.append(
            "How many times more each takes than the best of that row, once the pool is made."
        )
        lines += ["", "| contender | worst | work | threads | cores |", "|---|---|---|---|---|"]
        lines += [
            f"| {name} | {times(behind)}x | {each.work} | {each.threads} | {each.cores} |"
            for name, (behind, each) in self.worst().items()
        ]
        lines += ["", "## Goals that are missed", ""]
        lines += [f"- {line}" for line in self.misses()] or ["None."]
        return "\n".join(lines) + "\n"

    def goal_table(self, outcomes: list[Outcome]) -> Iterator[str]:
        """Write what hubpool takes, and what it should."""
        yield "| work | threads | hubpool | of the best peer | of tokio | goal | met |"
        yield "|---|---|---|---|---|---|---|"
        for each in outcomes:
            best = each.best_peer()
            missed = self.missed(each)
            goals = "; ".join(goal.describe(each.unit) for goal in each.aims())
            yield (
                f"| {each.work} | {each.threads} | {amount(each.median(OURS), each.unit)} "
                f"| {best}: {each.cell(best)} | {each.cell('tokio')} | {goals} "
                f"| {'**no**' if missed else 'yes'} |"
            )

    def sections(self) -> Sections:
        """Make what the plot shows."""
        sections: Sections = {}
        for section, fixed in (("Of the best peer", None), ("Of tokio", "tokio")):
            for each in self.outcomes:
                if each.unit == "s":
                    peer = fixed or each.best_peer()
                    ours, other = each.median(OURS), each.median(peer)
                    figure = Figure(section, each.work, each.threads, ours, other, each.share(peer))
                    rows = sections.setdefault(section, {})
                    rows.setdefault((each.work, each.threads), {})[each.cores] = figure
        return sections


def value_table(outcomes: list[Outcome]) -> Iterator[str]:
    """Write what all contenders take."""
    names = list(outcomes[0].samples)
    yield f"| work | threads | {' | '.join(names)} |"
    yield "|---|---" + "|---" * len(names) + "|"
    for each in outcomes:
        least = min(map(each.median, each.samples))
        cells = []
        for name in names:
            value = amount(each.median(name), each.unit)
            cells.append(f"**{value}**" if each.median(name) == least else value)
        yield f"| {each.work} | {each.threads} | {' | '.join(cells)} |"


def amount(value: float, unit: str) -> str:
    """Write a value in a unit that suits it."""
    if unit != "s":
        return f"{value:,.1f}{'' if unit.startswith('/') else ' '}{unit}"
    for factor, name in ((1e-3, "ms"), (1e-6, "us")):
        if value >= 0.9995 * factor:
            return f"{value / factor:.2f} {name}"
    return f"{value * 1e9:.0f} ns"


def write(report: Report, folder: Path, name: str) -> None:
    """Leave the files of a report."""
    import plot  # noqa: PLC0415 - what is imported here, nobody pays for while it is measured

    folder.joinpath(f"{name}.json").write_text(report.as_json())
    folder.joinpath(f"{name}.md").write_text(report.as_markdown(f"{name}.svg"))
    plot.draw(
        report.sections(), folder / f"{name}.svg", "What hubpool takes of what the peer takes"
    )
    print(f"The report is in benches/results/{name}.md, .json and .svg.")
