"""A pool's workers compute on as many threads as there are cores, and wait on all of them."""

from __future__ import annotations

import hashlib
import os
import statistics
import threading
import time
from typing import TYPE_CHECKING

import gevent
import pytest
from gates import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import MakePool

    from hubpool import ThreadPool

CORES = len(os.sched_getaffinity(0))
THREADS = 5 * CORES
JOBS = 60 * THREADS
DATA = bytes(1 << 20)


class Count:
    """Calls a function, and notes with each call how many calls run."""

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function
        self._lock = threading.Lock()
        self._running = 0
        self.seen: list[int] = []

    def __call__(self, _: object = None) -> None:
        with self._lock:
            self._running += 1
            self.seen.append(self._running)
        try:
            self._function()
        finally:
            with self._lock:
                self._running -= 1

    def usual(self) -> float:
        """Return how many usually ran once the workers had learnt what the calls do."""
        return statistics.median(self.seen[JOBS // 2 :])


def _hash() -> None:
    # Without the interpreter.
    hashlib.sha256(DATA)


def _hash_and_wait() -> None:
    _hash()
    time.sleep(0.005)


def _spawn(pool: ThreadPool, count: Count) -> None:
    gevent.joinall([pool.spawn(count) for _ in range(JOBS)], raise_error=True)


def _map(pool: ThreadPool, count: Count) -> None:
    pool.map(count, range(JOBS))


def _usual(
    run: Callable[[ThreadPool, Count], None], pool: ThreadPool, job: Callable[[], object]
) -> float:
    """Run the job, and return how many usually ran at once."""
    count = Count(job)
    run(pool, count)
    assert len(count.seen) == JOBS
    return count.usual()


RUNS = pytest.mark.parametrize("run", [_spawn, _map])


@RUNS
def test_no_more_workers_compute_than_there_are_cores(
    make_pool: MakePool, run: Callable[[ThreadPool, Count], None]
) -> None:
    pool = make_pool(THREADS)
    # Other programs may have kept the workers from their cores for a while.
    until(lambda: _usual(run, pool, _hash) <= CORES)


@RUNS
def test_workers_whose_jobs_also_wait_are_not_limited(
    make_pool: MakePool, run: Callable[[ThreadPool, Count], None]
) -> None:
    pool = make_pool(THREADS)
    until(lambda: _usual(run, pool, _hash_and_wait) > CORES)


def test_jobs_of_a_pool_that_computed_may_wait_for_each_other(make_pool: MakePool) -> None:
    pool = make_pool(THREADS)
    _spawn(pool, Count(_hash))
    barrier = threading.Barrier(THREADS)

    def meet() -> None:
        _hash()
        barrier.wait(30)

    for _ in range(3):
        gevent.joinall([pool.spawn(meet) for _ in range(THREADS)], raise_error=True)


def test_a_long_job_keeps_no_other_from_a_place(make_pool: MakePool) -> None:
    pool = make_pool(THREADS)
    _spawn(pool, Count(_hash))
    over = threading.Event()

    def long() -> None:
        while not over.is_set():
            _hash()

    running = [pool.spawn(long) for _ in range(THREADS - 1)]
    pool.map(lambda _: _hash(), range(20))
    over.set()
    gevent.joinall(running, raise_error=True)


def test_workers_that_end_while_others_wait_for_a_place_leave_no_job(make_pool: MakePool) -> None:
    pool = make_pool(THREADS)
    count = Count(_hash)
    spawned = [pool.spawn(count) for _ in range(JOBS)]
    for size in (1, THREADS, 0, CORES):
        gevent.sleep(0.01)
        pool.maxsize = size
    gevent.joinall(spawned, raise_error=True)
    assert len(count.seen) == JOBS
