"""The differences from gevent that PARITY.md lists."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import gevent
import pytest

import hubpool

if TYPE_CHECKING:
    from collections.abc import Iterator

METHODS = ["imap", "imap_unordered"]


@pytest.mark.parametrize("method", METHODS)
def test_the_error_of_an_iterable_comes_after_the_results(
    pool: hubpool.ThreadPool, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gevent.get_hub(), "exception_stream", None, raising=False)

    def items() -> Iterator[int]:
        yield -1
        yield -2
        raise LookupError("no more")

    results = getattr(pool, method)(abs, items())
    assert sorted([next(results), next(results)]) == [1, 2]
    with pytest.raises(LookupError, match="no more"):
        next(results)
    assert next(results, None) is None


def test_a_function_that_cannot_be_called_is_refused_at_once(pool: hubpool.ThreadPool) -> None:
    function: Any = "abs"
    for call in (
        lambda: pool.spawn(function, 1),
        lambda: pool.map(function, [1]),
        lambda: pool.imap(function, [1]),
        lambda: pool.imap_unordered(function, [1]),
    ):
        with pytest.raises(TypeError, match="func must be callable"):
            call()
        assert len(pool) == 0


@pytest.mark.parametrize("size", [1.5, "1", None])
def test_a_size_that_is_no_integer_is_refused(pool: hubpool.ThreadPool, size: Any) -> None:
    with pytest.raises(TypeError):
        pool.size = size
    assert pool.size == 0


def test_an_idle_time_that_is_no_number_is_refused() -> None:
    idle: Any = "1"
    with pytest.raises(TypeError):
        hubpool.ThreadPool(1, None, idle)
    with pytest.raises(ValueError, match="nan"):
        hubpool.ThreadPool(1, None, float("nan"))


@pytest.mark.parametrize("idle", [1e18, 1e300, float("inf"), -1])
def test_an_idle_time_that_never_ends_is_never(idle: float) -> None:
    pool = hubpool.ThreadPool(1, None, idle)
    with gevent.Timeout(30):
        assert pool.apply(abs, (-1,)) == 1
        assert pool.size == 1
        pool.kill()


def test_a_pool_whose_hub_is_gone_can_be_killed() -> None:
    pools: list[hubpool.ThreadPool] = []

    def live() -> None:
        pools.append(hubpool.ThreadPool(2))
        pools[0].apply(abs, (-1,))
        gevent.get_hub().destroy(True)

    thread = threading.Thread(target=live)
    thread.start()
    thread.join()
    pool = pools[0]
    with pytest.raises(AttributeError, match="destroyed"):
        hubpool.ThreadPool(1, hub=pool.hub)
    with pytest.raises(gevent.exceptions.InvalidThreadUseError):  # type: ignore[attr-defined]
        pool.spawn(abs, 1)
    with gevent.Timeout(30):
        pool.join()
        pool.kill()
    assert len(pool) == 0


def test_names_that_programs_look_for_are_there(pool: hubpool.ThreadPool) -> None:
    assert pool.fork_watcher is None
    assert pool.manager is None
    assert pool.task_queue.unfinished_tasks == 0
    assert pool.task_queue.qsize() == 0
    assert pool.hub is gevent.get_hub()


def test_a_maxsize_beyond_reason_is_refused_and_leaves_no_trace(pool: hubpool.ThreadPool) -> None:
    for maxsize in (2**31, 2**63, 2**70):
        with pytest.raises(OverflowError):
            pool.maxsize = maxsize
        assert pool.maxsize == 2
