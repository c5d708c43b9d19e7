"""What hubpool does while a tool watches the switches of greenlets."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import greenlet
import pytest
from gates import settle, until
from gevent.hub import get_hub

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import hubpool


@pytest.fixture
def switches() -> Iterator[list[Any]]:
    """Return the greenlets that are switched to."""
    targets: list[Any] = []
    before = greenlet.settrace(lambda _, args: targets.append(args[1]))
    yield targets
    greenlet.settrace(before)


def _wait_natively(condition: Callable[[], object]) -> None:
    while not condition():
        time.sleep(0.0001)


def test_nobody_stands_in_for_a_hub_that_is_watched(
    pool: hubpool.ThreadPool, switches: list[Any]
) -> None:
    wake = pool._account.wake
    pool.apply(int)
    result = pool.spawn(int)
    wake.native.looks_out = True
    _wait_natively(lambda: not pool._core.unfinished)
    assert not wake.stand_in()
    assert not result.ready()
    switches.clear()
    assert result.get() == 0
    assert get_hub() in switches


def test_a_result_that_is_there_is_given_without_a_switch_where_the_caller_does_not_wait(
    executor: hubpool.ThreadPoolExecutor, switches: list[Any]
) -> None:
    future = executor.submit(abs, -1)
    _wait_natively(future.done)
    switches.clear()
    assert future.get(block=False) == 1
    assert future.result(timeout=0) == 1
    assert future.exception(timeout=0) is None
    assert future.wait(timeout=0) == 1
    assert switches == []
    assert future.result() == 1
    assert switches[0] is get_hub()


@pytest.mark.usefixtures("switches")
def test_the_hubs_own_greenlet_gets_a_result_that_is_there(
    executor: hubpool.ThreadPoolExecutor,
) -> None:
    future = executor.submit(abs, -1)
    _wait_natively(future.done)
    results: list[int] = []
    get_hub().loop.run_callback(lambda: results.append(future.result()))
    until(lambda: results)
    assert results == [1]


@pytest.mark.usefixtures("switches")
def test_a_reader_that_is_broken_off_on_its_way_through_the_hub_loses_no_result(
    pool: hubpool.ThreadPool,
) -> None:
    results = pool.imap(abs, range(-3, 0))
    _wait_natively(lambda: not pool._core.unfinished)
    get_hub().loop.run_callback(greenlet.getcurrent().throw, ZeroDivisionError)
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert list(results) == [3, 2, 1]


@pytest.mark.usefixtures("switches")
def test_two_readers_that_pass_by_the_hub_share_the_results(pool: hubpool.ThreadPool) -> None:
    results = pool.imap(abs, range(-2, 0))
    _wait_natively(lambda: not pool._core.unfinished)
    seen: list[int] = []

    def read() -> None:
        seen.append(next(results))

    readers = [greenlet.greenlet(read) for _ in range(2)]
    for reader in readers:
        get_hub().loop.run_callback(reader.switch)
    settle()
    assert sorted(seen) == [1, 2]
