"""The executor: what the standard library's promises, and what gevent's does."""

from __future__ import annotations

import concurrent.futures
import gc
import itertools
import logging
import os
import threading
import time
import weakref
from concurrent.futures.thread import BrokenThreadPool
from typing import Any

import gevent
import pytest
from gates import LIMIT, Gate, fail, no_thread, settle, until

import hubpool
from hubpool import _gevent, _worker
from hubpool._future import Future


def _ended(executor: hubpool.ThreadPoolExecutor) -> bool:
    return not executor._core.workers and all(w._ended.done() for w in executor._threads)


def test_it_is_an_executor_of_the_standard_librarys(executor: hubpool.ThreadPoolExecutor) -> None:
    assert isinstance(executor, concurrent.futures.ThreadPoolExecutor)
    future = executor.submit(int, "11", base=2)
    assert isinstance(future, concurrent.futures.Future)
    assert future.result(timeout=LIMIT) == 3


def test_more_is_submitted_than_there_are_threads_and_nobody_waits(
    executor: hubpool.ThreadPoolExecutor, gate: Gate
) -> None:
    futures = [executor.submit(gate, number) for number in range(1000)]
    gate.await_entered(2)
    assert len(executor._threads) == 2
    assert not any(future.done() for future in futures)
    gate.open()
    assert [future.result() for future in futures] == list(range(1000))


def test_several_greenlets_that_submit_to_a_full_executor_get_their_results(
    executor: hubpool.ThreadPoolExecutor, gate: Gate
) -> None:
    def use() -> list[int]:
        return [executor.submit(gate, number).result() for number in range(10)]

    users = [gevent.spawn(use) for _ in range(10)]
    settle()
    gate.open()
    gevent.joinall(users, raise_error=True)
    assert [user.get() for user in users] == [list(range(10))] * 10


def test_any_thread_may_submit_and_wait(executor: hubpool.ThreadPoolExecutor) -> None:
    def use() -> list[int]:
        assert _gevent.get_hub_if_exists() is None
        return [executor.submit(abs, -number).result() for number in range(100)]

    told: list[list[int]] = []
    threads = [threading.Thread(target=lambda: told.append(use())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert told == [list(range(100))] * 4
    assert len(executor._threads) <= 2


def test_a_task_may_submit_and_wait_for_another(executor: hubpool.ThreadPoolExecutor) -> None:
    assert executor.submit(lambda: executor.submit(abs, -1).result()).result() == 1


def test_map_gives_the_results_in_order(executor: hubpool.ThreadPoolExecutor) -> None:
    assert list(executor.map(pow, range(20), itertools.repeat(2), chunksize=3)) == [
        number**2 for number in range(20)
    ]


def test_map_raises_what_fails_and_cancels_the_rest(
    executor: hubpool.ThreadPoolExecutor, gate: Gate
) -> None:
    ran: list[int] = []

    def work(number: int) -> None:
        if number == 0:
            fail()
        gate()
        ran.append(number)

    results = executor.map(work, range(20))
    with pytest.raises(ZeroDivisionError):
        next(results)
    gate.open()
    executor.shutdown()
    assert len(ran) <= 2


def test_map_times_out(executor: hubpool.ThreadPoolExecutor, gate: Gate) -> None:
    results = executor.map(lambda number: number and gate(number), range(3), timeout=0.05)
    assert next(results) == 0
    with pytest.raises(concurrent.futures.TimeoutError):
        next(results)


def test_map_with_a_buffer_submits_no_more_than_that(
    executor: hubpool.ThreadPoolExecutor,
) -> None:
    taken = itertools.count()
    source = (next(taken) for _ in itertools.count())
    results = executor.map(abs, source, buffersize=3)
    assert next(taken) == 3
    assert [next(results) for _ in range(5)] == [0, 1, 2, 4, 5]
    assert next(taken) == 9


@pytest.mark.parametrize(("size", "kind"), [(0, ValueError), (1.5, TypeError), ("1", TypeError)])
def test_a_wrong_buffer_is_refused(
    executor: hubpool.ThreadPoolExecutor, size: Any, kind: type[Exception]
) -> None:
    with pytest.raises(kind, match="buffersize must be"):
        executor.map(abs, [1], buffersize=size)


def test_a_map_does_not_keep_its_executor() -> None:
    executor = hubpool.ThreadPoolExecutor(1)
    threads = executor._threads
    results = executor.map(abs, range(3), buffersize=2)
    del executor
    assert list(results) == [0, 1]
    for thread in threads:
        thread.join()


def test_an_initializer_runs_once_in_each_thread() -> None:
    begun: list[tuple[str, int]] = []
    barrier = threading.Barrier(2)

    def begin(word: str) -> None:
        begun.append((word, threading.get_ident()))

    with hubpool.ThreadPoolExecutor(2, initializer=begin, initargs=("here",)) as executor:
        idents = {future.result() and future for future in ()}
        futures = [executor.submit(barrier.wait, LIMIT) for _ in range(2)]
        idents = {executor.submit(threading.get_ident).result() for _ in futures}
        assert sorted(future.result() for future in futures) == [0, 1]
    assert [word for word, _ in begun] == ["here", "here"]
    assert idents <= {ident for _, ident in begun}


def test_an_initializer_that_raises_breaks_the_executor(caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate()

    def begin() -> None:
        gate()
        fail()

    executor = hubpool.ThreadPoolExecutor(1, initializer=begin)
    futures = [executor.submit(abs, -1) for _ in range(5)]
    assert futures[3].cancel()
    gate.open()
    del futures[3]
    for future in futures:
        assert type(future.exception()) is BrokenThreadPool
    with pytest.raises(BrokenThreadPool, match="initializer failed"):
        executor.submit(abs, -1)
    assert [record.message for record in caplog.records] == ["Exception in initializer:"]
    assert caplog.records[0].levelno == logging.CRITICAL
    executor.shutdown()
    assert _ended(executor)


def test_threads_have_the_names_that_were_asked_for() -> None:
    def name() -> tuple[str, str]:
        with open("/proc/thread-self/comm", encoding="utf-8") as comm:
            return threading.current_thread().name, comm.read().strip()

    with hubpool.ThreadPoolExecutor(1, thread_name_prefix="indexer-of-files") as executor:
        assert executor.submit(name).result() == ("indexer-of-files_0", "indexer-of-file")
        assert {thread.name for thread in executor._threads} == {"indexer-of-files_0"}
    with hubpool.ThreadPoolExecutor(1) as executor:
        assert executor.submit(name).result()[0].startswith("ThreadPoolExecutor-")


@pytest.mark.parametrize(("size", "kind"), [(0, ValueError), (-1, ValueError), ("1", TypeError)])
def test_a_wrong_number_of_threads_is_refused(size: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        hubpool.ThreadPoolExecutor(size)
    with pytest.raises(kind):
        concurrent.futures.ThreadPoolExecutor(size)


def test_the_default_number_of_threads_is_the_standard_librarys() -> None:
    with concurrent.futures.ThreadPoolExecutor() as theirs, hubpool.ThreadPoolExecutor() as ours:
        assert ours._max_workers == theirs._max_workers


def test_shutdown_waits_for_what_is_queued(
    executor: hubpool.ThreadPoolExecutor, gate: Gate
) -> None:
    futures = [executor.submit(gate, number) for number in range(5)]
    closing = gevent.spawn(executor.shutdown)
    gate.await_entered(2)
    assert not closing.ready()
    gate.open()
    closing.get()
    assert [future.done() for future in futures] == [True] * 5
    assert _ended(executor)
    executor.shutdown()
    executor.kill()


def test_shutdown_off_the_hub_waits_too(executor: hubpool.ThreadPoolExecutor, gate: Gate) -> None:
    future = executor.submit(gate, 1)
    gate.await_entered()
    with concurrent.futures.ThreadPoolExecutor(1) as native:
        closing = native.submit(executor.shutdown)
        assert not closing.done()
        gate.open()
        closing.result(LIMIT)
    assert future.done()
    assert _ended(executor)


def test_shutdown_without_a_wait_returns_and_the_queue_is_run(
    executor: hubpool.ThreadPoolExecutor, gate: Gate
) -> None:
    futures = [executor.submit(gate, number) for number in range(5)]
    executor.shutdown(wait=False)
    assert not any(future.done() for future in futures)
    gate.open()
    assert [future.result() for future in futures] == list(range(5))
    until(lambda: _ended(executor))


def test_shutdown_cancels_what_is_queued_if_asked_to(
    executor: hubpool.ThreadPoolExecutor, gate: Gate
) -> None:
    futures = [executor.submit(gate, number) for number in range(5)]
    gate.await_entered(2)
    executor.shutdown(wait=False, cancel_futures=True)
    assert [future.cancelled() for future in futures] == [False] * 2 + [True] * 3
    gate.open()
    assert [future.result() for future in futures[:2]] == [0, 1]


@pytest.mark.parametrize("how", ["shutdown", "kill", "__exit__"])
def test_nothing_is_taken_after_shutdown(executor: hubpool.ThreadPoolExecutor, how: str) -> None:
    getattr(executor, how)(*([None] * 3 if how == "__exit__" else []))
    for _ in range(2):
        with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
            executor.submit(abs, -1)
        with pytest.raises(RuntimeError, match="after shutdown"):
            executor.map(abs, [-1])


def test_a_task_cannot_wait_for_its_own_thread(executor: hubpool.ThreadPoolExecutor) -> None:
    error = executor.submit(executor.shutdown).exception(LIMIT)
    assert isinstance(error, RuntimeError)
    assert "cannot join current thread" in str(error)


def test_a_dropped_executor_runs_its_queue_and_ends_its_threads() -> None:
    executor = hubpool.ThreadPoolExecutor(2)
    gate = Gate()
    futures = [executor.submit(gate, number) for number in range(5)]
    threads, core = executor._threads, executor._core
    dropped = weakref.ref(executor)
    del executor
    gc.collect()
    assert dropped() is None
    gate.open()
    assert [future.result() for future in futures] == list(range(5))
    for thread in threads:
        thread.join()
    assert core.workers == 0


def test_idle_threads_are_used_again(executor: hubpool.ThreadPoolExecutor) -> None:
    for number in range(50):
        assert executor.submit(abs, -number).result() == number
    assert len(executor._threads) == 1


def test_a_thread_that_cannot_be_started_is_an_error_only_if_there_is_none(
    executor: hubpool.ThreadPoolExecutor, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_thread(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(_gevent, "start_new_thread", no_thread)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            executor.submit(abs, -1)
    assert (executor._core.workers, executor._core.unfinished) == (0, 0)
    first = executor.submit(gate, 1)
    gate.await_entered()
    with monkeypatch.context() as patch:
        patch.setattr(_gevent, "start_new_thread", no_thread)
        second = executor.submit(gate, 2)
    gate.open()
    assert (first.result(), second.result()) == (1, 2)


def test_shutdown_that_is_broken_off_can_be_done_again(
    executor: hubpool.ThreadPoolExecutor, gate: Gate
) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    for _ in range(2):
        executor.submit(gate)
    gate.await_entered(2)
    futures = [executor.submit(gate) for _ in range(5)]
    futures[2].add_done_callback(interrupt)
    with pytest.raises(KeyboardInterrupt):
        executor.shutdown(wait=False, cancel_futures=True)
    executor.shutdown(wait=False, cancel_futures=True)
    assert [future.cancelled() for future in futures] == [True] * 5
    gate.open()


def test_shutdown_waits_for_a_thread_that_is_just_being_started(
    executor: hubpool.ThreadPoolExecutor,
) -> None:
    class Numbers:
        """They come between the decision to start a thread and its start."""

        def __next__(self) -> int:
            deciding.set()
            assert start.wait(LIMIT)
            return 0

    deciding, start = threading.Event(), threading.Event()
    executor._crew.numbers = Numbers()  # type: ignore[assignment]
    with concurrent.futures.ThreadPoolExecutor(1) as native:
        submitting = native.submit(executor.submit, abs, -1)
        until(deciding.is_set)
        closing = gevent.spawn(executor.shutdown)
        settle()
        assert not closing.ready()
        start.set()
        closing.get()
        assert submitting.result(LIMIT).done()
    assert _ended(executor)


def test_shutdown_says_that_what_is_queued_can_not_be_run(
    executor: hubpool.ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = executor._core
    assert executor.submit(abs, -1).result(LIMIT) == 1
    future = Future((abs, (-2,), {}))
    with monkeypatch.context() as patch:
        patch.setattr(_gevent, "start_new_thread", no_thread)
        core.retire_to(0)
        until(lambda: not core.workers)
        core.submit(future)  # As if the last thread had ended as it came.
        with pytest.raises(RuntimeError, match="can't start"):
            executor.shutdown()
    core.retire_to(None)
    executor.shutdown()
    assert future.result(0) == 2


def test_what_is_set_before_a_thread_is_started_holds_for_it(
    executor: hubpool.ThreadPoolExecutor,
) -> None:
    executor._initializer = list.append  # type: ignore[assignment]
    initialized: list[int] = []
    executor._initargs = (initialized, 1)
    assert executor.submit(abs, -1).result(LIMIT) == 1
    assert initialized == [1]


def test_a_dropped_executor_and_what_it_was_given_go_without_the_collector() -> None:
    class Thing:
        pass

    gc.disable()
    try:
        thing = Thing()
        executor = hubpool.ThreadPoolExecutor(1, initializer=id, initargs=(thing,))
        assert executor.submit(abs, -1).result(LIMIT) == 1
        (worker,) = executor._threads
        refs = [weakref.ref(thing), weakref.ref(executor), weakref.ref(worker)]
        executor.shutdown()
        del thing, executor, worker
        until(lambda: not any(ref() for ref in refs))
    finally:
        gc.enable()


def test_a_name_that_cannot_be_encoded_is_no_matter() -> None:
    with hubpool.ThreadPoolExecutor(1, thread_name_prefix="\udcff") as executor:
        assert executor.submit(abs, -1).result(LIMIT) == 1


def test_a_thread_that_fails_before_its_task_fails_the_task(
    executor: hubpool.ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(_worker, "Worker", fail)
        future = executor.submit(abs, -1)
        with pytest.raises(RuntimeError, match="has failed"):
            future.result(LIMIT)
    until(lambda: _ended(executor))
    assert executor.submit(abs, -1).result(LIMIT) == 1
    assert "Failed to run worker thread" in capfd.readouterr().err


def test_executor_threads_that_fail_at_once_are_not_replaced_without_end(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    gate = Gate()

    def fail_later(*_: Any) -> None:
        gate()
        raise ZeroDivisionError

    with hubpool.ThreadPoolExecutor(1) as executor:
        with monkeypatch.context() as patch:
            patch.setattr(_worker, "Worker", fail_later)
            futures = [executor.submit(abs, -1)]
            gate.await_entered()
            futures += [executor.submit(abs, -1) for _ in range(3)]
            gate.open()
            for future in futures:
                with pytest.raises(RuntimeError, match=r"the thread .* has failed"):
                    future.result(LIMIT)
        until(lambda: _ended(executor))
        assert capfd.readouterr().err.count("Failed to run worker thread") == 1
        assert executor.submit(abs, -1).result(LIMIT) == 1


def test_what_programs_look_at_is_there(executor: hubpool.ThreadPoolExecutor, gate: Gate) -> None:
    futures = [executor.submit(gate) for _ in range(5)]
    gate.await_entered(2)
    assert executor._work_queue.qsize() == 3
    threads = set(executor._threads)
    assert [thread.is_alive() for thread in threads] == [True, True]
    assert None not in {thread.ident for thread in threads}
    gate.open()
    executor.shutdown()
    assert all(future.done() for future in futures)
    assert [thread.is_alive() for thread in threads] == [False, False]


def test_hooks_hold_for_each_task(executor: hubpool.ThreadPoolExecutor) -> None:
    called: list[str] = []
    threading.setprofile(lambda *event: called.append(event[1]))
    try:
        assert executor.submit(len, "ab").result() == 2
    finally:
        threading.setprofile(None)
    assert "c_call" in called
    del called[:]
    assert executor.submit(len, "ab").result() == 2
    assert called == []


@pytest.mark.skipif(
    "libuv" in type(gevent.get_hub().loop).__module__, reason="a raw fork is not promised there"
)
# Where warnings are errors CPython 3.15 raises this one from fork(), in the parent, after the fork.
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_forked_child_has_an_executor_of_its_own(
    executor: hubpool.ThreadPoolExecutor, gate: Gate
) -> None:
    futures = [executor.submit(gate, number) for number in range(3)]
    gate.await_entered(2)
    pid = os.fork()
    if pid == 0:
        try:
            inherited = [type(future.exception(LIMIT)) for future in futures]
            if inherited == [concurrent.futures.BrokenExecutor] * 3:
                os._exit(executor.submit(abs, -7).result(LIMIT))
        finally:
            os._exit(99)
    until(lambda: os.waitpid(pid, os.WNOHANG)[0] or not time.sleep(0.01))  # type: ignore[func-returns-value]
    gate.open()
    assert [future.result() for future in futures] == [0, 1, 2]
