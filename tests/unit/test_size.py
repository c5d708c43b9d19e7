"""How many threads there are, how many tasks are taken, and who waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gevent
import pytest
from gates import Gate, settle, until

if TYPE_CHECKING:
    from conftest import MakePool

    import hubpool


def _busy(
    pool: hubpool.ThreadPool, gate: Gate, count: int
) -> list[gevent.event.AsyncResult[object]]:
    """Return the results of so many tasks, which all have begun."""
    results = [pool.spawn(gate) for _ in range(count)]
    gate.await_entered(count)
    return results


def test_a_new_pool_has_no_threads(pool: hubpool.ThreadPool) -> None:
    assert (pool.size, pool.maxsize, len(pool)) == (0, 2, 0)


def test_threads_are_started_on_demand_up_to_maxsize(make_pool: MakePool, gate: Gate) -> None:
    pool = make_pool(3)
    _busy(pool, gate, 1)
    assert pool.size == 1
    _busy(pool, gate, 2)
    pool.spawn(gate)
    assert pool.size == 3
    gate.open()
    pool.join()
    assert pool.size == 3


def test_an_idle_thread_is_used_again(make_pool: MakePool) -> None:
    pool = make_pool(5)
    for number in range(50):
        assert pool.apply(abs, (-number,)) == number
    assert pool.size <= 2


def test_lowering_maxsize_ends_idle_threads(make_pool: MakePool, gate: Gate) -> None:
    pool = make_pool(4)
    _busy(pool, gate, 4)
    gate.open()
    pool.join()
    assert pool.size == 4
    pool.maxsize = 1
    until(lambda: pool.size == 1)
    pool.maxsize = 0
    until(lambda: pool.size == 0)


def test_lowering_maxsize_ends_busy_threads_as_their_tasks_finish(
    make_pool: MakePool, gate: Gate
) -> None:
    pool = make_pool(3)
    other = Gate()
    last = _busy(pool, gate, 1)
    first = _busy(pool, other, 2)
    pool.maxsize = 1
    settle()
    assert pool.size == 3
    other.open()
    assert [result.get() for result in first] == [None, None]
    until(lambda: pool.size == 1)
    assert not last[0].ready()
    gate.open()
    pool.join()
    assert last[0].ready()
    assert pool.size == 1


def test_lowering_maxsize_makes_spawn_wait_sooner(make_pool: MakePool, gate: Gate) -> None:
    pool = make_pool(3)
    pool.maxsize = 1
    held = [pool.spawn(gate), pool.spawn(gate)]
    waiting = gevent.spawn(pool.spawn, gate)
    settle()
    assert not waiting.ready()
    gate.open()
    assert waiting.get().get() is None
    assert all(result.ready() for result in held)


def test_raising_maxsize_wakes_greenlets_that_wait_in_spawn_at_once(
    make_pool: MakePool, gate: Gate
) -> None:
    pool = make_pool(1)
    held = [pool.spawn(gate), pool.spawn(gate)]
    waiting = [gevent.spawn(pool.spawn, gate) for _ in range(3)]
    settle()
    assert not any(greenlet.ready() for greenlet in waiting)
    pool.maxsize = 3
    gate.await_entered(3)
    settle()
    # Two more slots, and no task has ended.
    assert [greenlet.ready() for greenlet in waiting] == [True, True, False]
    assert not held[0].ready()
    assert pool.size == 3
    pool.maxsize = 4
    settle()
    assert all(greenlet.ready() for greenlet in waiting)


def test_raising_maxsize_lets_more_threads_join_a_running_map(
    make_pool: MakePool, gate: Gate
) -> None:
    pool = make_pool(1)
    results = pool.imap(gate, range(10))
    gate.await_entered()
    assert pool.size == 1
    pool.maxsize = 3
    gate.await_entered(2)
    assert pool.size == 3
    gate.open()
    assert list(results) == list(range(10))


@pytest.mark.parametrize("maxsize", [1, 2, 5])
def test_one_task_more_than_maxsize_is_taken_before_spawn_waits(
    make_pool: MakePool, gate: Gate, maxsize: int
) -> None:
    pool = make_pool(maxsize)
    switched: list[bool] = []
    gevent.spawn(switched.append, True)
    for _ in range(maxsize + 1):
        pool.spawn(gate)
    assert switched == []
    waiting = gevent.spawn(pool.spawn, gate)
    settle()
    assert not waiting.ready()
    assert len(pool) == maxsize + 1
    gate.open()
    assert waiting.get().get() is None


def test_a_pool_of_no_threads_keeps_a_task_until_it_may_have_one(make_pool: MakePool) -> None:
    pool = make_pool(0)
    result = pool.spawn(abs, -1)
    settle()
    assert not result.ready()
    assert (pool.size, len(pool)) == (0, 1)
    pool.maxsize = 1
    assert result.get() == 1


def test_setting_size_starts_and_ends_threads(make_pool: MakePool, gate: Gate) -> None:
    pool = make_pool(4)
    pool.size = 3
    assert pool.size == 3
    _busy(pool, gate, 3)
    assert pool.size == 3
    gate.open()
    pool.join()
    pool.size = 1
    assert pool.size == 1
    pool.size = 4
    assert pool.size == 4
    assert pool.map(abs, range(100)) == list(range(100))


def test_lowering_size_waits_for_tasks_and_lets_greenlets_run(
    pool: hubpool.ThreadPool, gate: Gate
) -> None:
    results = _busy(pool, gate, 2)
    lowering = gevent.spawn(setattr, pool, "size", 1)
    settle()
    assert not lowering.ready()
    assert pool.size == 2
    gate.open()
    lowering.get()
    assert pool.size == 1
    pool.join()
    assert all(result.ready() for result in results)


def test_the_length_and_the_truth_are_of_unfinished_tasks(
    pool: hubpool.ThreadPool, gate: Gate
) -> None:
    assert len(pool) == 0
    assert not pool
    results = [pool.spawn(gate) for _ in range(3)]
    assert len(pool) == 3
    assert pool
    gate.open()
    for result in results:
        result.get()
    pool.join()
    assert len(pool) == 0
    assert not pool


@pytest.mark.parametrize("method", ["imap", "imap_unordered", "map_async"])
def test_the_length_counts_the_items_of_a_running_map(
    pool: hubpool.ThreadPool, gate: Gate, method: str
) -> None:
    mapped = getattr(pool, method)(gate, [1, 2, 3])
    gate.await_entered(2)
    settle()
    assert len(pool) == 3
    assert pool
    gate.open()
    results = mapped.get() if method == "map_async" else list(mapped)
    assert sorted(results) == [1, 2, 3]
    assert len(pool) == 0
    assert not pool


def test_join_waits_for_all_tasks_and_lets_greenlets_run(
    pool: hubpool.ThreadPool, gate: Gate
) -> None:
    results = [pool.spawn(gate) for _ in range(3)]
    joining = gevent.spawn(pool.join)
    settle()
    assert not joining.ready()
    gate.open()
    joining.get()
    assert all(result.ready() for result in results)
    assert len(pool) == 0


def test_join_waits_for_a_running_map(pool: hubpool.ThreadPool, gate: Gate) -> None:
    mapped = pool.map_async(gate, [1, 2, 3])
    gate.await_entered(2)
    joining = gevent.spawn(pool.join)
    settle()
    assert not joining.ready()
    gate.open()
    joining.get()
    assert len(pool) == 0
    assert mapped.get() == [1, 2, 3]


def test_join_of_an_idle_pool_does_not_switch(pool: hubpool.ThreadPool) -> None:
    switched: list[bool] = []
    gevent.spawn(switched.append, True)
    pool.join()
    assert switched == []


def test_several_greenlets_may_join(pool: hubpool.ThreadPool, gate: Gate) -> None:
    _busy(pool, gate, 2)
    joining = [gevent.spawn(pool.join) for _ in range(5)]
    settle()
    assert not any(greenlet.ready() for greenlet in joining)
    gate.open()
    assert len(gevent.joinall(joining, timeout=30)) == 5


def test_kill_runs_what_is_queued_and_ends_all_threads(
    pool: hubpool.ThreadPool, gate: Gate
) -> None:
    results = [pool.spawn(gate, number) for number in range(3)]
    killing = gevent.spawn(pool.kill)
    settle()
    assert not killing.ready()
    gate.open()
    killing.get()
    assert pool.size == 0
    assert [result.get() for result in results] == [0, 1, 2]


def test_a_pool_works_again_after_kill(pool: hubpool.ThreadPool) -> None:
    for number in range(5):
        assert pool.spawn(abs, -number).get() == number
        assert pool.map(abs, [-number]) == [number]
        assert list(pool.imap(abs, iter([-number]), maxsize=1)) == [number]
        pool.kill()
        assert (pool.size, len(pool), pool.maxsize) == (0, 0, 2)


def test_kill_of_a_killed_or_a_new_pool_does_nothing(pool: hubpool.ThreadPool) -> None:
    pool.kill()
    pool.kill()
    assert pool.size == 0
    assert pool.apply(abs, (-1,)) == 1


def test_idle_threads_end_after_idle_task_timeout(make_pool: MakePool, gate: Gate) -> None:
    pool = make_pool(2, idle_task_timeout=0.01)
    _busy(pool, gate, 2)
    assert pool.size == 2
    gate.open()
    until(lambda: pool.size == 0)
    assert pool.apply(abs, (-1,)) == 1
    assert pool.map(abs, range(10)) == list(range(10))
    until(lambda: pool.size == 0)


def test_a_busy_thread_outlives_idle_task_timeout(make_pool: MakePool, gate: Gate) -> None:
    pool = make_pool(2, idle_task_timeout=0.01)
    results = _busy(pool, gate, 1)
    pool.apply(abs, (-1,))
    until(lambda: pool.size == 1)
    assert not results[0].ready()
    gate.open()
    assert results[0].get() is None


def test_the_representation_tells_the_numbers(pool: hubpool.ThreadPool, gate: Gate) -> None:
    _busy(pool, gate, 2)
    assert f"<hubpool.ThreadPool at 0x{id(pool):x} tasks=2 size=2 maxsize=2 hub=<Hub " in repr(pool)
