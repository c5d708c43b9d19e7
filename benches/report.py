"""What was measured, in words: as JSON and as a table in Markdown."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import machine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    from measure import Figure, Spread

    #: By section, then by work and threads, then by the number of cores.
    Sections: TypeAlias = dict[str, dict[tuple[str, int | None], dict[int, Figure]]]

CORES = {1: "one core", 2: "two cores"}


@dataclass
class Report:
    """One run of the benchmarks."""

    #: Versions, times, how hard it tried.
    about: dict[str, Any]
    #: What machine.look() saw.
    before: dict[str, Any]
    after: dict[str, Any] = field(default_factory=dict)
    #: By "libev" or "libuv" and the number of cores.
    figures: dict[tuple[str, int], list[Figure]] = field(default_factory=dict)

    def as_json(self) -> str:
        """Write everything."""
        runs = [
            {"loop": loop, "cores": cores, "figures": [asdict(each) for each in figures]}
            for (loop, cores), figures in self.figures.items()
        ]
        whole = {"about": self.about, "before": self.before, "after": self.after, "runs": runs}
        return json.dumps(whole, indent=1) + "\n"

    def sections(self) -> Sections:
        """Group the figures as the table and the plot have them."""
        grouped: Sections = {}
        for (loop, cores), figures in self.figures.items():
            for figure in figures:
                work = figure.work if loop == "libev" else f"{figure.work} ({loop})"
                rows = grouped.setdefault(figure.section, {})
                rows.setdefault((work, figure.threads), {})[cores] = figure
        return grouped

    def slower(self) -> Iterator[str]:
        """Name the rows in which hubpool took more than its peer."""
        for (loop, cores), figures in self.figures.items():
            for each in figures:
                if each.shown != "values" and each.ratio.median < 1:
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
            "gevent's pool where nothing else is said, the loop libev.",
            "",
            f"hubpool {about['hubpool']}, {about['platform']}, {about['when']}, "
            f"{about['seconds']:.0f} s" + (", QUICK: few and short samples" * about["quick"]) + ".",
            "",
            f"- The cores before: {machine.describe(self.before)}.",
            f"- The cores after: {machine.describe(self.after)}.",
            "",
            f"![The ratios as a plot]({plot})",
        ]
        for section, rows in self.sections().items():
            lines += ["", f"## {section}", ""]
            lines += ["| work | threads | one core | two cores |", "|---|---|---|---|"]
            for (work, threads), by_cores in rows.items():
                cells = [cell(by_cores[cores]) if cores in by_cores else "" for cores in CORES]
                lines.append(f"| {work} | {threads or ''} | {' | '.join(cells)} |")
        return "\n".join(lines) + "\n"


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
    if unit != "s":
        return f"{value * 1e3:.2f} m{unit}"
    return f"{value * 1e3:.2f} ms" if value >= 0.5e-3 else f"{value * 1e6:.2f} us"


def values(figure: Figure) -> str:
    """Write what both sides took."""
    ours, peer = (amount(value, figure.unit) for value in (figure.hubpool, figure.peer))
    return f"{ours} against {peer}"


def cell(figure: Figure) -> str:
    """Write what the table has of a figure."""
    if figure.shown == "values":
        return values(figure)
    parts = [spread(figure.ratio)]
    if figure.shown == "both":
        parts.append(values(figure))
    if figure.cpu_ratio is not None:
        parts.append(f"CPU {times(figure.cpu_ratio.median)}x")
    return ", ".join(parts)
