"""What was measured, as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure as Plot

from report import CORES

if TYPE_CHECKING:
    from pathlib import Path

    from measure import Figure
    from report import Sections

COLOURS = {1: "#c05020", 2: "#2060a0"}


TITLE = "How many times more the peer takes than hubpool"


def draw(sections: Sections, path: Path, title: str = TITLE) -> None:
    """Draw each ratio, from its lowest pair to its highest, on a logarithmic scale."""
    # The same figures make the same file.
    mpl.rcParams.update({"svg.hashsalt": "hubpool", "svg.fonttype": "none"})
    drawn = {
        section: {key: row for key, row in rows.items() if is_ratio(row)}
        for section, rows in sections.items()
    }
    lines = sum(len(rows) + 1 for rows in drawn.values() if rows)
    plot = Plot(figsize=(10, 1 + 0.19 * lines), layout="constrained")
    axes = plot.subplots()
    names: list[str] = []
    for section, rows in drawn.items():
        if rows:
            axes.text(
                0.005,
                len(names),
                section,
                transform=axes.get_yaxis_transform(),
                fontsize=8,
                fontweight="bold",
                va="center",
            )
            names.append("")
        for (work, threads), by_cores in rows.items():
            for cores, figure in by_cores.items():
                ratio, y = figure.ratio, len(names) + (cores - 1.5) * 0.35
                axes.plot([ratio.lowest, ratio.highest], [y, y], color=COLOURS[cores], lw=1)
                axes.plot(ratio.median, y, "o", color=COLOURS[cores], ms=3.5)
            names.append(f"{work}, {threads} thr." if threads else work)
    for cores, label in CORES.items():
        axes.plot([], [], "o-", color=COLOURS[cores], ms=3.5, lw=1, label=label)
    axes.axvline(1, color="black", lw=0.8)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda ratio, _: f"{ratio:g}x")
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set_ylim(len(names) - 0.3, -0.8)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", top=True, labeltop=True)
    axes.grid(axis="x", lw=0.4)
    axes.legend(loc="upper right", fontsize=8)
    axes.set_title(title, fontsize=10)
    plot.savefig(path, format="svg", metadata={"Date": None})


def is_ratio(row: dict[int, Figure]) -> bool:
    """Tell whether a row has something to draw."""
    return all(figure.shown != "values" and not figure.not_run for figure in row.values())
