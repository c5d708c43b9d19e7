"""The executor, one call after another: `submit().result()` in turn, on one thread.

The pairs of this row lie far apart. Within one report hubpool took from a seventh to nearly
twice of what gevent's executor took, for some time each. So the report lists each pair, and says
where the time of a call went: a task returns the time at which the worker runs it, which is
between the wake-up of the worker and that of the caller.
"""

from __future__ import annotations

import resource
import statistics
import time
from typing import TYPE_CHECKING

import bare
import sides
from measure import Row, Sample, timing
from ticker import percentile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from measure import Opener, Sampler

SECTION = "The executor, one call after another"
WORKER, CALLER = "until the worker runs", "until the caller runs"
SLOWEST = "p99 of a call"
#: How often a thread of the process waits in the kernel, and how often another takes its core.
WAITS, LOSSES = "waits a call", "preempted or yielding a call"


def in_turn(open_executor: Opener) -> Sampler:
    """Make what samples the seconds of a call, and of its two wake-ups."""

    def sample(seconds: float) -> Sample:
        clock = time.perf_counter
        to_worker, to_caller, calls = [], [], []
        with open_executor() as executor:
            before = resource.getrusage(resource.RUSAGE_SELF)
            cpu, end = time.process_time(), clock() + seconds
            while True:
                submitted = clock()
                ran = executor.submit(clock).result()
                returned = clock()
                to_worker.append(ran - submitted)
                to_caller.append(returned - ran)
                calls.append(returned - submitted)
                if returned >= end:
                    break
            cpu = time.process_time() - cpu
            after = resource.getrusage(resource.RUSAGE_SELF)
        more = {
            WORKER: statistics.median(to_worker),
            CALLER: statistics.median(to_caller),
            SLOWEST: percentile(calls, 0.99),
            WAITS: (after.ru_nvcsw - before.ru_nvcsw) / len(calls),
            LOSSES: (after.ru_nivcsw - before.ru_nivcsw) / len(calls),
        }
        return Sample(statistics.fmean(calls), cpu / len(calls), more)

    return sample


def tell_in_turn(threads: bare.Told) -> None:
    """Have a bare thread read the clock."""
    for _ in range(20):
        threads.apply(time.perf_counter)


def rows() -> Iterator[Row]:
    """List both peers."""
    for name, side in (
        ("gevent's", sides.GEVENT_EXECUTOR),
        ("the standard library's", sides.STDLIB_EXECUTOR),
    ):
        yield Row(
            SECTION,
            f"submit, result, against {name}",
            in_turn(sides.of(sides.HUBPOOL_EXECUTOR, 1)),
            in_turn(sides.of(side, 1)),
            1,
            shown="both",
            told="a call",
            floor=timing(sides.of(bare.IN_TURN, 1), tell_in_turn, 20),
            units={WAITS: "", LOSSES: ""},
            weight=4,
            pairs=40,
            each=True,
        )
