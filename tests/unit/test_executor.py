"""The executor."""

from __future__ import annotations

import concurrent.futures
import threading
from typing import TYPE_CHECKING

import gevent
import pytest
from gates import Gate, fail, pool_threads, settle, until

import hubpool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gates import Reported


@pytest.fixture
def executor() -> Iterator[hubpool.ThreadPoolExecutor]:
    before = set(pool_threads())
    executor = hubpool.ThreadPoolExecutor(2)
    yield executor
    executor.shutdown()
    until(lambda: not set(pool_threads()) - before)


def test_it_is_an_executor_over_hubpools_pool(executor: hubpool.ThreadPoolExecutor) -> None:
    assert isinstance(executor, concurrent.futures.ThreadPoolExecutor)
    assert type(executor._threadpool) is hubpool.ThreadPool
    assert executor._threadpool.maxsize == 2


def test_submit_returns_a_future_of_the_result(executor: hubpool.ThreadPoolExecutor) -> None:
    future = executor.submit(int, "11", base=2)
    assert future.result(timeout=30) == 3
    assert future.done()
    assert future.exception() is None
    assert executor.submit(threading.get_ident).result() != threading.get_ident()


def test_a_future_raises_what_the_function_raises(
    executor: hubpool.ThreadPoolExecutor, errors: list[Reported]
) -> None:
    future = executor.submit(fail)
    with pytest.raises(ZeroDivisionError):
        future.result()
    assert [error.kind for error in errors] == [ZeroDivisionError]


def test_map_gives_the_results_in_order(executor: hubpool.ThreadPoolExecutor) -> None:
    assert list(executor.map(pow, range(20), [2] * 20)) == [n * n for n in range(20)]


def test_result_times_out(executor: hubpool.ThreadPoolExecutor) -> None:
    gate = Gate()
    future = executor.submit(gate, 1)
    with pytest.raises(concurrent.futures.TimeoutError):
        future.result(timeout=0.001)
    assert not future.done()
    gate.open()
    assert future.result() == 1


def test_gevent_waits_for_futures(executor: hubpool.ThreadPoolExecutor) -> None:
    gate = Gate()
    first, second = executor.submit(gate), executor.submit(abs, -1)
    assert gevent.wait([first, second], count=1) == [second]
    assert not first.done()
    gevent.spawn(gate.open)
    assert sorted(map(id, gevent.wait([first, second]))) == sorted([id(first), id(second)])
    assert first.done()


def test_a_callback_is_called_with_the_future(executor: hubpool.ThreadPoolExecutor) -> None:
    gate = Gate()
    future = executor.submit(gate, 1)
    called: list[object] = []
    future.add_done_callback(called.append)
    settle()
    assert called == []
    gate.open()
    until(lambda: called)
    assert called == [future]


def test_shutdown_runs_what_is_queued_and_ends_the_threads(
    executor: hubpool.ThreadPoolExecutor,
) -> None:
    gate = Gate()
    pool = executor._threadpool
    assert pool is not None
    futures = [executor.submit(gate, number) for number in range(3)]
    gevent.spawn(gate.open)
    executor.shutdown()
    assert pool.size == 0
    assert [future.result() for future in futures] == [0, 1, 2]


def test_nothing_is_taken_after_shutdown(executor: hubpool.ThreadPoolExecutor) -> None:
    executor.shutdown()
    executor.shutdown()
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(abs, -1)
    with pytest.raises(RuntimeError, match="after shutdown"):
        list(executor.map(abs, [-1]))


def test_a_with_statement_shuts_down(executor: hubpool.ThreadPoolExecutor) -> None:
    with executor:
        future = executor.submit(abs, -1)
    assert future.result() == 1
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(abs, -1)
