"""Measures hubpool against its peers: on one core and on two, on libev and on libuv.

Without options it measures everything and leaves the files of a report in
``benches/results``. With ``--only``, ``--cores`` or ``--loop`` it measures less, and prints::

    python benches/bench.py --only zlib --cores 2
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

import machine
import report
from measure import Effort, Figure, NotRunError, Sample, Spread, alternate

if TYPE_CHECKING:
    from measure import Row

RESULTS = Path(__file__).parent / "results"
LOOPS = {"libev": "libev-cext", "libuv": "libuv-cffi"}
THOROUGH = Effort(budget=1.0, least=3, most=9)
QUICK = Effort(budget=0.1, least=1, most=2, quick=True)
#: The same for gevent's own cases, as pyperf takes it.
PYPERF = {
    False: ["--processes=4", "--values=5", "--warmups=1", "--min-time=0.1"],
    True: ["--processes=1", "--values=2", "--warmups=0", "--loops=20"],
}


def measure_here(options: argparse.Namespace, few: bool, console: Console) -> list[Figure]:
    """Measure in this process, on the cores and the loop that it has.

    *few* says that the machine has fewer cores than some rows need.
    """
    import cases  # noqa: PLC0415 - it imports gevent, for which the loop must have been chosen
    import gevent_cases  # noqa: PLC0415

    figures = []

    def found(figure: Figure) -> None:
        figures.append(figure)
        threads = "" if figure.threads is None else str(figure.threads)
        told = "" if figure.shown != "ratio" or figure.not_run else f"  {report.values(figure)}"
        console.print(f"  {figure.work:<58} {threads:>4}  {report.cell(figure)}{told}")

    section = ""
    for row in cases.rows():
        if not wanted(row, options, few):
            continue
        if row.section != section:
            section = row.section
            console.print(f" {section}", style="bold")
        try:
            if options.cores not in row.cores:
                raise NotRunError("the row needs two cores")
            for figure in alternate(row, QUICK if options.quick else THOROUGH):
                found(figure)
        except NotRunError as error:
            found(Figure.missing(row, str(error)))
    if options.loop == "libev" and options.only in gevent_cases.SECTION:
        console.print(f" {gevent_cases.SECTION}", style="bold")
        for figure in gevent_cases.figures(PYPERF[options.quick]):
            found(figure)
    return figures


def wanted(row: Row, options: argparse.Namespace, few: bool) -> bool:
    """Tell whether a row belongs to this part of the run, or is named as one that cannot run."""
    return (
        options.only in f"{row.section}: {row.work}"
        and (row.libuv or options.loop == "libev")
        and (few or options.cores in row.cores)
    )


def measure_there(options: argparse.Namespace, loop: str, cores: int) -> list[Figure]:
    """Measure in a new process, on so many cores and this loop."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "figures.json")
        command = [sys.executable, __file__, "--loop", loop, "--cores", str(cores)]
        command += ["--only", options.only, "--into", str(file)]
        command += ["--quick"] if options.quick else []
        subprocess.run(command, check=True, env={**os.environ, "GEVENT_LOOP": LOOPS[loop]})
        return [load(figure) for figure in json.loads(file.read_text())]


def load(data: dict[str, Any]) -> Figure:
    """Make a figure of what JSON has of it."""
    names = ("ratio", "cpu_ratio", "floor_ratio", "noise")
    spreads = {name: Spread(**data[name]) for name in names if data[name] is not None}
    each = data["each"] and [(Sample(**ours), Sample(**peer)) for ours, peer in data["each"]]
    return Figure(**{**data, **spreads, "each": each})


def run(options: argparse.Namespace, console: Console) -> None:
    """Measure what was asked for, each part in a process of its own, and report it."""
    start = time.perf_counter()
    available = sorted(os.sched_getaffinity(0))[:2]
    result = report.Report(
        about={
            "python": f"{platform.python_implementation()} {platform.python_version()}",
            "gevent": version("gevent"),
            "hubpool": version("hubpool"),
            "platform": f"{platform.system()} {platform.machine()}",
            "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "quick": options.quick,
        },
        conditions=machine.Conditions(machine.identify(), machine.look(available)),
    )
    for loop in LOOPS if options.loop is None else [options.loop]:
        for cores in range(1, len(available) + 1):
            if options.cores in (None, cores):
                console.rule(f"{loop}, {report.CORES[cores]}", align="left")
                with result.conditions.watch(f"{loop}, {report.CORES[cores]}"):
                    result.figures[loop, cores] = measure_there(options, loop, cores)
    result.conditions.after = machine.look(available)
    result.about["seconds"] = time.perf_counter() - start
    console.rule("Slower than the peer", align="left")
    for line in result.slower():
        console.print(line)
    for line in result.conditions.lines():
        console.print(line)
    if not options.only and options.cores is None and options.loop is None:
        write(result, options.quick)


def write(result: report.Report, quick: bool) -> None:
    """Leave the files of a report, named after this interpreter."""
    import plot  # noqa: PLC0415 - what is imported here, nobody pays for while it is measured

    name = f"{sys.implementation.name}{sys.version_info[0]}.{sys.version_info[1]}"
    name += ".quick" if quick else ""
    RESULTS.mkdir(exist_ok=True)
    Path(RESULTS, f"{name}.json").write_text(result.as_json())
    Path(RESULTS, f"{name}.md").write_text(result.as_markdown(f"{name}.svg"))
    plot.draw(result.sections(), Path(RESULTS, f"{name}.svg"))
    print(f"The report is in benches/results/{name}.md, .json and .svg.")


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description="Measure hubpool against its peers.")
    parser.add_argument("--quick", action="store_true", help="see that it works; do not trust it")
    parser.add_argument("--only", default="", metavar="TEXT", help="rows that have this in them")
    parser.add_argument("--cores", type=int, choices=(1, 2), help="on so many only")
    parser.add_argument("--loop", choices=LOOPS, help="on this one only")
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    console = Console(markup=False, highlight=False, soft_wrap=True)
    if options.into is None:
        run(options, console)
        return
    available = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, available[: options.cores])
    figures = measure_here(options, len(available) == 1, console)
    options.into.write_text(json.dumps([asdict(figure) for figure in figures]))


if __name__ == "__main__":
    main()
