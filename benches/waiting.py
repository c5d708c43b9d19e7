"""Many threads that wait: tasks that sleep 10 ms natively, beside a ticker of 1 ms.

The floor is as many bare threads that sleep as often in a loop.
"""

from __future__ import annotations

import contextlib
import gc
import threading
import time
from typing import TYPE_CHECKING, Any

import gevent

import sides
from measure import Row, Sample
from ticker import Ticker, percentile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from measure import Opener, Sampler

SECTION = "Many threads that wait: tasks that sleep 10 ms, beside a 1 ms ticker"
THREADS = (10, 100, 400, 1_000)
NAP = 0.01
#: How many tasks there are for each thread.
TURNS = 10


def spawned(pool: Any, threads: int) -> None:
    """Spawn all tasks, then wait for all."""
    for result in [pool.spawn(time.sleep, NAP) for _ in range(threads * TURNS)]:
        result.get()


def mapped(pool: Any, threads: int) -> None:
    """Map the function over as many items as there are tasks."""
    pool.map(time.sleep, [NAP] * (threads * TURNS))


def bare(subject: BareThreads, _threads: int) -> None:
    """Let the threads loop."""
    subject.run()


class BareThreads:
    """Threads that sleep in a loop, once they are let go; the last one wakes the hub."""

    def __init__(self, threads: int) -> None:
        self._gate = threading.Event()
        self._lock = threading.Lock()
        self._left = threads
        self._all_done = gevent.get_hub().loop.async_()
        self._threads = [threading.Thread(target=self._sleep) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def _sleep(self) -> None:
        self._gate.wait()
        for _ in range(TURNS):
            time.sleep(NAP)
        with self._lock:
            self._left -= 1
            if not self._left:
                self._all_done.send()

    def run(self) -> None:
        """Let the threads go, and wait for the last one while other greenlets run."""
        self._gate.set()
        gevent.get_hub().wait(self._all_done)

    def close(self) -> None:
        """Wait for the threads' ends."""
        self._gate.set()
        for thread in self._threads:
            thread.join()
        self._all_done.close()


def BARE(threads: int) -> AbstractContextManager[BareThreads]:  # noqa: N802 - a side
    """Make the bare threads."""
    return contextlib.closing(BareThreads(threads))


def waiting(open_side: Opener, run: Callable[[Any, int], None], threads: int) -> Sampler:
    """Make what samples the seconds of a task, and how late the ticker runs."""

    def sample(_seconds: float) -> Sample:
        with open_side() as subject:
            gc.collect()
            with Ticker() as ticker:
                cpu, start = time.process_time(), time.perf_counter()
                run(subject, threads)
                wall = time.perf_counter() - start
                cpu = time.process_time() - cpu
        tasks = threads * TURNS
        late = {"p99 lateness": percentile(ticker.lateness, 0.99)}
        return Sample(wall / tasks, cpu / tasks, late)

    return sample


def rows() -> Iterator[Row]:
    """List both ways to call, by the number of threads."""
    for name, run in (("spawned", spawned), ("mapped", mapped)):
        for threads in THREADS:
            ours, peer = (
                waiting(sides.of(side, threads), run, threads) for side in sides.BOTH_POOLS
            )
            yield Row(
                SECTION,
                name,
                ours,
                peer,
                threads,
                shown="both",
                told="a task",
                libuv=threads == 100,
                floor=waiting(sides.of(BARE, threads), bare, threads),
                pairs=3,
            )
