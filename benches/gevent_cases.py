"""The cases of gevent's own benchmark of its pool, measured by pyperf.

They are those of gevent's ``benchmarks/bench_threadpool.py``: 20 calls of a function that
does nothing, on pools of 1 and of 5, made and killed within the time. On one pool, or both
and a comparison::

    python benches/gevent_cases.py --pool hubpool -o hubpool.json
    python benches/gevent_cases.py --compare --fast
"""

from __future__ import annotations

import functools
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyperf

from cases import FEW, apply, identity, spawn_get
from measure import Figure, Spread
from sides import POOLS

if TYPE_CHECKING:
    import argparse

THREADS = 5
SECTION = "gevent's own cases: 20 calls, by pyperf (the sides in processes of their own)"


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


def seconds(loops: int, kind: Any, threads: int, run: Any) -> float:
    """Time so many runs on a new pool."""
    pool = kind(threads)
    if threads > 1:
        pool.size = threads
    start = pyperf.perf_counter()
    for _ in range(loops):
        run(pool)
    pool.join()
    pool.kill()
    return float(pyperf.perf_counter() - start)


def name_of(work: str, threads: int) -> str:
    """Name a case as pyperf's files do."""
    return f"{work}, {threads} threads"


def measure() -> None:
    """Be what pyperf runs, in this process and in those that it starts."""

    def pass_on(command: list[str], arguments: argparse.Namespace) -> None:
        command += ["--pool", arguments.pool]

    runner = pyperf.Runner(add_cmdline_args=pass_on)
    runner.argparser.add_argument("--pool", choices=POOLS, default="hubpool")
    kind = POOLS[runner.parse_args().pool]
    for (work, threads), run in CASES.items():
        name = name_of(work, threads)
        runner.bench_time_func(name, seconds, kind, threads, run, inner_loops=FEW)


def measure_both(options: list[str], folder: Path) -> list[Path]:
    """Run pyperf on both pools; return its files, gevent's first."""
    files = []
    for pool in ("gevent", "hubpool"):
        files.append(folder / f"{pool}.json")
        command = [sys.executable, __file__, "--pool", pool, "--quiet", "-o", str(files[-1])]
        subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL)
    return files


def figures(options: list[str]) -> list[Figure]:
    """Measure both pools, and return what the other rows have, but no pairs."""
    with tempfile.TemporaryDirectory() as folder:
        peer, ours = (
            pyperf.BenchmarkSuite.load(str(file)) for file in measure_both(options, Path(folder))
        )
    found = []
    for work, threads in CASES:
        mine = ours.get_benchmark(name_of(work, threads))
        theirs = peer.get_benchmark(name_of(work, threads))
        low = min(theirs.get_values()) / max(mine.get_values())
        high = max(theirs.get_values()) / min(mine.get_values())
        found.append(
            Figure(
                SECTION,
                work,
                threads,
                hubpool=mine.median(),
                peer=theirs.median(),
                ratio=Spread(theirs.median() / mine.median(), low, high),
            )
        )
    return found


def compare(options: list[str]) -> None:
    """Measure both pools, and print pyperf's comparison."""
    with tempfile.TemporaryDirectory() as folder:
        files = [str(file) for file in measure_both(options, Path(folder))]
        command = [sys.executable, "-m", "pyperf", "compare_to", "--table", *files]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    if "--compare" in sys.argv:
        compare([option for option in sys.argv[1:] if option != "--compare"])
    else:
        measure()
