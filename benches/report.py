"""What was measured, in words: as JSON and as a table in Markdown."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    from machine import Conditions
    from measure import Figure, Spread

    #: By section, then by work and threads, then by the number of cores.
    Sections: TypeAlias = dict[str, dict[tuple[str, int | None], dict[int, Figure]]]

CORES = {1: "one core", 2: "two cores"}


@dataclass
class Report:
    """One run of the benchmarks."""

    #: Versions, times, how hard it tried.
    about: dict[str, Any]
    conditions: Conditions
    #: By "libev" or "libuv" and the number of cores.
    figures: dict[tuple[str, int], list[Figure]] = field(default_factory=dict)

    def as_json(self) -> str:
        """Write everything."""
        runs = [
            {"loop": loop, "cores": cores, "figures": [asdict(each) for each in figures]}
            for (loop, cores), figures in self.figures.items()
        ]
        whole = {
            "about": self.about,
            "conditions": asdict(self.conditions),
            "runs": runs,
        }
        return json.dumps(whole, indent=1) + "\n"

    def sections(self) -> Sections:
        """Group the figures as the table and the plot have them."""
        grouped: Sections = {}
        # Some rows need two cores, so the runs on two cores name all sections in their order.
        for (loop, cores), figures in sorted(self.figures.items(), key=lambda run: -run[0][1]):
            for figure in figures:
                work = figure.work if loop == "libev" else f"{figure.work} ({loop})"
                rows = grouped.setdefault(figure.section, {})
                rows.setdefault((work, figure.threads), {})[cores] = figure
        return grouped

    def slower(self) -> Iterator[str]:
        """Name the rows in which hubpool took more than its peer."""
        for (loop, cores), figures in self.figures.items():
            for each in figures:
                if each.shown != "values" and not each.not_run and each.ratio.median < 1:
                    threads = "" if each.threads is None else f", {each.threads} threads"
                    yield (
                        f"{each.section}: {each.work}{threads}, {loop}, {CORES[cores]}: "
                        f"{cell(each)}"
                    )

    def as_markdown(self, plot: str) -> str:
        """Write the table, with a link to the plot."""
        about = self.about
        lines = [
            f"# {about['python']}, gevent {about['gevent']}",
            "",
            "How many times more the peer takes than hubpool: the median of pairs, both in turns "
            "in one process, with the lowest and the highest pair. Above 1x hubpool takes less. "
            "CPU is the ratio of the CPU seconds of a task, all threads together. The peer is "
            "gevent's pool where nothing else is said, the loop libev. A ratio of rates is one of "
            "times too: at 2x hubpool does twice as many a second. The floor is what bare threads "
            "without a pool take for the same work, in turns with both sides: at 1.5x of the "
            "floor hubpool takes half as long again. The noise is the ratio of the peer to "
            "itself, sampled twice in each round.",
            "",
            f"hubpool {about['hubpool']}, {about['platform']}, {about['when']}, "
            f"{about['seconds']:.0f} s" + (", QUICK: few and short samples" * about["quick"]) + ".",
            "",
            *(f"- {line}" for line in self.conditions.lines()),
            "",
            f"![The ratios as a plot]({plot})",
        ]
        for section, rows in self.sections().items():
            lines += ["", f"## {section}", ""]
            lines += ["| work | threads | one core | two cores |", "|---|---|---|---|"]
            for (work, threads), by_cores in rows.items():
                cells = [cell(by_cores[cores]) if cores in by_cores else "" for cores in CORES]
                lines.append(f"| {work} | {threads or ''} | {' | '.join(cells)} |")
            for (work, _), by_cores in rows.items():
                for cores in sorted(by_cores):
                    lines += pair_by_pair(f"{work}, {CORES[cores]}", by_cores[cores])
        return "\n".join(lines) + "\n"


def pair_by_pair(title: str, figure: Figure) -> Iterator[str]:
    """Write the table of a row's pairs, if the row wants it."""
    if figure.each:
        first, _ = figure.each[0]
        yield from ("", f"{title}, pair by pair, hubpool / peer:", "")
        yield "| pair | ratio | a task | " + " | ".join(first.more) + " |"
        yield "|---" * (3 + len(first.more)) + "|"
        for number, (ours, peer) in enumerate(figure.each, 1):
            cells = [f"{number}", f"{times(peer.value / ours.value)}x"]
            cells += [both(ours.value, peer.value, figure.unit)]
            cells += [
                both(ours.more[name], peer.more[name], figure.units.get(name, "s"))
                for name in first.more
            ]
            yield f"| {' | '.join(cells)} |"


def times(ratio: float) -> str:
    """Write a ratio, no more exactly than it is."""
    if ratio < 0.1:
        return f"{ratio:.1g}"
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}" if ratio >= 2 else f"{ratio:.2f}"


def spread(ratio: Spread) -> str:
    """Write a ratio with its pairs'."""
    return f"{times(ratio.median)}x ({times(ratio.lowest)} to {times(ratio.highest)})"


def amount(value: float, unit: str) -> str:
    """Write a value in a unit that suits it."""
    if unit == "bytes":
        return f"{value:,.0f} bytes"
    if unit.startswith("s/"):
        return f"{1 / value:,.0f} {unit.removeprefix('s/')}s/s"
    if unit == "":
        return f"{value:.2f}"
    if unit != "s":
        return f"{value * 1e3:.2f} m{unit}"
    if value >= 1:
        return f"{value:.2f} s"
    return f"{value * 1e3:.2f} ms" if value >= 0.5e-3 else f"{value * 1e6:.2f} us"


def both(ours: float, peer: float, unit: str) -> str:
    """Write two values of one unit, hubpool's first."""
    return f"{amount(ours, unit)} / {amount(peer, unit)}"


def values(figure: Figure) -> str:
    """Write what both sides took."""
    ours, peer = (amount(value, figure.unit) for value in (figure.hubpool, figure.peer))
    return f"{ours} against {peer}"


def cell(figure: Figure) -> str:
    """Write what the table has of a figure."""
    if figure.not_run:
        return f"NOT RUN: {figure.not_run}"
    if figure.shown == "values":
        return values(figure)
    parts = [spread(figure.ratio)]
    if figure.shown == "both":
        parts.append(values(figure))
    if figure.cpu_ratio is not None:
        parts.append(f"CPU {times(figure.cpu_ratio.median)}x")
    if figure.floor is not None and figure.floor_ratio is not None:
        floor = amount(figure.floor, figure.unit)
        parts.append(f"{spread(figure.floor_ratio)} of the floor's {floor}")
    if figure.noise is not None:
        parts.append(f"noise {spread(figure.noise)}")
    return ", ".join(parts)
