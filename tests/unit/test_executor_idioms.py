"""What programs do to an executor of the standard library's, done to hubpool's."""

from __future__ import annotations

import gc
import threading
from concurrent.futures.thread import BrokenThreadPool
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gates import LIMIT, Gate, fail, settle, until

import hubpool

if TYPE_CHECKING:
    from collections.abc import Callable


class Initializers:
    """An initializer that does something else in each thread."""

    def __init__(self, *each: Callable[[], object]) -> None:
        self._each = iter(each)

    def __call__(self) -> None:
        next(self._each, int)()


def test_a_task_waits_for_no_initializer_if_another_thread_is_idle(gate: Gate) -> None:
    executor = hubpool.ThreadPoolExecutor(2, initializer=Initializers(int, gate))
    first = Gate()
    blocked = executor.submit(first, 1)
    first.await_entered()
    future = executor.submit(abs, -2)
    gate.await_entered()
    assert not future.done()
    first.open()
    assert (blocked.result(), future.result(LIMIT)) == (1, 2)
    gate.open()
    executor.shutdown()


def test_all_that_is_pending_fails_with_an_initializer_though_another_takes_its_time(
    gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    go = Gate()

    def break_it() -> None:
        go()
        fail()

    executor = hubpool.ThreadPoolExecutor(2, initializer=Initializers(break_it, gate))
    futures = [executor.submit(abs, -number) for number in range(4)]
    go.await_entered()
    gate.await_entered()
    go.open()
    for future in futures:
        with pytest.raises(BrokenThreadPool):
            future.result(LIMIT)
    gate.open()
    executor.shutdown()
    assert "Exception in initializer" in caplog.text


def test_an_initializer_may_wait_for_a_task() -> None:
    ready = threading.Event()
    futures: list[Any] = []

    def wait() -> None:
        ready.wait(LIMIT)
        assert futures[0].result(LIMIT) == 1

    executor = hubpool.ThreadPoolExecutor(2, initializer=Initializers(wait))
    futures += [executor.submit(abs, -1), executor.submit(abs, -2)]
    ready.set()
    assert [future.result(LIMIT) for future in futures] == [1, 2]
    executor.shutdown()


def test_what_waits_for_an_initializer_can_be_cancelled(gate: Gate) -> None:
    ran: list[int] = []
    executor = hubpool.ThreadPoolExecutor(1, initializer=gate)
    futures = [executor.submit(ran.append, number) for number in range(2)]
    gate.await_entered()
    executor.shutdown(wait=False, cancel_futures=True)
    assert all(future.cancelled() for future in futures)
    gate.open()
    executor.shutdown()
    assert ran == []


def test_a_thread_that_cannot_be_started_for_an_initializer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    executor = hubpool.ThreadPoolExecutor(2, initializer=int)

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr("hubpool._gevent.start_new_thread", refuse)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            executor.submit(abs, -1)
    assert (executor._core.unfinished, executor._core.queued) == (0, 0)
    gate = Gate()
    blocked = executor.submit(gate, 1)
    gate.await_entered()
    with monkeypatch.context() as patch:
        patch.setattr("hubpool._gevent.start_new_thread", refuse)
        future = executor.submit(abs, -1)
    gate.open()
    assert (blocked.result(LIMIT), future.result(LIMIT)) == (1, 1)
    executor.shutdown()


def test_a_thread_that_a_task_starts_is_no_daemon() -> None:
    with hubpool.ThreadPoolExecutor(1) as executor:
        assert not executor.submit(lambda: threading.Thread(target=int).daemon).result(LIMIT)
        (worker,) = executor._threads
        assert not worker.daemon


@pytest.mark.parametrize("kind", [hubpool.ThreadPoolExecutor, hubpool.ThreadPool])
def test_threads_end_though_a_subclass_has_a_finalizer_of_its_own(kind: Any) -> None:
    class Own(kind):  # type: ignore[misc]
        def __del__(self) -> None:
            """Call no other."""

    own = Own(1)
    assert (own.submit(abs, -1) if hasattr(own, "submit") else own.spawn(abs, -1)).get() == 1
    core = own._core
    assert core.workers == 1
    del own
    gc.collect()
    until(lambda: not core.workers)


def test_max_workers_may_be_set_later(gate: Gate) -> None:
    executor = hubpool.ThreadPoolExecutor(1)
    blocked = executor.submit(gate, 1)
    gate.await_entered()
    executor._max_workers = 2
    assert executor._max_workers == 2
    assert executor.submit(abs, -1).result(LIMIT) == 1
    gate.open()
    blocked.result(LIMIT)
    executor.shutdown()


def test_an_executor_that_is_marked_as_shut_or_broken_takes_nothing() -> None:
    executor = hubpool.ThreadPoolExecutor(1)
    executor._shutdown = True
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        executor.submit(abs, -1)
    executor._shutdown = False
    executor._broken = "so it is"  # type: ignore[assignment]
    with pytest.raises(BrokenThreadPool, match="so it is"):
        executor.submit(abs, -1)


def test_joinall_raises_what_a_task_raised() -> None:
    with hubpool.ThreadPoolExecutor(1) as executor:
        good = executor.submit(abs, -1)
        assert gevent.joinall([good], raise_error=True) == [good]
        with pytest.raises(ZeroDivisionError):
            gevent.joinall([executor.submit(fail)], raise_error=True)


def test_a_thread_takes_back_its_own_link_only(gate: Gate) -> None:
    told: list[int] = []

    def tell(_: object) -> None:
        told.append(threading.get_ident())

    with hubpool.ThreadPoolExecutor(1) as executor:
        future = executor.submit(gate, 1)
        future.rawlink(tell)

        def elsewhere() -> None:
            future.rawlink(tell)
            future.unlink(tell)
            future.unlink(tell)
            gevent.get_hub().destroy(destroy_loop=True)

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        gate.open()
        until(lambda: told)
        settle()
    assert told == [threading.get_ident()]


def test_a_running_future_that_somebody_else_ends_frees_its_thread(
    gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    with hubpool.ThreadPoolExecutor(8) as executor:
        future = executor.submit(gate, 1)
        gate.await_entered()
        future.set_result(9)
        gate.open()
        until(lambda: not executor._core.unfinished)
        assert executor.submit(abs, -1).result(LIMIT) == 1
        assert len(executor._threads) == 1
        assert future.result() == 9
    assert "InvalidStateError" in caplog.text


def test_a_cancelled_future_may_be_asked_whether_it_runs(gate: Gate) -> None:
    with hubpool.ThreadPoolExecutor(1) as executor:
        blocked = executor.submit(gate)
        future = executor.submit(abs, -1)
        assert future.cancel()
        assert not future.set_running_or_notify_cancel()
        gate.open()
        blocked.result(LIMIT)
