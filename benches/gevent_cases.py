"""The cases of gevent's own benchmark of its pool, measured by pyperf.

They are those of gevent's ``benchmarks/bench_threadpool.py``: 20 calls of a function that
does nothing, on pools of 1 and of 5, made and killed within the time. On one pool, or both
and a comparison::

    python benches/gevent_cases.py --pool hubpool -o hubpool.json
    python benches/gevent_cases.py --compare --fast
"""

from __future__ import annotations

import contextlib
import functools
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyperf

import bare
from cases import FEW, apply, identity, spawn_get
from measure import Figure, Spread
from sides import POOLS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from measure import Opener

THREADS = 5
SECTION = "gevent's own cases: 20 calls, by pyperf (the sides in processes of their own)"
#: What the options of the command line name: both pools, and bare threads as their floor.
SIDES = (*POOLS, "bare")


def mapping(method: str, pool: Any) -> None:
    """Map, and take all results."""
    list(getattr(pool, method)(identity, [1] * FEW))


CASES: dict[tuple[str, int], Any] = {
    **{
        (method, threads): functools.partial(mapping, method)
        for method in ("imap_unordered", "imap", "map")
        for threads in (1, THREADS)
    },
    ("apply", 1): apply,
    ("spawn", 1): spawn_get,
}


@contextlib.contextmanager
def opened_pool(kind: Any, threads: int) -> Iterator[Any]:
    """Make a pool as gevent's benchmark does, and kill it."""
    pool = kind(threads)
    if threads > 1:
        pool.size = threads
    yield pool
    pool.join()
    pool.kill()


def case(side: str, work: str, threads: int) -> tuple[Opener, Any]:
    """Return the opener of the side that a case runs on, and the function that it runs."""
    if side != "bare":
        return functools.partial(opened_pool, POOLS[side], threads), CASES[work, threads]
    if work in ("apply", "spawn"):
        return functools.partial(bare.IN_TURN, threads), apply
    return functools.partial(bare.TOLD, threads), functools.partial(mapping, "map")


def seconds(loops: int, opened: Opener, run: Any) -> float:
    """Time this number of runs on a new pool, and the end of the pool."""
    with opened() as subject:
        start = pyperf.perf_counter()
        for _ in range(loops):
            run(subject)
    return float(pyperf.perf_counter() - start)


def name_of(work: str, threads: int) -> str:
    """Name a case as pyperf's files do."""
    return f"{work}, {threads} threads"


def measure() -> None:
    """Be what pyperf runs, in this process and in those that it starts."""

    def pass_on(command: list[str], arguments: argparse.Namespace) -> None:
        command += ["--pool", arguments.pool]

    runner = pyperf.Runner(add_cmdline_args=pass_on)
    runner.argparser.add_argument("--pool", choices=SIDES, default="hubpool")
    side = runner.parse_args().pool
    for work, threads in CASES:
        opened, run = case(side, work, threads)
        runner.bench_time_func(name_of(work, threads), seconds, opened, run, inner_loops=FEW)


def measure_all(sides: tuple[str, ...], options: list[str], folder: Path) -> list[Path]:
    """Run pyperf on all sides; return its files."""
    files = []
    for pool in sides:
        files.append(folder / f"{pool}.json")
        command = [sys.executable, __file__, "--pool", pool, "--quiet", "-o", str(files[-1])]
        subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL)
    return files


def figures(options: list[str]) -> list[Figure]:
    """Measure all sides, and return what the other rows have, but no pairs."""
    with tempfile.TemporaryDirectory() as folder:
        peer, ours, floor = (
            pyperf.BenchmarkSuite.load(str(file))
            for file in measure_all(("gevent", "hubpool", "bare"), options, Path(folder))
        )
    found = []
    for work, threads in CASES:
        mine = ours.get_benchmark(name_of(work, threads))
        theirs = peer.get_benchmark(name_of(work, threads))
        least = floor.get_benchmark(name_of(work, threads))
        found.append(
            Figure(
                SECTION,
                work,
                threads,
                hubpool=mine.median(),
                peer=theirs.median(),
                ratio=spread(theirs, mine),
                floor=least.median(),
                floor_ratio=spread(mine, least),
            )
        )
    return found


def spread(one: pyperf.Benchmark, other: pyperf.Benchmark) -> Spread:
    """Divide the medians, and the values that are farthest apart."""
    low = min(one.get_values()) / max(other.get_values())
    high = max(one.get_values()) / min(other.get_values())
    return Spread(one.median() / other.median(), low, high)


def compare(options: list[str]) -> None:
    """Measure both pools, and print pyperf's comparison."""
    with tempfile.TemporaryDirectory() as folder:
        files = [str(file) for file in measure_all(("gevent", "hubpool"), options, Path(folder))]
        command = [sys.executable, "-m", "pyperf", "compare_to", "--table", *files]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    if "--compare" in sys.argv:
        compare([option for option in sys.argv[1:] if option != "--compare"])
    else:
        measure()
