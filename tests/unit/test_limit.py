"""``set_thread_limit()``: so many threads in all, and a turn for everybody."""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gates import LIMIT, Gate, pool_threads, settle, until

import hubpool
from hubpool import _gevent
from hubpool._limit import thread_limit
from hubpool._worker import _Worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import MakePool


@pytest.fixture(autouse=True)
def _no_limit_afterwards() -> Iterator[None]:
    yield
    hubpool.set_thread_limit(None)
    until(lambda: not thread_limit._waiting)


class Count:
    """How many tasks run at once, and have at most."""

    def __init__(self) -> None:
        self.now = self.most = self.runs = 0
        self._lock = threading.Lock()

    def __call__(self, number: int = 0) -> int:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        gevent.get_hub  # noqa: B018 - some bytecode between the two
        with self._lock:
            self.now -= 1
            self.runs += 1
        return number


def test_a_pool_at_the_limit_goes_on_with_the_threads_it_has(make_pool: MakePool) -> None:
    pool = make_pool(10)
    hubpool.set_thread_limit(2)
    count = Count()
    assert pool.map(count, range(200)) == list(range(200))
    assert [result.get() for result in [pool.spawn(count, 1) for _ in range(10)]] == [1] * 10
    assert pool.size <= 2
    assert count.most <= 2
    pool.size = 10
    assert pool.size == 2


def test_a_pool_without_threads_gets_one_that_is_idle_elsewhere(make_pool: MakePool) -> None:
    first, second = make_pool(2), make_pool(2)
    hubpool.set_thread_limit(2)
    first.size = 2
    assert second.apply(abs, (-1,)) == 1
    until(lambda: (first.size, second.size) == (1, 1))
    # And the other way round, as often as it takes.
    for _ in range(20):
        assert first.map(abs, [-1, -2]) == [1, 2]
        assert second.map(abs, [-1, -2]) == [1, 2]
    assert first.size + second.size <= 2


def _meet(pool: hubpool.ThreadPool, count: int) -> Any:
    """Have so many tasks wait for each other, each in a thread of its own."""
    barrier = threading.Barrier(count)
    results = [gevent.spawn(pool.apply, barrier.wait, (LIMIT,)) for _ in range(count)]
    return lambda: gevent.joinall(results, LIMIT, raise_error=True)


def test_a_pool_with_threads_gets_what_is_idle_elsewhere_and_what_a_higher_limit_allows(
    make_pool: MakePool,
) -> None:
    idle, short = make_pool(1), make_pool(4)
    hubpool.set_thread_limit(3)
    idle.apply(int)
    _meet(short, 3)()
    assert short.size == 3
    until(lambda: idle.size == 0)
    met = _meet(short, 4)
    until(lambda: len(short) == 4)
    assert short.size == 3
    hubpool.set_thread_limit(None)
    met()
    assert short.size == 4
    assert not thread_limit._wanting


def test_a_pool_with_threads_gets_one_that_ends_elsewhere(make_pool: MakePool, gate: Gate) -> None:
    busy, short = make_pool(1), make_pool(2)
    hubpool.set_thread_limit(2)
    last = busy.spawn(gate)
    met = _meet(short, 2)
    until(lambda: len(short) == 2)
    assert short.size == 1
    killed = gevent.spawn(busy.kill)
    gate.open()
    met()
    killed.join(LIMIT)
    assert (last.get(), busy.size, short.size) == (None, 0, 2)


@pytest.mark.parametrize("busy", ["spawn", "imap"])
def test_a_pool_without_threads_gets_one_that_has_finished_its_task(
    make_pool: MakePool, busy: str
) -> None:
    first, second = make_pool(1), make_pool(1)
    hubpool.set_thread_limit(1)
    stop: list[int] = []
    ran: list[int] = []
    if busy == "spawn":

        def again(result: Any = None) -> None:
            del result
            if not stop:
                first.spawn(ran.append, 1).rawlink(again)

        def start() -> None:
            again()
            again()

        gevent.spawn(start)
    else:
        numbers = first.imap(ran.append, iter(lambda: 1 if not stop else None, None))
        gevent.spawn(lambda: [None for _ in numbers])
    until(lambda: ran)
    # The other pool is never idle.
    for number in range(10):
        assert second.apply(abs, (-number,)) == number
    stop.append(1)
    first.join()


def test_everybody_comes_to_a_turn(make_pool: MakePool) -> None:
    hubpool.set_thread_limit(2)
    pools = [make_pool(3) for _ in range(6)]
    executors = [hubpool.ThreadPoolExecutor(3) for _ in range(6)]
    count = Count()
    greenlets = [gevent.spawn(pool.map, count, range(50)) for pool in pools]
    futures = [executor.submit(count, number) for number in range(50) for executor in executors]
    done = gevent.joinall(greenlets, timeout=LIMIT)
    assert [greenlet.value for greenlet in done] == [list(range(50))] * 6
    assert sum(future.result(LIMIT) for future in futures) == 6 * sum(range(50))
    assert count.runs == 2 * 6 * 50
    assert count.most <= 2
    for executor in executors:
        executor.shutdown()


def test_one_task_that_never_ends_keeps_nobody_else_from_a_turn(
    make_pool: MakePool, gate: Gate
) -> None:
    stuck, first, second = make_pool(1), make_pool(1), make_pool(1)
    hubpool.set_thread_limit(2)
    blocked = stuck.spawn(gate)
    gate.await_entered()
    for _ in range(5):
        assert first.apply(abs, (-1,)) == 1
        assert second.apply(abs, (-1,)) == 1
    gate.open()
    blocked.get()


def test_a_lower_limit_ends_threads(make_pool: MakePool, gate: Gate) -> None:
    pool, other = make_pool(4), make_pool(4)
    pool.size = other.size = 4
    blocked = [pool.spawn(gate) for _ in range(4)]
    gate.await_entered(4)
    hubpool.set_thread_limit(4)
    until(lambda: (pool.size, other.size) == (4, 0))
    hubpool.set_thread_limit(1)
    gate.open()
    gevent.joinall(blocked)
    until(lambda: pool.size == 1)
    assert pool.map(abs, [-1, -2]) == [1, 2]


def test_a_dropped_pool_and_executor_still_run_what_is_queued(gate: Gate) -> None:
    hubpool.set_thread_limit(1)
    holder = hubpool.ThreadPool(1)
    blocked = holder.spawn(gate)
    gate.await_entered()
    results = [hubpool.ThreadPool(2).spawn(abs, -1) for _ in range(3)]
    futures = [hubpool.ThreadPoolExecutor(2).submit(abs, -1) for _ in range(3)]
    settle()
    assert not any(result.ready() for result in [*results, *futures])
    gate.open()
    assert [result.get(timeout=LIMIT) for result in [*results, *futures]] == [1] * 6
    blocked.get()
    holder.kill()
    until(lambda: not pool_threads())


@pytest.mark.parametrize("executor", [False, True])
def test_what_is_dropped_as_its_last_thread_leaves_still_runs_what_is_queued(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, executor: bool
) -> None:
    leave = threading.Event()
    cleanup = _Worker.cleanup

    def wait_and_clean_up(worker: _Worker, hub_of_worker: Any) -> None:
        leave.wait(LIMIT)  # It is not registered any more, and has not looked for a replacement.
        cleanup(worker, hub_of_worker)

    monkeypatch.setattr(_Worker, "cleanup", wait_and_clean_up)
    group: Any = hubpool.ThreadPoolExecutor(1) if executor else hubpool.ThreadPool(1)
    spawn = group.submit if executor else group.submit_threadsafe
    assert spawn(abs, 0).result(LIMIT) == 0
    first, second = spawn(gate), spawn(abs, -1)
    gate.await_entered()
    settle()
    core = group._core
    core.retire_to(0)  # As if another pool needed the thread.
    gate.open()
    until(lambda: not core.workers)
    assert (core.queued, second.done()) == (1, False)
    dropped = weakref.ref(group)
    del group, spawn
    assert dropped() is None
    leave.set()
    assert second.result(LIMIT) == 1
    del first, second
    until(lambda: not pool_threads())


@pytest.mark.parametrize("executor", [False, True])
def test_what_is_queued_ends_though_the_next_thread_cannot_be_started(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, executor: bool
) -> None:
    group: Any = hubpool.ThreadPoolExecutor(1) if executor else hubpool.ThreadPool(1)
    spawn = group.submit if executor else group.spawn
    start = _gevent.start_new_thread
    failures = []

    def refuse_twice(*args: Any) -> int:
        if len(failures) < 2:
            failures.append(args)
            raise RuntimeError("can't start new thread")
        return start(*args)

    first = spawn(abs, -1)
    assert first.get() == 1
    first, second = spawn(gate), spawn(abs, -2)
    gate.await_entered()
    monkeypatch.setattr(_gevent, "start_new_thread", refuse_twice)
    group._core.retire_to(0)  # As if another pool needed the thread.
    gate.open()
    first.get()
    if executor:
        # It has no hub that could try again.
        with pytest.raises(RuntimeError, match="can't start"):
            second.result(LIMIT)
        with pytest.raises(RuntimeError, match="can't start"):
            group.submit(abs, -3)
        assert group.submit(abs, -4).result(LIMIT) == 4
        group.shutdown()
    else:
        assert second.get(timeout=LIMIT) == 2
        group.kill()
    assert len(failures) == 2
    assert (group._core.queued, group._core.unfinished) == (0, 0)


def test_shutdown_waits_for_what_waits_for_its_turn(make_pool: MakePool, gate: Gate) -> None:
    hubpool.set_thread_limit(1)
    holder, executor = make_pool(1), hubpool.ThreadPoolExecutor(1)
    blocked = holder.spawn(gate)
    gate.await_entered()
    future = executor.submit(abs, -1)
    closing = gevent.spawn(executor.shutdown)
    settle()
    assert not closing.ready()
    gate.open()
    closing.get(timeout=LIMIT)
    assert future.done()
    blocked.get()


def test_a_pool_that_has_ended_all_its_threads_may_keep_the_next_ones(make_pool: MakePool) -> None:
    first, second = make_pool(1), make_pool(1)
    assert first.apply(threading.get_ident)
    hubpool.set_thread_limit(1)
    assert second.apply(abs, (-1,)) == 1  # For that, the other one's thread has ended.
    hubpool.set_thread_limit(None)
    assert len({first.apply(threading.get_ident) for _ in range(5)}) == 1


def test_who_waits_and_is_killed_waits_no_more(make_pool: MakePool, gate: Gate) -> None:
    hubpool.set_thread_limit(1)
    holder, pool = make_pool(1), make_pool(1)
    blocked = holder.spawn(gate)
    gate.await_entered()
    result = pool.spawn(abs, -1)
    pool.kill(drop_queued=True)
    with pytest.raises(hubpool.TaskCancelledError):
        result.get(timeout=LIMIT)
    gate.open()
    blocked.get()
    holder.kill()
    until(lambda: not thread_limit._waiting)
    assert pool.apply(abs, (-1,)) == 1
    assert thread_limit._threads.keys() == {pool._core}


def test_a_thread_that_cannot_be_started_does_not_count(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    hubpool.set_thread_limit(1)
    pool, executor = make_pool(1), hubpool.ThreadPoolExecutor(1)

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr("hubpool._gevent.start_new_thread", refuse)
        for start in (lambda: pool.spawn(abs, -1), lambda: executor.submit(abs, -1)):
            with pytest.raises(RuntimeError, match="can't start new thread"):
                start()
    assert not thread_limit._threads
    assert pool.apply(abs, (-1,)) == 1
    assert executor.submit(abs, -1).result(LIMIT) == 1
    executor.shutdown()


def test_a_forked_child_counts_its_own_threads(make_pool: MakePool) -> None:
    hubpool.set_thread_limit(1)
    pool = make_pool(1)
    assert pool.apply(abs, (-1,)) == 1
    child = gevent.os.fork()  # type: ignore[attr-defined]
    if child == 0:
        status = 1
        try:
            other = hubpool.ThreadPool(1)
            assert pool.apply(abs, (-1,)) == other.apply(abs, (-1,)) == 1
            status = 0
        finally:
            os._exit(status)
    assert gevent.os.waitpid(child, 0)[1] == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize(("limit", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError)])
def test_bad_limits_are_refused(limit: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        hubpool.set_thread_limit(limit)
    assert thread_limit.limit is None
