"""A greenlet that is about to wait looks out in the hub's place."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gates import LIMIT, Gate, settle, until
from gevent.exceptions import BlockingSwitchOutError
from gevent.hub import get_hub
from greenlet import getcurrent

import hubpool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import MakePool

    from hubpool._hub import HubWake


@pytest.fixture
def wake(pool: hubpool.ThreadPool) -> Iterator[HubWake]:
    """Return the wake of a hub that somebody waits for, and that looks out."""
    pool.apply(int)
    wake = pool._account.wake
    wake.hold()
    wake.native.looks_out = True
    yield wake
    wake.native.looks_out = False
    wake.release()


def _stand_in_until(wake: HubWake, condition: Callable[[], object]) -> None:
    """Look out again and again, without a turn of the hub's, until the condition holds."""
    while not condition():
        # A look-out in vain stops them.
        wake.native.looks_out = True
        wake.stand_in()
        time.sleep(0.0001)


def test_it_delivers_a_value_without_the_hub(pool: hubpool.ThreadPool, wake: HubWake) -> None:
    turns: list[None] = []
    result = pool.spawn(abs, -1)
    watcher = get_hub().loop.timer(0)
    watcher.start(turns.append, None)
    _stand_in_until(wake, result.ready)
    assert (result.get(), turns, len(pool)) == (1, [], 0)
    watcher.close()


def test_it_does_nothing_while_others_would_run(wake: HubWake) -> None:
    called: list[None] = []
    get_hub().loop.run_callback(called.append, None)
    wake.native.post((_Anywhere(), None, None, None))
    assert not wake.stand_in()
    until(lambda: called and not get_hub().loop._callbacks)
    wake.native.post((_Anywhere(), None, None, None))
    wake.native.looks_out = True
    # The first time may be the hub's turn.
    assert wake.stand_in() or wake.stand_in()


class _Anywhere:
    anywhere = True

    def deliver(self, *_: None) -> None:
        """Do nothing."""


def test_it_leaves_the_hub_its_turn(wake: HubWake) -> None:
    # Each look-out takes some microseconds, and some hundred of them are too many.
    while wake.native.stand_in() or wake.native.found() is not None:
        pass
    # The hub has not had it yet.
    assert not wake.native.stand_in()
    assert wake.native.found() is None
    wake.native.look_out()
    assert not wake.native.stand_in()
    assert wake.native.found() is False


def test_what_is_left_to_the_hub_is_left_there(wake: HubWake) -> None:
    delivered: list[None] = []

    class Target:
        anywhere = True

        def deliver(self, *_: None) -> None:
            delivered.append(None)

    wake.native.post((Target(), None, None, None))
    wake.native.drain()
    assert wake.native.undelivered
    assert not wake.stand_in()
    assert delivered == []
    wake.drain()
    assert delivered == [None]


class _Late:
    """The native part of a wake whose look-outs find something, and come back late."""

    look_out_paid = False

    def __init__(self, native: Any) -> None:
        self.__dict__["_native"] = native

    def __getattr__(self, name: str) -> Any:
        return getattr(self._native, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._native, name, value)

    def stand_in(self) -> bool:
        self._native.stand_in()
        return False


def test_who_finds_something_late_looks_out_no_more(wake: HubWake) -> None:
    native = wake.native
    wake.native = _Late(native)  # type: ignore[assignment] # it stands in for it
    try:
        for look in (wake.stand_in, wake._on_idle):
            native.post((_Anywhere(), None, None, None))
            native.looks_out = True
            # The first time may be the hub's turn.
            assert look() or look() or look == wake._on_idle
            assert not native.undelivered
            assert not native.looks_out
    finally:
        wake.native = native


def test_an_error_is_reported_in_the_hubs_greenlet(
    pool: hubpool.ThreadPool, wake: HubWake, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = get_hub()
    reporters: list[Any] = []
    monkeypatch.setattr(hub, "handle_error", lambda *_: reporters.append(getcurrent()))
    failing = pool.spawn(lambda: 1 / 0)
    value = pool.spawn(abs, -1)
    # It has come to the error, and left it.
    _stand_in_until(wake, lambda: hub.loop._callbacks)
    assert (failing.ready(), reporters) == (False, [])
    with pytest.raises(ZeroDivisionError):
        failing.get()
    assert (value.get(), reporters) == (1, [hub])


def test_a_callback_is_called_in_the_hubs_greenlet(wake: HubWake) -> None:
    callers: list[Any] = []
    with hubpool.ThreadPoolExecutor(1) as executor:
        future = executor.submit(abs, -1)
        future.rawlink(lambda _: callers.append(getcurrent()))
        _stand_in_until(wake, lambda: get_hub().loop._callbacks)
        assert callers == []
        gevent.sleep(0)
        assert callers == [get_hub()]


def test_who_waits_for_a_future_goes_on_by_the_hub_whoever_looks_out(wake: HubWake) -> None:
    hub = get_hub()
    with hubpool.ThreadPoolExecutor(1) as executor:
        gate = Gate()
        future = executor.submit(gate)
        waiting = gevent.spawn(future.result)
        settle()
        gate.open()
        _stand_in_until(wake, lambda: hub.loop._callbacks)
        assert (future.done(), waiting.ready()) == (True, False)
        waiting.join(timeout=LIMIT)
        assert waiting.value == future.result()


def test_who_is_about_to_wait_for_a_future_looks_out_first(
    wake: HubWake, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[None] = []
    gate = Gate()
    look = type(wake).stand_in

    def stand_in(self: HubWake) -> None:
        gate.open()
        # Until who waits for the future has been told.
        while self.native.holds > 1:
            self.native.looks_out = True
            look(self)
            time.sleep(0.0001)

    monkeypatch.setattr(type(wake), "stand_in", stand_in)
    with hubpool.ThreadPoolExecutor(1) as executor:
        future = executor.submit(gate)
        watcher = get_hub().loop.timer(0)
        watcher.start(turns.append, None)
        future.result()
        assert turns == []
        monkeypatch.undo()
    watcher.close()


def test_apply_in_the_hubs_greenlet_is_refused_though_the_value_would_come(
    pool: hubpool.ThreadPool, wake: HubWake
) -> None:
    errors: list[BaseException] = []

    def apply() -> None:
        wake.native.looks_out = True
        for _ in range(3):
            try:
                pool.apply(int)
            except BlockingSwitchOutError as error:
                errors.append(error)

    get_hub().loop.run_callback(apply)
    gevent.sleep(0.01)
    assert len(errors) == 3
    pool.join()


@pytest.mark.parametrize("threads", [2, 3])
def test_tasks_that_wait_for_each_other_all_run(make_pool: MakePool, threads: int) -> None:
    pool = make_pool(threads)
    for _ in range(300):
        # The first worker leaves it to the hub to wake the others, and waits for them.
        barrier = gevent.monkey.get_original("threading", "Barrier")(threads)
        results = [pool.spawn(barrier.wait, 20) for _ in range(threads)]
        assert sorted(result.get() for result in results) == list(range(threads))
        assert sorted(pool.map(lambda _, b=barrier: b.wait(20), range(threads))) == list(
            range(threads)
        )


def test_a_slot_is_theirs_who_wait_already(make_pool: MakePool) -> None:
    pool = make_pool(1)
    calls = [0] * 5

    def repeat(number: int) -> None:
        while sum(calls) < 1000:
            pool.apply(int)
            calls[number] += 1

    gevent.joinall([gevent.spawn(repeat, number) for number in range(5)], raise_error=True)
    assert min(calls) > 100


def test_a_hub_that_stops_looking_out_as_the_last_message_comes_counts_no_watcher(
    pool: hubpool.ThreadPool,
) -> None:
    pool.apply(int)
    wake = pool._account.wake
    native = wake.native

    class _Last(_Anywhere):
        def deliver(self, *_: None) -> None:
            wake.release()

    wake.native = _Late(native)  # type: ignore[assignment] # it stands in for it
    try:
        for look in (wake.stand_in, wake._on_idle):
            wake.hold()
            native.post((_Last(), None, None, None))
            native.looks_out = True
            # The first time may be the hub's turn.
            assert look == wake._on_idle or look() or look()
            if look == wake._on_idle:
                look()
            assert (native.holds, native.looks_out, wake._counted) == (0, False, False)
    finally:
        wake.native = native
    assert gevent.get_hub().join(timeout=LIMIT)
