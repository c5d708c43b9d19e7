"""Tasks that nobody wants any more are withdrawn, and waits may end early."""

from __future__ import annotations

import concurrent.futures
import gc
import itertools
import threading
import time
import weakref
from typing import TYPE_CHECKING

import gevent
import pytest
from gates import LIMIT, settle, until

import hubpool
from hubpool import TaskCancelledError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import MakePool
    from gates import Gate, Reported

METHODS = pytest.mark.parametrize("method", ["map", "imap", "imap_unordered"])


@pytest.fixture
def busy(make_pool: MakePool, gate: Gate) -> hubpool.ThreadPool:
    """Return a pool of one thread that the gate blocks."""
    pool = make_pool(1)
    pool.spawn(gate, "first")
    gate.await_entered()
    return pool


def test_a_queued_task_is_cancelled_and_never_run(
    busy: hubpool.ThreadPool, gate: Gate, errors: list[Reported]
) -> None:
    ran: list[int] = []
    result = busy.spawn(ran.append, 1)
    waiter = gevent.spawn(result.wait)
    settle()
    assert busy.cancel(result) is True
    assert busy.cancel(result) is False
    assert len(busy) == 1
    assert waiter.get() is None
    with pytest.raises(TaskCancelledError, match="was cancelled"):
        result.get()
    gate.open()
    busy.join()
    assert (ran, errors) == ([], [])
    assert busy._available_worker_threads_greenlet_sem.counter == 2
    assert issubclass(TaskCancelledError, concurrent.futures.CancelledError)


def test_the_arguments_of_a_cancelled_task_are_dropped(busy: hubpool.ThreadPool) -> None:
    thing = threading.Event()
    dropped = weakref.ref(thing)
    result = busy.spawn(thing.set)
    del thing
    assert busy.cancel(result)
    assert dropped() is None


def test_a_task_that_has_begun_or_ended_is_not_cancelled(make_pool: MakePool, gate: Gate) -> None:
    pool = make_pool(1)
    result = pool.spawn(gate, 7)
    gate.await_entered()
    assert pool.cancel(result) is False
    gate.open()
    assert result.get() == 7
    assert pool.cancel(result) is False


def test_only_the_hubs_thread_cancels(busy: hubpool.ThreadPool, gate: Gate) -> None:
    result = busy.spawn(abs, -1)
    raised: list[BaseException] = []

    def cancel() -> None:
        try:
            busy.cancel(result)
        except BaseException as error:  # noqa: BLE001 - it is looked at below
            raised.append(error)

    thread = threading.Thread(target=cancel)
    thread.start()
    thread.join()
    assert [type(error) for error in raised] == [gevent.exceptions.InvalidThreadUseError]
    gate.open()
    assert result.get() == 1


@pytest.mark.parametrize("how", ["timeout", "kill"])
def test_apply_withdraws_its_task_if_its_wait_is_broken_off(
    busy: hubpool.ThreadPool, gate: Gate, how: str
) -> None:
    ran: list[int] = []
    if how == "timeout":
        with gevent.Timeout(0.001, False):
            busy.apply(ran.append, (1,))
    else:
        greenlet = gevent.spawn(busy.apply, ran.append, (1,))
        settle()
        assert len(busy) == 2
        greenlet.kill()
    assert len(busy) == 1
    gate.open()
    busy.join()
    assert ran == []


def test_apply_leaves_a_task_that_has_begun(make_pool: MakePool, gate: Gate) -> None:
    pool = make_pool(1)
    with gevent.Timeout(0.01, False):
        pool.apply(gate)
    assert gate.entered()
    assert len(pool) == 1
    gate.open()
    assert pool.join(LIMIT)


def test_kill_may_drop_what_is_queued(
    make_pool: MakePool, gate: Gate, errors: list[Reported]
) -> None:
    pool = make_pool(2)
    ran: list[int] = []
    running = [pool.spawn(gate, number) for number in range(2)]
    gate.await_entered(2)
    queued = pool.spawn(ran.append, 1)
    killer = gevent.spawn(pool.kill, drop_queued=True)
    with pytest.raises(TaskCancelledError, match="was killed"):
        queued.get()
    gate.open()
    killer.get()
    assert [result.get() for result in running] == [0, 1]
    assert (pool.size, len(pool), ran, errors) == (0, 0, [], [])
    assert pool.apply(abs, (-1,)) == 1
    assert pool._available_worker_threads_greenlet_sem.counter == 3


@METHODS
@pytest.mark.parametrize("endless", [False, True])
def test_kill_may_drop_maps(
    make_pool: MakePool, gate: Gate, method: str, endless: bool, errors: list[Reported]
) -> None:
    pool = make_pool(2)
    source: Iterator[int] | range = itertools.count() if endless else range(100)
    reader = gevent.spawn(lambda: list(getattr(pool, method)(gate, source)))
    gate.await_entered(2)
    killer = gevent.spawn(pool.kill, drop_queued=True)
    settle()
    assert len(pool) == 2
    gate.open()
    killer.get()
    with pytest.raises(TaskCancelledError, match="was killed"):
        reader.get()
    assert not gate.entered()
    assert pool.join(LIMIT)
    assert (pool.size, len(pool), pool._core.queued) == (0, 0, 0)
    assert [error for error in errors if error.kind is not TaskCancelledError] == []
    assert pool.map(abs, [-1]) == [1]


def test_join_says_whether_the_pool_is_empty(make_pool: MakePool, gate: Gate) -> None:
    pool = make_pool(1)
    assert pool.join() is True
    assert pool.join(0) is True
    result = pool.spawn(gate)
    gate.await_entered()
    for seconds in (0, 0.001, -1):
        assert pool.join(timeout=seconds) is False
    gevent.spawn(gate.open)
    assert pool.join(timeout=LIMIT) is True
    assert result.ready()


def test_join_off_the_hub_has_a_time_limit_too(busy: hubpool.ThreadPool, gate: Gate) -> None:
    told: list[bool] = []

    def look() -> None:
        told.append(busy.join(0.005))
        gate.open()
        told.append(busy.join(LIMIT))

    thread = threading.Thread(target=look)
    thread.start()
    until(lambda: not thread.is_alive())
    assert told == [False, True]


def test_a_wait_that_is_over_leaves_nothing_behind(busy: hubpool.ThreadPool) -> None:
    account = busy._account
    held = account.wake.native.holds
    start = time.monotonic()
    assert busy.join(0.02) is False
    assert time.monotonic() - start >= 0.02
    assert (account.events, account.wake.native.holds) == ([], held)
    gc.collect()
