"""How late a greenlet runs that wants to run every millisecond, while a pool is busy.

It stands for all the other greenlets of a program: what it waits, they wait.
"""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING, Any

import gevent

from measure import Sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from measure import Opener, Sampler

TICK = 0.001


class Ticker:
    """A greenlet that sleeps a millisecond at a time and notes how late it wakes."""

    def __init__(self) -> None:
        self.lateness: list[float] = []
        self._due = 0.0

    def __enter__(self) -> Ticker:
        self._greenlet = gevent.spawn(self._tick)
        gevent.sleep(0)
        return self

    def __exit__(self, *_exc_info: object) -> None:
        # The tick that is overdue counts, or a hub that never runs would look punctual.
        self.lateness.append(max(0.0, time.perf_counter() - self._due))
        self._greenlet.kill()

    def _tick(self) -> None:
        while True:
            self._due = time.perf_counter() + TICK
            gevent.sleep(TICK)
            # A loop's clock is coarser than this one, so a tick can seem early.
            self.lateness.append(max(0.0, time.perf_counter() - self._due))


def percentile(values: list[float], share: float) -> float:
    """Return the value below which *share* of all lie."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def lateness(
    open_side: Opener, work: Callable[[Any], None], tasks: int, greenlets: int = 1
) -> Sampler:
    """Make what samples the ticker's 99th percentile while greenlets repeat the work."""

    def sample(seconds: float) -> Sample:
        done = 0

        def repeat(subject: Any, end: float) -> None:
            nonlocal done
            while time.perf_counter() < end:
                work(subject)
                done += tasks

        with open_side() as subject:
            gc.collect()
            cpu = time.process_time()
            with Ticker() as ticker:
                end = time.perf_counter() + seconds
                gevent.joinall(
                    [gevent.spawn(repeat, subject, end) for _ in range(greenlets)],
                    raise_error=True,
                )
            cpu = time.process_time() - cpu
        return Sample(percentile(ticker.lateness, 0.99), cpu / done)

    return sample
