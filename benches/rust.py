"""Measures the crate against its peers, on one core and on two.

The samples are taken by the program ``hubpool-bench``, whose path is the argument. Without
other options it measures everything and leaves the files of a report in ``benches/results``;
with ``--only`` or ``--cores`` it measures less, and prints::

    python benches/rust.py target/release/hubpool-bench --only burst --cores 2
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

import machine
import rust_report
from measure import Sample
from report import CORES
from rust_report import Goal, Outcome, Report

if TYPE_CHECKING:
    from collections.abc import Iterator

RESULTS = Path(__file__).parent / "results"
CONTENDERS = (
    "hubpool",
    "tokio",
    "blocking",
    "rayon",
    "affinitypool",
    "threadpool",
    "executors",
    "crossbeam-channel",
    "kanal",
    "async-channel",
)
#: By default the C library gives what a burst has used back to the system, and takes it again:
#: some contenders spend half of their time on that, and others none, as the sizes happen to be.
KEEP_MEMORY = dict.fromkeys(("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"), str(1 << 30))
#: Two thousand sleeps of a millisecond on 64 threads are 32 one after the other, at best.
IDEAL_SLEEP = 32e-3 / 2000


@dataclass(frozen=True)
class Row:
    """A piece of work, and how much is expected of hubpool there."""

    #: Its name in the program, and in words.
    name: str
    work: str
    threads: int
    goals: tuple[Goal, ...]
    unit: str = "s"
    #: How many rounds it gets, and the seconds of a sample, if not as usual.
    rounds: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Effort:
    """How long to measure."""

    rounds: int
    #: For a sample. With none, the work is done once, cold.
    seconds: float


THOROUGH = Effort(rounds=7, seconds=0.1)
QUICK = Effort(rounds=1, seconds=0)
#: What holds of each row that takes time.
NEVER_WORSE = Goal("best", 1.2)
NO_WORSE = Goal("best", 1)

ROWS = (
    Row("burst", "100,000 submitted, then awaited", 4, (NO_WORSE, Goal("tokio", 0.15))),
    Row(
        "in-flight",
        "100,000, of which 16 are in flight",
        4,
        (Goal("async-channel", 0.3), NO_WORSE),
    ),
    Row(
        "ordered",
        "ordered map of 100,000",
        4,
        (
            Goal("value", 50e-9, cores=2),
            Goal("value", 150e-9, cores=1),
            Goal("best", 0.27, cores=2),
            NEVER_WORSE,
        ),
    ),
    Row(
        "unordered",
        "unordered map of 100,000",
        4,
        (Goal("row", 1, of="ordered"), Goal("best", 0.5)),
    ),
    Row("producers", "25,000 from each of four producers", 4, (Goal("best", 0.7),)),
    Row(
        "round-trip",
        "submit and await, one after the other",
        4,
        (Goal("best", 1.05, cores=1), Goal("best", 0.8, cores=2)),
    ),
    Row("sleeps", "2,000 sleeps of 1 ms", 64, (Goal("value", 1.15 * IDEAL_SLEEP), NEVER_WORSE)),
    *(
        Row("cold", "first result of a new pool", size, (NO_WORSE,), rounds=11)
        for size in (1, 64, 512)
    ),
    Row("submit", "submit", 1, (Goal("value", 65e-9), NEVER_WORSE)),
    Row("memory", "memory of a queued task", 1, (Goal("value", 80),), unit="bytes", rounds=3),
    Row("idle", "wake-ups of an idle pool", 4, (Goal("value", 1),), "/s", rounds=1, seconds=2.0),
)


def sample(program: str, row: Row, contender: str, cores: list[int], seconds: float) -> Sample:
    """Have a sample taken, on these cores."""
    command = [program, row.name, contender, str(row.threads), str(seconds)]
    answer = subprocess.run(
        # The process inherits the cores from the one that becomes it.
        ["taskset", "-c", ",".join(map(str, cores)), *command],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **KEEP_MEMORY, "BLOCKING_MAX_THREADS": str(row.threads)},
    )
    value, cpu = map(float, answer.stdout.split())
    return Sample(value, cpu or None)


def alternate(program: str, row: Row, cores: list[int], quick: bool) -> Outcome:
    """Sample all contenders in each round, each time in another order."""
    effort = QUICK if quick else THOROUGH
    seconds = effort.seconds if row.seconds is None else row.seconds / (10 if quick else 1)
    rounds = effort.rounds if quick else row.rounds or effort.rounds
    samples: dict[str, list[Sample]] = {name: [] for name in CONTENDERS}
    for turn in range(rounds):
        for name in in_turn(turn):
            samples[name].append(sample(program, row, name, cores, seconds))
    return Outcome(row.name, row.work, row.threads, len(cores), row.unit, row.goals, samples)


def in_turn(turn: int) -> Iterator[str]:
    """Begin with another one each time, and go the other way every second time."""
    first = turn % len(CONTENDERS)
    order = CONTENDERS[first:] + CONTENDERS[:first]
    return reversed(order) if turn % 2 else iter(order)


def run(options: argparse.Namespace, console: Console) -> None:
    """Measure what was asked for, and report it."""
    start = time.perf_counter()
    available = sorted(os.sched_getaffinity(0))[:2]
    report = Report(
        about={
            "versions": versions(),
            "platform": f"{platform.system()} {platform.machine()}",
            "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "quick": options.quick,
        },
        conditions=machine.Conditions(machine.identify(), machine.look(available)),
    )
    for cores in range(1, len(available) + 1):
        if options.cores not in (None, cores):
            continue
        console.rule(CORES[cores], align="left")
        with report.conditions.watch(CORES[cores]):
            for row in ROWS:
                if options.only in f"{row.name}: {row.work}":
                    outcome = alternate(options.program, row, available[:cores], options.quick)
                    report.add(outcome)
                    console.print(f" {row.work}, {row.threads} threads", style="bold")
                    for line in outcome.lines():
                        console.print(f"  {line}")
    report.conditions.after = machine.look(available)
    report.about["seconds"] = time.perf_counter() - start
    console.rule("Goals that are missed", align="left")
    for line in report.misses():
        console.print(line)
    for line in report.conditions.lines():
        console.print(line)
    if not options.only and options.cores is None:
        rust_report.write(report, RESULTS, "rust.quick" if options.quick else "rust")


def versions() -> dict[str, str]:
    """Ask cargo what the program was built from."""
    command = ["cargo", "tree", "--package=hubpool-bench", "--depth=1", "--prefix=none"]
    tree = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found = dict(line.split()[:2] for line in tree.splitlines() if line)
    return {name: found[name].lstrip("v") for name in CONTENDERS}


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description="Measure the crate against its peers.")
    parser.add_argument("program", help="the built hubpool-bench")
    parser.add_argument("--quick", action="store_true", help="see that it works; do not trust it")
    parser.add_argument("--only", default="", metavar="TEXT", help="rows that have this in them")
    parser.add_argument("--cores", type=int, choices=(1, 2), help="on so many only")
    run(parser.parse_args(), Console(markup=False, highlight=False, soft_wrap=True))


if __name__ == "__main__":
    main()
