"""The lock that native threads and the greenlets of several hubs share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gevent
import pytest
from gates import LIMIT, Gate, until
from gevent.exceptions import BlockingSwitchOutError

from hubpool._lock import Lock

if TYPE_CHECKING:
    from hubpool import ThreadPool


def test_its_holder_takes_it_again_and_lets_it_go_as_often() -> None:
    lock = Lock()
    assert lock.acquire()
    assert lock.acquire()
    lock.release()
    assert lock.locked()
    lock.release()
    assert not lock.locked()
    with pytest.raises(RuntimeError, match="un-acquired"):
        lock.release()


def test_another_greenlet_waits_and_lets_others_run() -> None:
    lock, order = Lock(), []

    def other() -> None:
        with lock:
            order.append("other")

    with lock:
        greenlet = gevent.spawn(other)
        gevent.sleep(0.01)
        assert not lock.acquire(timeout=0) or lock.release() is None  # Its own, again.
        order.append("first")
    greenlet.get(timeout=LIMIT)
    assert order == ["first", "other"]


def test_who_does_not_have_it_can_not_let_it_go(pool: ThreadPool) -> None:
    lock = Lock()
    with lock:
        with pytest.raises(RuntimeError, match="un-acquired"):
            pool.apply(lock.release)
        assert not pool.apply(lock.acquire, (False,))
    assert pool.apply(lock.acquire, (False,))


@pytest.mark.parametrize("timeout", [0, 0.02])
def test_a_wait_ends_with_its_timeout(pool: ThreadPool, timeout: float) -> None:
    lock = Lock()
    with lock:
        assert not pool.apply(lock.acquire, (True, timeout))
        assert gevent.spawn(lock.acquire, True, timeout).get() is False
        assert not lock._waiting


def test_a_task_holds_it_while_greenlets_and_tasks_wait(pool: ThreadPool) -> None:
    pool.maxsize = 3
    lock, gate, order = Lock(), Gate(), []

    def hold() -> None:
        with lock:
            gate()
            order.append("first")

    def take(name: str) -> None:
        with lock:
            order.append(name)

    first = pool.spawn(hold)
    gate.await_entered()
    others = [pool.spawn(take, "task"), gevent.spawn(take, "greenlet")]
    until(lambda: len(lock._waiting) == 2)
    gate.open()
    for each in [first, *others]:
        each.get(timeout=LIMIT)
    assert order[0] == "first"
    assert sorted(order[1:]) == ["greenlet", "task"]


def test_the_hubs_greenlet_blocks_for_a_task_and_not_for_its_own_greenlets(
    pool: ThreadPool,
) -> None:
    lock, gate, seen = Lock(), Gate(), []

    def hold() -> None:
        with lock:
            gate()

    def from_hub() -> None:
        gate.open()
        try:
            with lock:
                seen.append(True)
        except BlockingSwitchOutError:
            seen.append(False)

    task = pool.spawn(hold)
    gate.await_entered()
    gevent.get_hub().loop.run_callback(from_hub)
    task.get(timeout=LIMIT)
    with lock:
        gevent.get_hub().loop.run_callback(from_hub)
        until(lambda: len(seen) == 2)
    assert seen == [True, False]


def test_a_lock_that_was_handed_to_a_greenlet_that_does_not_run_is_taken(pool: ThreadPool) -> None:
    lock, gate = Lock(), Gate()

    def take() -> None:
        with lock:
            pass

    lock.acquire()
    waiter = gevent.spawn(take)
    until(lambda: bool(lock._waiting))
    # The greenlet has been late, as far as the lock knows.
    turn, waiting = lock._waiting.popitem()
    lock._waiting[turn] = waiting._replace(was_late=True)
    lock.release()
    assert lock.locked()

    def take_in_task() -> None:
        with lock:
            gate.open()

    # The hub's thread is blocked until the task has the lock.
    pool.spawn(take_in_task)
    assert gate._open.wait(LIMIT)
    waiter.get(timeout=LIMIT)
    assert not lock.locked()


def test_a_greenlet_that_is_killed_gives_what_it_was_handed_to_the_next() -> None:
    lock, took = Lock(), []

    def take(name: str) -> None:
        with lock:
            took.append(name)

    lock.acquire()
    first, second = (gevent.spawn(take, name) for name in ("first", "second"))
    until(lambda: len(lock._waiting) == 2)
    for turn, waiting in lock._waiting.copy().items():
        lock._waiting[turn] = waiting._replace(was_late=True)
    lock.release()
    first.kill()
    second.get(timeout=LIMIT)
    assert took == ["second"]
    assert not lock.locked()


def test_nobody_waits_for_ever_though_no_waiter_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    lock = Lock()
    lock.acquire()
    waiter = gevent.spawn(lock.acquire)
    until(lambda: bool(lock._waiting))
    monkeypatch.setattr(Lock, "_tell_waiters", lambda _: None)
    lock.release()
    assert waiter.get(timeout=LIMIT)
