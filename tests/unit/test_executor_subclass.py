"""What a subclass of the executor overrides is called as the standard library calls it."""

from __future__ import annotations

import concurrent.futures.thread as standard
import queue
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from gates import LIMIT, Gate, until

import hubpool

if TYPE_CHECKING:
    from collections.abc import Callable


class Counting(hubpool.ThreadPoolExecutor):
    """Counts its calls, and leaves the work to its base."""

    adjusted = 0

    def _adjust_thread_count(self) -> None:
        self.adjusted += 1
        super()._adjust_thread_count()


class Own(hubpool.ThreadPoolExecutor):
    """Starts threads as the standard library's class does."""

    def _adjust_thread_count(self) -> None:
        if self._idle_semaphore.acquire(timeout=0):  # type: ignore[attr-defined]
            return
        if len(self._threads) < self._max_workers:
            work_queue = self._work_queue
            reference = weakref.ref(self, lambda _: work_queue.put(None))
            if hasattr(self, "_create_worker_context"):  # CPython 3.14.
                args: Any = reference, self._create_worker_context(), work_queue
            else:
                args = reference, work_queue, self._initializer, self._initargs
            thread = threading.Thread(
                name=f"own-{len(self._threads)}",
                target=standard._worker,  # type: ignore[attr-defined]
                args=args,
            )
            thread.start()
            self._threads.add(thread)  # type: ignore[arg-type]
            standard._threads_queues[thread] = work_queue  # type: ignore[attr-defined]


@pytest.mark.parametrize("initializer", [None, int])
def test_each_submission_calls_the_method_of_a_subclass(
    initializer: Callable[[], int] | None,
) -> None:
    with Counting(2, initializer=initializer) as executor:
        assert executor.adjusted == 0
        assert [executor.submit(abs, -n).result(LIMIT) for n in range(5)] == list(range(5))
        assert executor.adjusted == 5
        assert list(executor.map(abs, [-1, -2])) == [1, 2]
        assert executor.adjusted == 7
    assert executor.adjusted == 7


def test_a_method_that_fails_refuses_the_task() -> None:
    class Failing(hubpool.ThreadPoolExecutor):
        def _adjust_thread_count(self) -> None:
            raise MemoryError("on purpose")

    executor = Failing(1)
    with pytest.raises(MemoryError, match="on purpose"):
        executor.submit(abs, -1)
    assert executor._work_queue.unfinished_tasks == 0
    executor.shutdown()


def test_a_subclass_may_start_threads_as_the_standard_library_does(gate: Gate) -> None:
    executor = Own(2)
    futures = [executor.submit(gate, number) for number in range(4)]
    gate.await_entered(2)
    names = {thread.name for thread in executor._threads}
    assert names == {"own-0", "own-1"}
    assert executor._work_queue.qsize() == 2
    gate.open()
    assert [future.result(LIMIT) for future in futures] == list(range(4))
    name = executor.submit(lambda: threading.current_thread().name).result(LIMIT)
    assert name in names
    with pytest.raises(ZeroDivisionError):
        executor.submit(lambda: 1 // 0).result(LIMIT)
    threads = list(executor._threads)
    executor.shutdown()
    assert [thread.is_alive() for thread in threads] == [False, False]
    assert executor._core.workers == 0


def test_the_queue_of_such_threads_is_run_before_shutdown_returns(gate: Gate) -> None:
    executor = Own(1)
    futures = [executor.submit(gate, number) for number in range(3)]
    gate.await_entered()
    executor.shutdown(wait=False)
    gate.open()
    executor.shutdown()
    assert [future.result(0) for future in futures] == list(range(3))


def test_a_dropped_executor_ends_such_threads() -> None:
    executor = Own(1)
    assert executor.submit(abs, -1).result(LIMIT) == 1
    (thread,) = executor._threads
    del executor
    until(lambda: not thread.is_alive())


def test_what_is_queued_for_such_threads_may_be_cancelled(gate: Gate) -> None:
    executor = Own(1)
    first, second = (executor.submit(gate, number) for number in range(2))
    gate.await_entered()
    executor.shutdown(wait=False, cancel_futures=True)
    gate.open()
    assert first.result(LIMIT) == 0
    assert second.cancelled()
    executor.shutdown()


def test_the_queue_takes_no_tasks() -> None:
    executor = hubpool.ThreadPoolExecutor(1)
    with pytest.raises(TypeError, match="submit"):
        executor._work_queue.put(object())
    with pytest.raises(queue.Empty):
        executor._work_queue.get_nowait()
    with pytest.raises(queue.Empty):
        executor._work_queue.get(block=False)
    with pytest.raises(queue.Empty):
        executor._work_queue.get(timeout=0.001)
    executor._work_queue.put(None)
    assert executor._work_queue.get() is None
    assert executor.submit(abs, -1).result(LIMIT) == 1
    executor.shutdown()


def test_the_standard_librarys_methods_find_the_queue(gate: Gate) -> None:
    executor = hubpool.ThreadPoolExecutor(1)
    running = executor.submit(gate, 1)
    gate.await_entered()
    queued = [executor.submit(abs, -1) for _ in range(3)]
    standard.ThreadPoolExecutor.shutdown(executor, wait=False, cancel_futures=True)
    gate.open()
    assert [future.cancelled() for future in queued] == [True] * 3
    assert running.result(LIMIT) == 1
    executor.shutdown()


def fail_to_begin() -> None:
    raise LookupError("on purpose")


def test_an_initializer_that_fails_is_told_to_the_method_of_a_subclass(
    caplog: pytest.LogCaptureFixture,  # noqa: ARG001 - it takes what is logged
) -> None:
    told = []

    class Told(hubpool.ThreadPoolExecutor):
        def _initializer_failed(self) -> None:
            told.append(threading.current_thread().name)
            super()._initializer_failed()

    executor = Told(1, "told", initializer=fail_to_begin)
    with pytest.raises(standard.BrokenThreadPool):
        executor.submit(abs, -1).result(LIMIT)
    executor.shutdown()
    assert told == ["told_0"]
    with pytest.raises(standard.BrokenThreadPool, match="initializer failed"):
        executor.submit(abs, -1)


def test_a_subclass_may_go_on_after_an_initializer_has_failed(
    caplog: pytest.LogCaptureFixture,  # noqa: ARG001 - it takes what is logged
) -> None:
    begun = []

    def begin() -> None:
        begun.append(1)
        if len(begun) == 1:
            fail_to_begin()

    class GoingOn(hubpool.ThreadPoolExecutor):
        def _initializer_failed(self) -> None:
            """Do nothing."""

    executor = GoingOn(1, initializer=begin)
    first = executor.submit(abs, -1)
    until(lambda: not executor._core.workers)
    assert not first.done()
    assert executor.submit(abs, -2).result(LIMIT) == 2
    assert first.result(LIMIT) == 1
    executor.shutdown()


def test_a_subclass_may_have_an_error_of_its_own_for_a_broken_executor(
    caplog: pytest.LogCaptureFixture,  # noqa: ARG001 - it takes what is logged
) -> None:
    class Broken(standard.BrokenThreadPool):
        pass

    class Own(hubpool.ThreadPoolExecutor):
        BROKEN = Broken

    executor = Own(1, initializer=fail_to_begin)
    with pytest.raises(Broken):
        executor.submit(abs, -1).result(LIMIT)
    with pytest.raises(Broken):
        executor.submit(abs, -1)


def test_a_map_calls_the_submit_of_a_subclass() -> None:
    class Submitting(hubpool.ThreadPoolExecutor):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            return super().submit(lambda: (fn(*args, **kwargs), "mine"))

    with Submitting(2) as executor:
        assert list(executor.map(abs, [-1, -2])) == [(1, "mine"), (2, "mine")]
