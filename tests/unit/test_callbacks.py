"""Done-callbacks of futures: which thread and greenlet calls them, and when."""

from __future__ import annotations

import asyncio
import os
import queue
import threading
import time
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gates import LIMIT, Gate, fail, in_thread, no_thread, settle, until
from gevent.event import Event

import hubpool
from hubpool import _callback
from hubpool._future import Future
from hubpool._hub import hub_wake

if TYPE_CHECKING:
    from collections.abc import Callable


def _here() -> tuple[int, Any]:
    return threading.get_ident(), gevent.get_hub()


def test_the_hub_calls_a_greenlets_callbacks_in_order_and_logs_their_errors(
    executor: hubpool.ThreadPoolExecutor, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    called: list[Any] = []
    future = executor.submit(gate, 1)
    future.add_done_callback(lambda done: called.append((1, done, *_here())))
    future.add_done_callback(fail)
    future.add_done_callback(lambda done: called.append((2, done, *_here())))
    assert called == []
    gate.open()
    until(lambda: len(called) == 2)
    assert called == [(n, future, *_here()) for n in (1, 2)]
    future.add_done_callback(called.append)
    assert called[2:] == [future]
    assert [record.message[:28] for record in caplog.records] == ["exception calling callback f"]


def test_a_greenlets_callback_may_wait_and_spawn_greenlets(
    executor: hubpool.ThreadPoolExecutor,
) -> None:
    told: list[int] = []
    go = Event()

    def callback(_: object) -> None:
        go.wait()
        gevent.spawn(told.append, 1)

    executor.submit(abs, -1).add_done_callback(callback)
    other = executor.submit(abs, -2)
    other.add_done_callback(lambda _: go.set())
    until(lambda: told == [1])


def test_a_callback_of_a_future_that_is_done_comes_after_the_earlier_ones(
    executor: hubpool.ThreadPoolExecutor,
) -> None:
    called: list[str] = []
    future = executor.submit(abs, -1)
    future.add_done_callback(lambda _: called.append("first"))
    deadline = time.monotonic() + LIMIT
    while not future.done() and time.monotonic() < deadline:
        time.sleep(0.001)  # The hub does not run.
    future.add_done_callback(lambda _: called.append("second"))
    assert called == ["first", "second"]
    settle()
    assert called == ["first", "second"]


def test_callbacks_have_begun_when_the_executor_has_been_shut_down() -> None:
    called: list[object] = []
    executor = hubpool.ThreadPoolExecutor(1)
    future = executor.submit(abs, -1)
    future.add_done_callback(called.append)
    (thread,) = executor._threads
    executor.shutdown(wait=False)
    until(lambda: not thread.is_alive() or executor._threads)
    thread.join()
    assert called == [future]
    executor.shutdown(wait=True)
    assert called == [future]


@pytest.mark.parametrize("error", [SystemExit, GeneratorExit])
def test_a_callback_that_raises_worse_ends_neither_thread_nor_hub(
    executor: hubpool.ThreadPoolExecutor,
    gate: Gate,
    caplog: pytest.LogCaptureFixture,
    error: type[BaseException],
) -> None:
    def leave(_: object) -> None:
        raise error

    future = executor.submit(gate, 1)
    future.add_done_callback(leave)
    in_thread(lambda: future.add_done_callback(leave))
    gate.open()
    assert future.result() == 1
    assert executor.submit(abs, -2).result() == 2
    until(lambda: "Exception in worker" in caplog.text)
    until(lambda: "Exception in a callback" in caplog.text)


def test_the_worker_calls_the_callbacks_of_a_thread_without_hub_in_order(
    executor: hubpool.ThreadPoolExecutor, gate: Gate
) -> None:
    called: list[Any] = []
    future = executor.submit(gate, 1)

    def add() -> None:
        for number in (1, 2):
            future.add_done_callback(
                lambda done, number=number: called.append((number, done, threading.get_ident()))  # type: ignore[misc]
            )

    in_thread(add)
    gate.await_entered()
    (worker,) = executor._threads
    ident = worker.ident
    gate.open()
    until(lambda: len(called) == 2)
    assert called == [(n, future, ident) for n in (1, 2)]


def test_a_worker_calls_the_callbacks_that_a_task_adds(
    executor: hubpool.ThreadPoolExecutor, gate: Gate
) -> None:
    called: list[int] = []

    def task() -> Future[Any]:
        gevent.get_hub()  # It does not run when the task has ended.
        future = executor.submit(gate)
        future.add_done_callback(lambda _: called.append(threading.get_ident()))
        return future

    executor.submit(task).result()
    gate.open()
    until(lambda: called)
    assert called != [threading.get_ident()]


def test_the_thread_that_ends_a_future_itself_calls_its_own_callbacks_at_once() -> None:
    called: list[Any] = []
    ended: Future[int] = Future()
    ended.add_done_callback(called.append)
    ended.set_result(1)
    cancelled: Future[int] = Future()
    cancelled.add_done_callback(called.append)
    cancelled.cancel()
    assert called == [ended, cancelled]


def test_unlink_takes_no_callback_back(executor: hubpool.ThreadPoolExecutor, gate: Gate) -> None:
    told: list[Any] = []
    future = executor.submit(gate)
    future.add_done_callback(told.append)
    future.unlink(told.append)
    gate.open()
    until(lambda: told == [future])


def test_asyncio_is_told_though_its_threads_hub_does_not_run(
    executor: hubpool.ThreadPoolExecutor, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing comes of the native thread that looks after hubs.
    monkeypatch.setattr(_callback, "_lookout", None)
    gevent.get_hub()

    async def use() -> list[object]:
        loop = asyncio.get_running_loop()
        own, told = executor.submit(gate, 1), loop.create_future()
        own.add_done_callback(lambda _: loop.call_soon_threadsafe(told.set_result, 2))
        wrapped = asyncio.wrap_future(own)
        gate.open()
        return list(await asyncio.wait_for(asyncio.gather(wrapped, told), LIMIT))

    assert asyncio.run(use()) == [1, 2]


def test_asyncio_is_told_of_what_was_wrapped_before_its_loop_runs(
    executor: hubpool.ThreadPoolExecutor, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_callback, "_lookout", None)
    loop = asyncio.new_event_loop()
    wrapped = asyncio.wrap_future(executor.submit(gate, 1), loop=loop)
    gate.open()
    assert loop.run_until_complete(asyncio.wait_for(wrapped, LIMIT)) == 1
    loop.close()


def test_a_blocked_thread_gets_the_callback_that_it_waits_for_natively(
    executor: hubpool.ThreadPoolExecutor, gate: Gate
) -> None:
    results: queue.Queue[Future[Any]] = queue.Queue()
    futures = [executor.submit(gate, number) for number in range(4)]
    for future in futures:
        future.add_done_callback(results.put)
    gate.open()
    assert {results.get(timeout=LIMIT) for _ in range(4)} == set(futures)
    # From now on nobody waits for the hub, until it has run.
    wake = hub_wake(gevent.get_hub())
    assert wake.is_stuck
    later = executor.submit(abs, -1)
    later.add_done_callback(results.put)
    assert results.get(timeout=LIMIT) is later
    until(lambda: not wake.native.holds)
    assert not wake.is_stuck
    assert results.empty()


def test_a_thread_that_looks_again_and_again_gets_its_callback(
    executor: hubpool.ThreadPoolExecutor, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_callback, "_IF_IT_SLEEPS", 0.0)
    told: list[object] = []
    future = executor.submit(gate)
    future.add_done_callback(told.append)
    gate.open()
    deadline = time.monotonic() + LIMIT
    while not told and time.monotonic() < deadline:
        time.sleep(0.001)
    assert told == [future]
    settle()
    assert told == [future]


def test_a_thread_that_never_comes_back_to_its_hub_gets_its_callback_at_the_latest(
    executor: hubpool.ThreadPoolExecutor, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_callback, "_AT_THE_LATEST", 0.0)
    told: list[object] = []
    future = executor.submit(gate)
    future.add_done_callback(told.append)
    gate.open()
    deadline = time.monotonic() + LIMIT
    while not told and time.monotonic() < deadline:
        pass
    assert told == [future]


def test_what_a_callback_spawns_in_the_place_of_a_blocked_hub_runs_and_leaves_no_hub(
    executor: hubpool.ThreadPoolExecutor, gate: Gate
) -> None:
    told: queue.Queue[int] = queue.Queue()
    before = None
    for number in range(3):
        future = executor.submit(abs, number)
        future.add_done_callback(lambda done: gevent.spawn_later(0.01, told.put, done.result()))
        assert told.get(timeout=LIMIT) == number
        until(lambda: not _callback._lookout._runs)
        descriptors = len(os.listdir("/proc/self/fd"))
        before = before or descriptors
    assert descriptors == before
    gate.open()


def test_a_callback_is_called_though_no_thread_can_be_started_to_look_after_the_hub(
    executor: hubpool.ThreadPoolExecutor, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []
    future = executor.submit(gate)
    future.add_done_callback(lambda _: told.append(threading.get_ident()))
    gate.await_entered()
    monkeypatch.setattr(_callback, "_lookout", _callback._Lookout())
    monkeypatch.setattr(_callback._gevent, "start_new_thread", no_thread)
    gate.open()
    deadline = time.monotonic() + LIMIT
    while not told and time.monotonic() < deadline:
        time.sleep(0.001)
    assert len(told) == 1
    assert told != [threading.get_ident()]


def test_a_callback_is_called_though_its_hub_has_been_destroyed(
    executor: hubpool.ThreadPoolExecutor, gate: Gate
) -> None:
    told: list[Any] = []
    future = executor.submit(gate)

    def add() -> None:
        gevent.get_hub()
        future.add_done_callback(told.append)
        gevent.get_hub().destroy(destroy_loop=True)

    in_thread(add)
    gate.open()
    until(lambda: told == [future])


@pytest.mark.parametrize(
    "end",
    [
        lambda _, future: future.cancel(),
        lambda executor, _: executor.shutdown(wait=False, cancel_futures=True),
    ],
)
def test_a_task_keeps_the_loop_until_it_ends(gate: Gate, end: Callable[..., object]) -> None:
    executor = hubpool.ThreadPoolExecutor(1)
    running, queued = executor.submit(gate), executor.submit(gate)
    gate.await_entered()
    assert gevent.wait(timeout=0.01) is False
    end(executor, queued)
    assert gevent.wait(timeout=0.01) is False
    gate.open()
    assert gevent.wait(timeout=LIMIT) is True
    assert running.done()
    assert not hub_wake(gevent.get_hub()).native.keeps_loop
    executor.shutdown()


def test_a_task_keeps_the_loop_until_its_callbacks_in_the_worker_have_ended(
    executor: hubpool.ThreadPoolExecutor, gate: Gate
) -> None:
    slow, future = Gate(), executor.submit(gate)
    in_thread(lambda: future.add_done_callback(slow))
    gate.open()
    slow.await_entered()
    assert future.done()
    assert gevent.wait(timeout=0.01) is False
    slow.open()
    assert gevent.wait(timeout=LIMIT) is True


def test_a_task_that_is_refused_keeps_no_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    executor = hubpool.ThreadPoolExecutor(1)
    with monkeypatch.context() as patch:
        patch.setattr(_callback._gevent, "start_new_thread", no_thread)
        with pytest.raises(RuntimeError, match="can't start new thread") as caught:
            executor.submit(abs, -1)
    # The error's traceback refers to the future.
    assert caught.traceback
    assert gevent.wait(timeout=LIMIT) is True
    executor.shutdown()


def test_a_task_of_another_thread_keeps_no_loop(
    executor: hubpool.ThreadPoolExecutor, gate: Gate
) -> None:
    in_thread(lambda: executor.submit(gate))
    gate.await_entered()
    assert gevent.wait(timeout=LIMIT) is True


def test_tasks_that_fail_with_their_executor_keep_no_loop(
    caplog: pytest.LogCaptureFixture,
) -> None:
    executor = hubpool.ThreadPoolExecutor(1, initializer=fail)
    futures = [executor.submit(abs, -1) for _ in range(3)]
    assert gevent.wait(timeout=LIMIT) is True
    assert all(future.done() for future in futures)
    executor.shutdown()
    assert "Exception in initializer" in caplog.text
