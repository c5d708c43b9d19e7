"""The executor's futures: who waits for them, and who is told."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import copy
import gc
import pickle
import threading
import weakref
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gates import LIMIT, Gate, fail, in_thread, settle, until

import hubpool
from hubpool import _gevent
from hubpool._future import Future

if TYPE_CHECKING:
    from collections.abc import Callable

    from gates import Reported


def test_waiting_lets_other_greenlets_run(executor: hubpool.ThreadPoolExecutor, gate: Gate) -> None:
    waits: list[Callable[[Future[int]], Any]] = [
        lambda future: future.result(),
        lambda future: future.exception(),
        lambda future: future.get(),
        lambda future: future.wait(),
        lambda future: gevent.wait([future]),
        lambda future: next(iter(gevent.iwait([future]))),
    ]
    future = executor.submit(gate, 7)
    waiters = [gevent.spawn(wait, future) for wait in waits]
    gate.await_entered()
    assert not any(waiter.ready() for waiter in waiters)
    gate.open()
    gevent.joinall(waiters, raise_error=True)
    assert [waiter.get() for waiter in waiters] == [7, None, 7, 7, [future], future]


def test_a_wait_off_the_hub_blocks_its_thread_alone(
    executor: hubpool.ThreadPoolExecutor, gate: Gate
) -> None:
    future = executor.submit(gate, 7)
    with concurrent.futures.ThreadPoolExecutor(1) as native:
        there = native.submit(future.result)
        gate.await_entered()
        gate.open()
        until(there.done)
        assert there.result() == 7


@pytest.mark.parametrize("off_the_hub", [False, True])
def test_waits_time_out(
    executor: hubpool.ThreadPoolExecutor, gate: Gate, off_the_hub: bool
) -> None:
    future = executor.submit(gate, 1)

    def look() -> str:
        for seconds in (0, -1, 0.001):
            with pytest.raises(concurrent.futures.TimeoutError):
                future.result(seconds)
            with pytest.raises(concurrent.futures.TimeoutError):
                future.exception(timeout=seconds)
            with pytest.raises(gevent.Timeout) as expired:
                future.get(timeout=seconds)
            assert expired.value.seconds == seconds
            assert future.wait(seconds) is None
        with pytest.raises(gevent.Timeout):
            future.get(block=False)
        assert (_gevent.get_hub_if_exists() is None) == off_the_hub
        return "looked"

    assert (in_thread(look) if off_the_hub else look()) == "looked"
    assert future._links == {}
    gate.open()
    assert future.result() == future.get(block=False) == 1


def test_somebody_elses_timeout_passes_through(
    executor: hubpool.ThreadPoolExecutor, gate: Gate
) -> None:
    future = executor.submit(gate, 1)
    with pytest.raises(gevent.Timeout) as caught, gevent.Timeout(0.001) as timeout:
        future.result(LIMIT)
    assert caught.value is timeout
    assert future._links == {}


def test_a_future_raises_what_the_function_raises_and_nobody_reports_it(
    executor: hubpool.ThreadPoolExecutor, errors: list[Reported]
) -> None:
    future = executor.submit(fail)
    with pytest.raises(ZeroDivisionError, match="on purpose") as caught:
        future.result()
    assert caught.traceback[-1].name == "fail"
    assert future.exception() is caught.value
    with pytest.raises(ZeroDivisionError):
        future.get()
    assert future.wait() is None
    settle()
    assert errors == []


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration])
def test_an_error_of_any_kind_is_the_futures(
    executor: hubpool.ThreadPoolExecutor, kind: type[BaseException]
) -> None:
    def throw() -> None:
        raise kind("thrown")

    assert type(executor.submit(throw).exception()) is kind
    assert executor.submit(abs, -1).result() == 1


def test_the_function_and_its_arguments_are_dropped_with_the_task(
    executor: hubpool.ThreadPoolExecutor,
) -> None:
    class Thing:
        def __call__(self, other: Thing) -> int:
            return 1

    one, two = Thing(), Thing()
    refs = weakref.ref(one), weakref.ref(two)
    future = executor.submit(one, two)
    del one, two
    assert future.result() == 1
    assert [ref() for ref in refs] == [None, None]


def test_queued_work_is_cancelled_and_dropped(
    executor: hubpool.ThreadPoolExecutor, gate: Gate
) -> None:
    running = [executor.submit(gate) for _ in range(2)]
    gate.await_entered(2)
    things = [threading.Event() for _ in range(2)]
    queued = [executor.submit(thing.set) for thing in things]
    refs = [weakref.ref(thing) for thing in things]
    del things
    waiting = gevent.spawn(queued[0].exception)
    settle()
    assert [future.cancel() for future in (*running, *queued)] == [False, False, True, True]
    assert [ref() for ref in refs] == [None, None]
    assert all(future.cancelled() and future.done() for future in queued)
    with pytest.raises(concurrent.futures.CancelledError):
        waiting.get()
    for wait in (queued[1].result, queued[1].get):
        with pytest.raises(concurrent.futures.CancelledError):
            wait()
    # Nobody needs a thread to learn of it.
    assert concurrent.futures.wait(queued, timeout=LIMIT).done == set(queued)
    assert queued[0].cancel()
    gate.open()
    assert executor.submit(abs, -1).result() == 1


def test_a_callback_may_wait_for_another_task(executor: hubpool.ThreadPoolExecutor) -> None:
    told: list[int] = []
    executor.submit(abs, -1).add_done_callback(
        lambda _: told.append(executor.submit(abs, -2).result())
    )
    until(lambda: told == [2])


@pytest.mark.parametrize("off_the_hub", [False, True])
def test_wait_and_as_completed(executor: hubpool.ThreadPoolExecutor, off_the_hub: bool) -> None:
    gates = [Gate() for _ in range(2)]
    futures = [executor.submit(gate, gate) for gate in gates]

    def look() -> None:
        timed_out = concurrent.futures.wait(futures, timeout=0.001)
        assert (timed_out.done, timed_out.not_done) == (set(), set(futures))
        completed = concurrent.futures.as_completed(futures)
        gates[1].open()
        assert next(completed) is futures[1]
        first = concurrent.futures.wait(futures, return_when=concurrent.futures.FIRST_COMPLETED)
        assert first.done == {futures[1]}
        gates[0].open()
        assert list(completed) == [futures[0]]
        assert concurrent.futures.wait(futures).done == set(futures)

    in_thread(look) if off_the_hub else look()
    assert not any(future._links for future in futures)


def test_wait_ends_with_the_first_exception(
    executor: hubpool.ThreadPoolExecutor, gate: Gate
) -> None:
    futures = [executor.submit(gate), executor.submit(fail)]
    ended = concurrent.futures.wait(futures, return_when=concurrent.futures.FIRST_EXCEPTION)
    assert ended.done == {futures[1]}


def test_asyncio_runs_functions_in_it(executor: hubpool.ThreadPoolExecutor) -> None:
    async def use() -> list[int]:
        loop = asyncio.get_running_loop()
        first = loop.run_in_executor(executor, abs, -1)
        second = asyncio.wrap_future(executor.submit(abs, -2))
        with pytest.raises(ZeroDivisionError):
            await loop.run_in_executor(executor, fail)
        return list(await asyncio.gather(first, second))

    assert asyncio.run(use()) == [1, 2]


class Desk:
    """What a worker leaves for when it lets the interpreter go."""

    def __init__(self) -> None:
        self.ended = 0
        self.kept: list[tuple[Any, Any]] = []

    def end(self) -> None:
        self.ended += 1

    def keep(self, wake: Any, message: Any) -> None:
        self.kept.append((wake, message))


@pytest.mark.parametrize("way", ["wait", "rawlink"])
def test_a_single_hub_is_told_as_the_worker_lets_the_interpreter_go(way: str) -> None:
    future: Future[int] = Future()
    told: list[int] = []
    if way == "wait":
        gevent.spawn(lambda: told.append(future.result()))
    else:
        future.rawlink(lambda future: told.append(future.result()))
    settle()
    desk: Any = Desk()
    future.settle(1, None, desk)
    settle()
    assert (desk.ended, told) == (1, [])
    [(wake, message)] = desk.kept
    wake.post(message)
    until(lambda: told)
    assert told == [1]


def test_links_are_told_on_the_hub(executor: hubpool.ThreadPoolExecutor, gate: Gate) -> None:
    told: list[Any] = []

    def tell(future: object) -> None:
        told.append((future, gevent.getcurrent()))

    def unwanted(_: object) -> None:
        told.append("unwanted")

    future = executor.submit(gate)
    future.rawlink(tell)
    future.rawlink(unwanted)
    future.unlink(unwanted)
    future.unlink(unwanted)
    gate.open()
    until(lambda: told)
    future.rawlink(tell)
    assert len(told) == 1
    until(lambda: len(told) == 2)
    assert told == [(future, gevent.get_hub())] * 2


def test_gevent_waits_for_the_first_of_several(
    executor: hubpool.ThreadPoolExecutor, gate: Gate
) -> None:
    first, second = executor.submit(gate), executor.submit(abs, -1)
    assert gevent.wait([first, second], count=1) == [second]
    assert not first.ready()
    gevent.spawn(gate.open)
    assert set(gevent.wait([first, second])) == {first, second}


def test_a_future_that_is_locked_holds_up_no_other(executor: hubpool.ThreadPoolExecutor) -> None:
    # concurrent.futures.wait() locks those that it waits for, in an order of its own.
    first, second = executor.submit(abs, -1), executor.submit(abs, -2)
    concurrent.futures.wait([first, second])
    with first._condition:
        third = executor.submit(abs, -3)
        assert (third.result(LIMIT), in_thread(second.running)) == (3, False)


def test_the_hubs_own_greenlet_does_not_wait(
    executor: hubpool.ThreadPoolExecutor, gate: Gate
) -> None:
    told: list[Any] = []

    def on_the_hub() -> None:
        try:
            future.result(0)
        except concurrent.futures.TimeoutError:
            told.append("timeout")
        told.append(executor.shutdown())

    future = executor.submit(gate)
    gevent.get_hub().loop.run_callback(on_the_hub)
    until(lambda: told == ["timeout", None])
    gate.open()
    future.result(LIMIT)


@pytest.mark.parametrize("way", ["exception", "get", "result"])
def test_an_error_is_freed_with_its_future(way: str) -> None:
    class OwnError(Exception):
        pass

    def throw() -> None:
        raise OwnError

    def look() -> weakref.ref[Any]:
        futures = [executor.submit(throw)]
        ref = weakref.ref(futures[0].exception())
        # No frame in the traceback may keep the future: it would be the test's fault.
        with contextlib.suppress(OwnError):
            getattr(futures.pop(), way)()
        return ref

    gc.disable()
    try:
        with hubpool.ThreadPoolExecutor(1) as executor:
            # The thread's first task, and another.
            for ref in (look(), look()):
                until(lambda ref=ref: ref() is None)  # type: ignore[misc]
    finally:
        gc.enable()


def test_a_future_cannot_be_copied(executor: hubpool.ThreadPoolExecutor) -> None:
    future = executor.submit(abs, -1)
    for copy_it in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot pickle"):
            copy_it(future)


@pytest.mark.parametrize("seconds", [1e300, float("inf")])
def test_a_wait_may_be_as_long_as_one_likes(
    executor: hubpool.ThreadPoolExecutor, gate: Gate, seconds: float
) -> None:
    future = executor.submit(gate, 1)
    gevent.spawn(gate.open)
    assert future.result(seconds) == 1
    with pytest.raises(concurrent.futures.TimeoutError):
        Future[int]().result(float("nan"))
