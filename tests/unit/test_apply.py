"""apply, and what is made of it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gates import LIMIT, fail, settle
from gevent import Greenlet

import hubpool
from hubpool._account import Account

if TYPE_CHECKING:
    from conftest import MakePool
    from gates import Gate, Reported


def test_apply_passes_arguments_and_keywords(pool: hubpool.ThreadPool) -> None:
    assert pool.apply(int, ("11",), {"base": 2}) == 3
    assert pool.apply(dict) == {}
    assert pool.apply(dict, [[(1, 2)]], {"a": 3}) == {1: 2, "a": 3}
    with pytest.raises(TypeError):
        pool.apply(dict, (), {1: 2})
    with pytest.raises(TypeError):
        pool.apply(dict, (), [("a", 3)])
    assert len(pool) == 0


def test_apply_runs_in_another_thread(pool: hubpool.ThreadPool) -> None:
    assert pool.apply(threading.get_ident) != threading.get_ident()


@pytest.mark.parametrize("maxsize", [1, 2])
def test_apply_inside_a_worker_runs_in_that_worker(make_pool: MakePool, maxsize: int) -> None:
    pool = make_pool(maxsize)

    def nested() -> tuple[int, int, int]:
        return threading.get_ident(), pool.apply(threading.get_ident), len(pool)

    outer, inner, unfinished = pool.apply(nested)
    assert outer == inner != threading.get_ident()
    assert unfinished == 1


def test_apply_inside_a_worker_of_another_pool_runs_at_once(
    make_pool: MakePool, gate: Gate
) -> None:
    full, other = make_pool(1), make_pool(1)
    held = [full.spawn(gate), full.spawn(gate)]
    outer, inner = other.apply(lambda: (threading.get_ident(), full.apply(threading.get_ident)))
    assert outer == inner
    gate.open()
    assert [result.get() for result in held] == [None, None]


def test_apply_waits_for_no_slot(make_pool: MakePool, gate: Gate) -> None:
    pool = make_pool(1)
    applying = [gevent.spawn(pool.apply, gate, (number,)) for number in range(4)]
    applying.append(gevent.spawn(pool.apply, gate, (), {"value": 4}))
    settle()
    assert len(pool) == 5
    spawning = gevent.spawn(pool.spawn, gate, 5)
    settle()
    assert not spawning.ready()
    # Now it is the turn of who waits in spawn.
    applying.append(gevent.spawn(pool.apply, gate, (6,)))
    settle()
    assert len(pool) == 5
    gate.open()
    gevent.joinall(applying, timeout=LIMIT, raise_error=True)
    assert [greenlet.value for greenlet in applying] == [0, 1, 2, 3, 4, 6]
    assert spawning.get(timeout=LIMIT).get(timeout=LIMIT) == 5
    # All that was owed has been paid, and no slot has been lost.
    held = [pool.spawn(int), pool.spawn(int)]
    assert pool.join(timeout=LIMIT)
    assert [result.get() for result in held] == [0, 0]
    assert pool._available_worker_threads_greenlet_sem.counter == 2


@pytest.mark.parametrize("report_errors", ["always", "unretrieved", "never"])
def test_apply_waits_for_no_slot_whoever_hears_of_its_error(
    make_pool: MakePool, gate: Gate, report_errors: str
) -> None:
    pool = make_pool(1, report_errors=report_errors)
    applying = [gevent.spawn(pool.apply, gate) for _ in range(5)]
    settle()
    assert len(pool) == 5
    gate.open()
    gevent.joinall(applying, timeout=LIMIT, raise_error=True)


def test_apply_waits_for_a_slot_while_workers_shall_leave(make_pool: MakePool, gate: Gate) -> None:
    pool = make_pool(1)
    held = pool.spawn(gate, 1)
    gate.await_entered()
    killing = gevent.spawn(pool.kill)
    settle()
    applying = [gevent.spawn(pool.apply, int) for _ in range(5)]
    settle()
    assert len(pool) == 2
    gate.open()
    killing.get(timeout=LIMIT)
    gevent.joinall(applying, timeout=LIMIT, raise_error=True)
    assert held.get() == 1
    # It owes again.
    with gevent.Timeout(LIMIT):
        assert pool.apply(int) == 0
    assert pool._available_worker_threads_greenlet_sem.counter == 2


def test_keywords_that_are_none_are_refused_at_once(
    pool: hubpool.ThreadPool, errors: list[Reported]
) -> None:
    kwds: Any = {1: 2}
    with pytest.raises(TypeError, match="keywords must be strings"):
        pool.apply(dict, (), kwds)
    assert (len(pool), pool.size, errors) == (0, 0, [])


def test_raising_maxsize_pays_what_apply_owes(make_pool: MakePool, gate: Gate) -> None:
    pool = make_pool(1)
    applying = [gevent.spawn(pool.apply, gate) for _ in range(5)]
    settle()
    spawning = gevent.spawn(pool.spawn, int)
    for maxsize in (3, 2, 4):
        pool.maxsize = maxsize
        settle()
        assert not spawning.ready()
    pool.maxsize = 5
    spawned = spawning.get(timeout=LIMIT)
    gate.open()
    gevent.joinall(applying, timeout=LIMIT, raise_error=True)
    assert spawned.get(timeout=LIMIT) == 0
    assert pool._available_worker_threads_greenlet_sem.counter == 6


def test_spawn_waits_until_what_apply_owes_is_paid(make_pool: MakePool, gate: Gate) -> None:
    pool = make_pool(1)
    gates = [type(gate)() for _ in range(4)]
    applying = [gevent.spawn(pool.apply, each) for each in gates]
    settle()
    spawning = gevent.spawn(pool.spawn, int)
    for number in range(2):
        settle()
        assert not spawning.ready()
        gates[number].open()
        applying[number].join(LIMIT)
    # Two tasks are left, and both have a slot.
    settle()
    assert not spawning.ready()
    gates[2].open()
    assert spawning.get(timeout=LIMIT) is not None
    gates[3].open()
    gevent.joinall(applying, timeout=LIMIT, raise_error=True)


def test_spawn_gets_its_slot_among_many_who_apply(make_pool: MakePool) -> None:
    pool = make_pool(1)
    done = False

    def apply() -> None:
        while not done:
            pool.apply(int)

    applying = [gevent.spawn(apply) for _ in range(20)]
    try:
        for _ in range(100):
            with gevent.Timeout(LIMIT):
                assert pool.spawn(int).get() == 0
    finally:
        done = True
    gevent.joinall(applying, timeout=LIMIT, raise_error=True)


@pytest.mark.parametrize("how", ["fails", "cancelled", "timed out"])
def test_a_slot_that_apply_owes_is_paid_for_however_it_ends(
    make_pool: MakePool, gate: Gate, how: str
) -> None:
    pool = make_pool(1)
    held = [pool.spawn(gate), pool.spawn(gate)]
    gate.await_entered()
    owing = [gevent.spawn(pool.apply, fail if how == "fails" else int) for _ in range(3)]
    settle()
    assert len(pool) == 5
    if how == "cancelled":
        killing = gevent.spawn(pool.kill, drop_queued=True)
        settle()
    elif how == "timed out":
        gevent.killall(owing)
    gate.open()
    gevent.joinall(owing, timeout=LIMIT)
    if how == "cancelled":
        killing.join(LIMIT)
    assert all(greenlet.ready() for greenlet in owing)
    assert held[0].get(timeout=LIMIT) is None
    assert pool.join(timeout=LIMIT)
    assert pool._available_worker_threads_greenlet_sem.counter == 2


def test_apply_inside_a_map_runs_at_once(pool: hubpool.ThreadPool) -> None:
    def nested(_: int) -> bool:
        return bool(pool.apply(threading.get_ident) == threading.get_ident())

    assert pool.map(nested, range(50)) == [True] * 50


def test_apply_inside_a_worker_raises_what_the_function_raises(pool: hubpool.ThreadPool) -> None:
    def nested() -> str:
        try:
            pool.apply(fail)
        except ZeroDivisionError as error:
            return str(error)
        return "nothing"

    assert pool.apply(nested) == "on purpose"


def test_apply_raises_the_very_exception(pool: hubpool.ThreadPool, errors: list[Reported]) -> None:
    error = LookupError("this one")

    def raise_it() -> None:
        raise error

    with pytest.raises(LookupError) as caught:
        pool.apply(raise_it)
    assert caught.value is error
    assert [reported.value for reported in errors] == [error]


def test_apply_cb_calls_back_in_the_calling_greenlet_before_it_returns(
    pool: hubpool.ThreadPool,
) -> None:
    calls: list[tuple[Any, Any]] = []

    def call_back(value: int) -> None:
        calls.append((value, gevent.getcurrent()))

    assert pool.apply_cb(pow, (2, 5), None, call_back) == 32
    assert calls == [(32, gevent.getcurrent())]


def test_apply_cb_does_without_a_callback(pool: hubpool.ThreadPool) -> None:
    assert pool.apply_cb(int, ("7",)) == 7


@pytest.mark.usefixtures("errors")
def test_apply_cb_does_not_call_back_after_an_error(pool: hubpool.ThreadPool) -> None:
    calls: list[Any] = []
    with pytest.raises(ZeroDivisionError):
        pool.apply_cb(fail, callback=calls.append)
    settle()
    assert calls == []


def test_apply_cb_raises_what_the_callback_raises(pool: hubpool.ThreadPool) -> None:
    with pytest.raises(ZeroDivisionError):
        pool.apply_cb(abs, (-1,), callback=fail)
    assert len(pool) == 0


def test_apply_async_returns_a_new_greenlet_that_has_not_begun(pool: hubpool.ThreadPool) -> None:
    first = pool.apply_async(pow, (2, 3))
    second = pool.apply_async(int, ("11",), {"base": 2})
    assert type(first) is type(second) is Greenlet
    assert first is not second
    assert len(pool) == pool.size == 0
    assert (first.get(), second.get()) == (8, 3)


def test_map_async_returns_a_new_greenlet_that_has_not_begun(pool: hubpool.ThreadPool) -> None:
    first = pool.map_async(abs, [-1, -2])
    second = pool.map_async(abs, iter([-3]))
    assert type(first) is type(second) is Greenlet
    assert first is not second
    assert len(pool) == pool.size == 0
    assert (first.get(), second.get()) == ([1, 2], [3])


@pytest.mark.parametrize(
    ("method", "arguments", "expected"),
    [("apply_async", (abs, (-1,)), 1), ("map_async", (abs, [-1, -2]), [1, 2])],
)
def test_the_async_methods_never_wait_on_a_full_pool(
    make_pool: MakePool, gate: Gate, method: str, arguments: Any, expected: Any
) -> None:
    pool = make_pool(1)
    held = [pool.spawn(gate), pool.spawn(gate)]
    switched: list[bool] = []
    gevent.spawn(switched.append, True)
    greenlet = getattr(pool, method)(*arguments)
    assert switched == []
    settle()
    assert switched == [True]
    assert not greenlet.ready()
    gate.open()
    assert greenlet.get() == expected
    assert all(result.ready() for result in held)


@pytest.mark.parametrize(
    ("method", "arguments", "expected"),
    [("apply_async", (abs, (-1,), None), 1), ("map_async", (abs, [-1, -2]), [1, 2])],
)
def test_the_async_methods_call_back_with_the_value(
    pool: hubpool.ThreadPool, method: str, arguments: Any, expected: Any
) -> None:
    calls: list[Any] = []
    greenlet = getattr(pool, method)(*arguments, callback=calls.append)
    assert calls == []
    assert greenlet.get() == expected
    assert calls == [expected]


@pytest.mark.usefixtures("errors")
@pytest.mark.parametrize(
    ("method", "arguments"), [("apply_async", (fail, (), None)), ("map_async", (fail, [1]))]
)
def test_the_async_methods_do_not_call_back_after_an_error(
    pool: hubpool.ThreadPool, method: str, arguments: Any
) -> None:
    calls: list[Any] = []
    greenlet = getattr(pool, method)(*arguments, callback=calls.append)
    with pytest.raises(ZeroDivisionError):
        greenlet.get()
    settle()
    assert calls == []
    assert not greenlet.successful()


def test_apply_on_a_dead_hub_is_an_error_at_once() -> None:
    def live() -> None:
        hub = gevent.get_hub()
        pool = hubpool.ThreadPool(1)
        with pytest.raises(ValueError, match="dead"):
            hub.throw(ValueError("dead"))  # It has not begun, so it never will.
        with pytest.raises(gevent.exceptions.InvalidSwitchError):  # type: ignore[attr-defined]
            pool.apply(abs, (-1,))
        ended.append(pool)

    ended: list[hubpool.ThreadPool] = []
    thread = threading.Thread(target=live, daemon=True)
    thread.start()
    thread.join(LIMIT)
    assert ended


def test_a_switch_by_somebody_else_is_no_result_of_apply(
    pool: hubpool.ThreadPool, gate: Gate
) -> None:
    def wait() -> None:
        with pytest.raises(gevent.exceptions.InvalidSwitchError, match="stray"):  # type: ignore[attr-defined]
            pool.apply(gate, (1,))

    waiter = gevent.spawn(wait)
    gate.await_entered(1)
    gevent.get_hub().loop.run_callback(waiter.switch, "stray")
    waiter.get()
    gate.open()
    assert pool.apply(abs, (-1,)) == 1


def test_apply_lets_a_worker_begin_at_once_if_nobody_else_would_run(
    pool: hubpool.ThreadPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer, begun = Account.offer, []

    def noted(*args: Any) -> bool:
        begun.append(args[-1])
        return offer(*args)

    monkeypatch.setattr(Account, "offer", noted)
    assert pool.apply(abs, (-1,)) == 1
    assert pool.spawn(abs, -1).get() == 1
    gevent.joinall([gevent.spawn(pool.apply, abs, (-1,)) for _ in range(2)], raise_error=True)
    assert begun[:2] == [True, False]
    assert begun[2:] == [False, True], "the first leaves it to the second"
