"""What comes between two instructions: signals, errors of the system, destroyed hubs."""

from __future__ import annotations

import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gates import settle, until

import hubpool
from hubpool import _crew, _hub, from_thread
from hubpool._account import Account
from hubpool._hub import hub_wake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import MakePool
    from gates import Gate, Reported


@pytest.fixture
def on_signal() -> Iterator[list[Callable[[], object]]]:
    """Return a list of what a signal calls, each once."""
    calls: list[Callable[[], object]] = []
    before = signal.signal(signal.SIGUSR1, lambda *_: calls and calls.pop()())
    yield calls
    signal.signal(signal.SIGUSR1, before)


def _interrupt_after(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with a signal at its end."""

    def interrupted(*args: Any) -> Any:
        result = function(*args)
        signal.raise_signal(signal.SIGUSR1)
        return result

    return interrupted


def _interrupt_the_next_task(pool: hubpool.ThreadPool, patch: pytest.MonkeyPatch) -> None:
    """Have a signal come as the next task, or map, is counted."""
    patch.setattr(Account, "_watch", _interrupt_after(Account._watch))
    # Whether the loop counts the watcher already.
    pool._account.wake.native.counted = False


@pytest.mark.parametrize(
    ("owner", "place"),
    [
        (Account, "offer"),
        (Account, "_watch"),
        (Account, "notify"),
        (_hub._gevent, "count_watcher"),
    ],
)
def test_a_signal_handler_spawns_while_a_task_is_being_counted(
    make_pool: MakePool,
    on_signal: list[Callable[[], object]],
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    place: str,
) -> None:
    pool = make_pool(3)
    pool.apply(int)
    wake = pool._account.wake
    # Until the hub looks out no more: it has much to do for the first task then.
    until(lambda: not wake._counted and not wake.native.looks_out)
    before = wake.native.holds
    monkeypatch.setattr(owner, place, _interrupt_after(getattr(owner, place)))
    results = []
    spawn = lambda: results.append(pool.spawn(int))  # noqa: E731 - each is called once
    on_signal.append(spawn)
    results.append(pool.spawn(int))
    # As it begins, and as it ends.
    on_signal.append(spawn)
    gevent.joinall(results, timeout=10)
    assert pool.join(10)
    settle()
    assert [result.get() for result in results] == [0] * len(results)
    assert len(results) >= 2
    assert (wake.native.holds, pool._account.outstanding) == (before, 0)


@pytest.mark.skipif("libuv" in gevent.config.loop.__module__, reason="gevent's libuv loop breaks")
def test_a_signal_handler_waits_while_a_map_begins(
    make_pool: MakePool,
    on_signal: list[Callable[[], object]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = make_pool(2)
    pool.apply(int)
    # The map's message is delivered while the signal is handled.
    on_signal.append(lambda: pool.apply(int) or gevent.sleep(0.01))
    _interrupt_the_next_task(pool, monkeypatch)
    assert pool.map(int, [1]) == [1]
    assert not on_signal
    assert pool.join(10)
    assert (len(pool), pool._account.outstanding) == (0, 0)


@pytest.mark.parametrize(("owner", "place"), [(Account, "resize"), (_crew.Crew, "adjust")])
@pytest.mark.parametrize(("outer", "inner"), [(7, 2), (1, 5), (5, 5)])
def test_a_signal_handler_sets_maxsize_while_it_is_being_set(
    make_pool: MakePool,
    on_signal: list[Callable[[], object]],
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    place: str,
    outer: int,
    inner: int,
) -> None:
    pool = make_pool(3)
    sizes = []

    def resize() -> None:
        pool.maxsize = inner
        sizes.append(pool.maxsize)

    with monkeypatch.context() as patch:
        patch.setattr(owner, place, _interrupt_after(getattr(owner, place)))
        on_signal.append(resize)
        pool.maxsize = outer
    assert sizes == [inner]
    assert pool.maxsize == inner
    assert pool._available_worker_threads_greenlet_sem.counter == inner + 1
    assert pool.map(int, [1, 2]) == [1, 2]


class HandlerError(Exception):
    """What a signal handler raises."""


def _raise() -> None:
    raise HandlerError


@pytest.mark.parametrize("place", ["notify", "_unwatch"])
def test_apply_returns_though_a_signal_handler_raises_as_its_task_is_counted_out(
    make_pool: MakePool,
    on_signal: list[Callable[[], object]],
    monkeypatch: pytest.MonkeyPatch,
    errors: list[Reported],
    place: str,
) -> None:
    pool = make_pool(1)
    applying = gevent.spawn(pool.apply, time.sleep, (0.02,))
    gevent.sleep(0.005)
    monkeypatch.setattr(Account, place, _interrupt_after(getattr(Account, place)))
    on_signal.append(_raise)
    applying.get(timeout=10)
    assert not on_signal or place == "_unwatch"
    assert [error.kind for error in errors] == [HandlerError] * (not on_signal)
    assert (pool._account.outstanding, pool._account.wake.native.holds) == (0, 0)


@pytest.mark.skipif("libuv" in gevent.config.loop.__module__, reason="gevent's libuv loop breaks")
def test_what_a_look_out_has_found_is_delivered_though_a_signal_handler_raises(
    make_pool: MakePool, on_signal: list[Callable[[], object]], errors: list[Reported]
) -> None:
    pool = make_pool(2)
    main = threading.get_ident()
    interrupted = 0

    def interrupt(go: Any) -> None:
        go.acquire()
        signal.pthread_kill(main, signal.SIGUSR1)

    for _ in range(50):
        for _ in range(20):
            pool.apply(int)  # So that it pays to look out.
        on_signal.append(_raise)
        # The signal comes as the result does, and is handled as the look-out returns. It must not
        # come before: its handler would raise out of spawn().
        go = threading.Lock()
        go.acquire()
        result = pool.spawn(interrupt, go)
        other = gevent.spawn(pool.apply, int)
        try:
            go.release()
            result.get()
            gevent.sleep(0.001)
        except HandlerError:
            interrupted += 1
        assert result.get(timeout=10) is None
        # The handler may as well have raised in that greenlet, or in the hub's.
        other.join(timeout=10)
        assert other.dead
    assert pool.join(10)
    settle()  # An error of a watcher's is reported in the loop's next turn.
    assert interrupted + len(errors) == 50


def test_who_joins_is_told_though_nobody_could_tell_at_once(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch, errors: list[Reported]
) -> None:
    pool = make_pool(1)
    pool.apply(int)
    notify, failed = Account.notify, []

    def fail_once(account: Account) -> None:
        if account is pool._account and not failed:
            failed.append(account)
            raise RecursionError
        notify(account)

    monkeypatch.setattr(Account, "notify", fail_once)
    pool.spawn(time.sleep, 0.01)
    assert pool.join(10)
    assert failed
    assert [error.kind for error in errors] == [RecursionError]


def test_a_map_ends_though_a_signal_handler_raises_as_it_comes_to_work(
    make_pool: MakePool,
    on_signal: list[Callable[[], object]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = make_pool(2)
    pool.apply(int)
    on_signal.append(_raise)
    with monkeypatch.context() as patch:
        _interrupt_the_next_task(pool, patch)
        with pytest.raises(HandlerError):
            pool.map(int, [1, 2, 3])
    assert pool.join(10)
    assert (len(pool), pool._maps) == (0, set())
    assert pool.map(int, [1, 2, 3]) == [1, 2, 3]
    # The results are there before the last worker has gone, and the hub has been told of that.
    assert pool.join(10)
    assert (len(pool), pool._account.outstanding) == (0, 0)


def test_a_task_that_is_refused_for_want_of_stack_leaves_no_trace(
    make_pool: MakePool,
) -> None:
    pool = make_pool(2)
    pool.apply(int)
    limit = sys.getrecursionlimit()
    results = []

    def deeper(depth: int) -> None:
        if depth:
            deeper(depth - 1)
        else:
            results.append(pool.spawn(int))

    for depth in range(limit - 120, limit):
        try:
            deeper(depth)
        except RecursionError:
            settle()
    assert results, "no call had enough of it"
    assert pool.join(10)
    settle()
    assert pool._account.outstanding == 0
    assert pool._available_worker_threads_greenlet_sem.counter == 3


def test_an_interrupt_while_the_watchers_are_made_leaves_none_half_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[object] = []

    def run() -> None:
        hub = gevent.get_hub()
        pool = hubpool.ThreadPool(1)
        wake = hub_wake(hub)
        wake.close()
        with monkeypatch.context() as patch:
            patch.setattr(_hub._gevent, "count_watcher", _interrupt)
            with pytest.raises(KeyboardInterrupt):
                pool.spawn(int)
        done.append(pool.apply(abs, (-1,)))
        pool.kill()
        hub.destroy(destroy_loop=True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(20)
    assert done == [1]


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_kill_at_the_thread_limit_runs_what_is_queued(make_pool: MakePool, gate: Gate) -> None:
    first, second = make_pool(1), make_pool(1)
    hubpool.set_thread_limit(1)
    try:
        held = first.spawn(gate)
        gate.await_entered()
        result = second.spawn(abs, -1)
        killing = gevent.spawn(second.kill)
        settle()
        assert not killing.ready()
        gate.open()
        killing.get(timeout=10)
        assert (result.get(), second.size, len(second)) == (1, 0, 0)
        held.get()
    finally:
        hubpool.set_thread_limit(None)


def test_kill_does_not_wait_for_a_thread_that_has_come_since(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool(2)
    pool.apply(int)
    may_wait = hubpool.threadpool.may_wait

    def late(hub: Any) -> bool:
        # The pool has been told to shrink.
        until(lambda: not pool.size)
        pool.apply(int)
        return may_wait(hub)

    monkeypatch.setattr(hubpool.threadpool, "may_wait", late)
    gevent.spawn(pool.kill).get(timeout=10)
    monkeypatch.undo()
    assert pool.size == 1


def test_a_call_into_a_hub_that_is_destroyed_meanwhile_ends() -> None:
    said: list[str] = []
    begun = threading.Event()

    def wait() -> None:
        begun.set()
        gevent.sleep(0.5)

    def task() -> None:
        try:
            from_thread.run(wait)
        except RuntimeError as error:
            said.append(str(error))
        else:
            # libuv's loop first lets end what is under way.
            said.append("destroyed later")

    def run() -> None:
        hubpool.ThreadPool(1).spawn(task)
        until(begun.is_set)
        gevent.get_hub().destroy(destroy_loop=True)

    thread = threading.Thread(target=run)
    thread.start()
    deadline = time.monotonic() + 20
    while not said and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "destroyed" in said[0]


def test_other_threads_call_into_the_hub_and_leave_its_loop_alone(make_pool: MakePool) -> None:
    # What gevent has for that stops libuv's loop now and then, for ever.
    pools = [make_pool(3) for _ in range(3)]
    hubpool.set_thread_limit(1)
    try:
        busy = [
            gevent.spawn(lambda pool=pool: [pool.spawn(time.sleep, 0.001) for _ in range(60)])
            for pool in pools
        ]
        gevent.joinall(busy, timeout=20)
        assert [pool.join(20) for pool in pools] == [True] * 3
    finally:
        hubpool.set_thread_limit(None)
