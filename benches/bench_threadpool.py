"""Measures hubpool's pool and executor against their peers, in one process, in turns.

The cases are those of gevent's own ``benchmarks/bench_threadpool.py`` (20 calls of a
function that does nothing, pools of 1 and of 5), the same with 20,000 items, and bursts
of ``spawn``. The executor's peers are gevent's and the standard library's. Each round
times both, in turns the one first and the other; a figure is the median of the rounds'
ratios, with the lowest and the highest beside it. 2.0x means that hubpool takes half of
the peer's time.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import statistics
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gevent
from gevent.threadpool import ThreadPool as GeventPool
from gevent.threadpool import ThreadPoolExecutor as GeventExecutor
from rich.console import Console
from rich.table import Table

import hubpool

if TYPE_CHECKING:
    from collections.abc import Callable

FEW = 20
MANY = 20_000
BURST = 2_000
SUBMITS = 10_000


def noop() -> None:
    """Do nothing."""


def identity(item: int) -> int:
    """Return the item."""
    return item


def apply(pool: Any) -> None:
    """Call and wait, one after the other."""
    for _ in range(FEW):
        pool.apply(noop)


def spawn_wait(pool: Any) -> None:
    """Do the same in two steps."""
    for _ in range(FEW):
        pool.spawn(noop).get()


def burst(pool: Any) -> None:
    """Spawn many, then wait for all."""
    results = [pool.spawn(noop) for _ in range(BURST)]
    for result in results:
        result.get()


def submit_wait(executor: Any) -> None:
    """Submit and wait, one after the other."""
    for _ in range(FEW):
        executor.submit(noop).result()


def submit_burst(executor: Any) -> None:
    """Submit many, then wait for all."""
    futures = [executor.submit(noop) for _ in range(SUBMITS)]
    for future in futures:
        future.result()


def mapping(method: str, items: int) -> Callable[[Any], None]:
    """Make the case of a map over so many items."""

    def run(pool: Any) -> None:
        assert sum(getattr(pool, method)(identity, [1] * items)) == items

    return run


@dataclass(frozen=True)
class Case:
    """What is timed, on a pool of a size that has its threads."""

    name: str
    maxsize: int
    tasks: int
    run: Callable[[Any], None]
    ours: type[Any] = hubpool.ThreadPool
    peer: type[Any] = GeventPool

    @property
    def against(self) -> str:
        """The peer's name."""
        return "gevent" if self.peer.__module__.startswith("gevent") else "stdlib"

    def seconds(self, kind: type[Any], loops: int) -> float:
        """Time so many runs on one pool."""
        pool = kind(self.maxsize)
        if issubclass(kind, concurrent.futures.Executor):
            self.run(pool)
        else:
            pool.size = self.maxsize
        start = time.perf_counter()
        for _ in range(loops):
            self.run(pool)
        taken = time.perf_counter() - start
        (pool.kill if hasattr(pool, "kill") else pool.shutdown)()
        return taken


def cases() -> list[Case]:
    """List all cases."""
    found = [Case("apply", 1, FEW, apply), Case("spawn, get", 1, FEW, spawn_wait)]
    for maxsize in (1, 5, 10):
        found.append(Case(f"{BURST:,} spawn, then get", maxsize, BURST, burst))
        for method in ("map", "imap", "imap_unordered"):
            for items in (FEW, MANY):
                found.append(Case(f"{method} of {items:,}", maxsize, items, mapping(method, items)))
    for maxsize in (1, 10):
        for peer in (GeventExecutor, concurrent.futures.ThreadPoolExecutor):
            for name, tasks, run in (
                ("submit, result", FEW, submit_wait),
                (f"{SUBMITS:,} submit, then result", SUBMITS, submit_burst),
            ):
                ours = hubpool.ThreadPoolExecutor
                found.append(Case(name, maxsize, tasks, run, ours, peer))
    return found


@dataclass(frozen=True)
class Figure:
    """A case's outcome."""

    case: Case
    peer_us: float
    hubpool_us: float
    ratios: list[float]


def measure(case: Case, rounds: int, least: float) -> Figure:
    """Time a case on both, in turns."""
    once = min(case.seconds(case.peer, 1) for _ in range(2))
    # Both do the same work, enough of it for the clock.
    loops = max(1, round(least / once))
    ratios = []
    times: dict[type[Any], list[float]] = {case.peer: [], case.ours: []}
    for number in range(rounds):
        kinds = list(times) if number % 2 else list(times)[::-1]
        for kind in kinds:
            times[kind].append(case.seconds(kind, loops))
        ratios.append(times[case.peer][-1] / times[case.ours][-1])

    def each(kind: type[Any]) -> float:
        return statistics.median(times[kind]) / loops / case.tasks * 1e6

    return Figure(case, each(case.peer), each(case.ours), ratios)


def main() -> int:
    """Run what the command line asks for; fail if a case is slower than its peer."""
    parser = argparse.ArgumentParser(description="Time hubpool against its peers.")
    parser.add_argument("--rounds", type=int, default=9, help="pairs of timings of each case")
    parser.add_argument("--least", type=float, default=0.1, help="seconds that a timing takes")
    parser.add_argument("--cores", type=int, choices=(1, 2), help="measure on so many only")
    parser.add_argument("--only", default="", help="only cases whose names have this in them")
    arguments = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 100)
    available = sorted(os.sched_getaffinity(0))
    slower = []
    for cores in (1, 2):
        if cores > len(available) or arguments.cores not in (None, cores):
            continue
        os.sched_setaffinity(0, available[:cores])
        version = sys.version.split()[0]
        table = Table(
            title=f"{cores} core{'s'[: cores - 1]}, CPython {version}, gevent "
            f"{gevent.__version__}, {type(gevent.get_hub().loop).__module__}; "
            f"load average {os.getloadavg()[0]:.2f} before the run",
            title_justify="left",
        )
        table.add_column("case")
        for column in ("of", "peer", "peer us", "hubpool us", "ratio", "lowest", "highest"):
            table.add_column(column, justify="right")
        for case in cases():
            if arguments.only not in case.name:
                continue
            figure = measure(case, arguments.rounds, arguments.least)
            ratio = statistics.median(figure.ratios)
            if ratio < 1:
                slower.append(f"{case.name}, {case.maxsize} threads, {cores} cores: {ratio:.2f}x")
            table.add_row(
                case.name,
                str(case.maxsize),
                case.against,
                f"{figure.peer_us:.2f}",
                f"{figure.hubpool_us:.2f}",
                f"{ratio:.2f}x",
                f"{min(figure.ratios):.2f}x",
                f"{max(figure.ratios):.2f}x",
            )
        console.print(table)
        os.sched_setaffinity(0, available)
    for line in slower:
        console.print(f"slower than the peer: {line}")
    return bool(slower)


if __name__ == "__main__":
    sys.exit(main())
