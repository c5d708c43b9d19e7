"""Whatever a signal handler breaks off, between any two instructions, leaves nothing half done."""

from __future__ import annotations

import dis
import gc
import sys
import threading
import time
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gates import LIMIT, Gate, until
from greenlet import getcurrent

import hubpool
from hubpool._account import Failed
from hubpool._hub import HubWake, hub_wake
from hubpool._limit import thread_limit
from hubpool._lock import Lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType, FrameType

    from gevent.event import AsyncResult

    from hubpool._future import Future

PACKAGE = str(Path(hubpool.__file__).parent)


class BrokenOffError(Exception):
    """What the handler raises."""


@cache
def _instructions(code: CodeType) -> dict[int, str]:
    return {instruction.offset: instruction.opname for instruction in dis.get_instructions(code)}


def _lets_handlers_run(code: CodeType, offset: int) -> bool:
    return _instructions(code)[offset].startswith(("CALL", "JUMP"))


@contextmanager
def _watched(before_instruction: Callable[[FrameType, int], None]) -> Iterator[None]:
    """Have that called in this thread before each instruction of the package."""
    if sys.version_info >= (3, 12):
        # Tracing forgets instructions of frames that have begun before.
        own, events = threading.get_ident(), sys.monitoring.events

        def each_of_all(code: CodeType, offset: int) -> Any:
            if not code.co_filename.startswith(PACKAGE):
                return sys.monitoring.DISABLE
            if threading.get_ident() == own:
                before_instruction(sys._getframe(1), offset)
            return None

        tool = sys.monitoring.DEBUGGER_ID
        sys.monitoring.use_tool_id(tool, __name__)
        sys.monitoring.register_callback(tool, events.INSTRUCTION, each_of_all)
        sys.monitoring.set_events(tool, events.INSTRUCTION)
        try:
            yield
        finally:
            sys.monitoring.set_events(tool, 0)
            sys.monitoring.free_tool_id(tool)
        return

    def each(frame: FrameType, event: str, _arg: Any) -> Any:
        if event == "opcode":
            before_instruction(frame, frame.f_lasti)
        return each

    def calls(frame: FrameType, _event: str, _arg: Any) -> Any:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return each

    sys.settrace(calls)
    try:
        yield
    finally:
        sys.settrace(None)


def _break_off(call: Callable[[], object], place: int) -> bool:
    """Make the call; raise at that place of the package. Return whether it came to that.

    The interpreter runs signal handlers as a function begins, after each call, and as a loop
    goes on. What the caller's greenlet does counts, and not what the hub or a worker does then.
    """
    own = getcurrent()
    last: dict[FrameType, int] = {}
    seen = 0
    reached = False

    def before_instruction(frame: FrameType, offset: int) -> None:
        nonlocal seen, reached
        if reached or getcurrent() is not own:
            return
        before = last.get(frame)
        last[frame] = offset
        if before is None or _lets_handlers_run(frame.f_code, before):
            if seen == place:
                reached = True
                raise BrokenOffError
            seen += 1

    gc.disable()  # What it would call is the program's, too.
    try:
        with _watched(before_instruction):
            call()
    except BrokenOffError:
        pass
    finally:
        gc.enable()
    return reached


def _everywhere(
    make: Callable[[], Any], call: Callable[[Any], object], check: Callable[[Any], object]
) -> int:
    """Break the call off at each of its places in turn. Return how many it has."""
    place = 0
    while True:
        subject = make()
        reached = _break_off(lambda: call(subject), place)  # noqa: B023 - it is called at once
        try:
            check(subject)
        except BaseException as error:
            raise AssertionError(f"broken off at place {place}") from error
        if not reached:
            return place
        place += 1


def _is_whole(pool: hubpool.ThreadPool) -> None:
    """See that a pool without tasks has all its slots, no counts, and works."""
    with gevent.Timeout(LIMIT):
        assert pool.join(LIMIT)
        until(lambda: pool._core.workers == pool.size)
        assert (pool._account.outstanding, pool._core.unfinished, pool._maps) == (0, 0, set())
        assert pool._available_worker_threads_greenlet_sem.counter == pool.maxsize + 1
        assert [pool.spawn(pow, 2, n).get() for n in range(3)] == [1, 2, 4]
        pool.kill()
    assert (pool.size, pool._account.wake.native.holds, pool._account.events) == (0, 0, [])
    # A thread counts until it is about to end, and kill() does not wait for that.
    until(lambda: pool._core not in thread_limit._threads)


def test_a_submission_to_a_new_pool() -> None:
    count = _everywhere(lambda: hubpool.ThreadPool(1), lambda pool: pool.spawn(int), _is_whole)
    assert count > 20


def test_an_apply_on_a_new_pool() -> None:
    assert _everywhere(lambda: hubpool.ThreadPool(1), lambda pool: pool.apply(int), _is_whole) > 20


def _full() -> tuple[hubpool.ThreadPool, Gate]:
    """Make a pool without a slot, which has some before long."""
    pool, gate = hubpool.ThreadPool(1), Gate()
    pool.spawn(gate)
    pool.spawn(int)
    gevent.get_hub().loop.run_callback(gate.open)
    return pool, gate


@pytest.mark.parametrize("method", ["spawn", "apply"])
def test_a_submission_to_a_pool_that_is_full(method: str) -> None:
    def check(subject: tuple[hubpool.ThreadPool, Gate]) -> None:
        pool, gate = subject
        gate.open()
        _is_whole(pool)

    assert _everywhere(_full, lambda subject: getattr(subject[0], method)(int), check) > 10


def _queued() -> tuple[hubpool.ThreadPool, Gate, AsyncResult[Any]]:
    pool, gate = hubpool.ThreadPool(1), Gate()
    pool.spawn(gate)
    return pool, gate, pool.spawn(int)


def _has_ended(subject: tuple[hubpool.ThreadPool, Gate, AsyncResult[Any]]) -> None:
    pool, gate, result = subject
    gate.open()
    assert result.wait(LIMIT) is not None or result.exception is not None
    _is_whole(pool)


def test_a_cancellation() -> None:
    assert _everywhere(_queued, lambda subject: subject[0].cancel(subject[2]), _has_ended) > 2


def test_a_kill_that_drops_what_is_queued() -> None:
    def kill(subject: tuple[hubpool.ThreadPool, Gate, AsyncResult[Any]]) -> None:
        gevent.get_hub().loop.run_callback(subject[1].open)
        subject[0].kill(drop_queued=True)

    assert _everywhere(_queued, kill, _has_ended) > 20


@pytest.mark.parametrize("report_errors", ["always", "unretrieved", "never"])
def test_the_delivery_of_an_error(report_errors: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = gevent.get_hub()
    reported: list[object] = []
    monkeypatch.setattr(hub, "handle_error", lambda *args: reported.append(args))

    def make() -> tuple[hubpool.ThreadPool, Failed, AsyncResult[Any]]:
        pool = hubpool.ThreadPool(1, report_errors=report_errors)
        result = pool.spawn(divmod, 1, 0)
        # The hub does not run, so the message stays where it is.
        native = pool._account.wake.native
        while True:
            message = native.deliver_values()
            if message is None:
                time.sleep(0.0001)
                native.drain()
            elif type(message[0]) is Failed:
                return pool, message[0], result
            else:
                message[0].deliver(*message[1:])  # It is about an earlier pool.

    def check(subject: tuple[hubpool.ThreadPool, Failed, AsyncResult[Any]]) -> None:
        pool, failed, result = subject
        while failed.again():
            failed.deliver(None, None, None)
        with pytest.raises(ZeroDivisionError):
            result.get(block=False)
        _is_whole(pool)

    assert _everywhere(make, lambda subject: subject[1].deliver(None, None, None), check) > 10


def _alive(executor: hubpool.ThreadPoolExecutor) -> int:
    return sum(thread.is_alive() for thread in executor._threads)


def test_a_submission_to_a_new_executor() -> None:
    def check(executor: hubpool.ThreadPoolExecutor) -> None:
        assert [executor.submit(pow, 2, n).result(LIMIT) for n in range(3)] == [1, 2, 4]
        until(lambda: executor._core.workers == _alive(executor) <= 1)
        until(lambda: not executor._core.unfinished)
        executor.shutdown()
        assert (executor._core.workers, _alive(executor)) == (0, 0)
        assert executor._core not in thread_limit._threads

    assert (
        _everywhere(
            lambda: hubpool.ThreadPoolExecutor(1), lambda executor: executor.submit(int), check
        )
        > 20
    )


class _Told:
    anywhere = True

    def __init__(self) -> None:
        self.told = False

    def deliver(self, *_: None) -> None:
        self.told = True


def test_the_callback_of_the_hubs_watcher(
    pool: hubpool.ThreadPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool.apply(int)
    wake, message = pool._account.wake, _Told()
    drain = HubWake.drain
    reported: list[object] = []
    monkeypatch.setattr(wake._hub(), "handle_error", lambda *args: reported.append(args[1]))

    def broken_off(_: HubWake) -> None:
        monkeypatch.setattr(HubWake, "drain", drain)
        raise BrokenOffError

    monkeypatch.setattr(HubWake, "drain", broken_off)
    wake.hold()
    wake._stop_looking_out()
    wake.native.post((message, None, None, None))
    until(lambda: message.told)
    wake.release()
    assert reported == [BrokenOffError]


def test_a_shutdown_that_cancels() -> None:
    def make() -> tuple[hubpool.ThreadPoolExecutor, Gate, list[Future[Any]]]:
        executor, gate = hubpool.ThreadPoolExecutor(1), Gate()
        first = executor.submit(gate)
        gate.await_entered()
        return executor, gate, [first, executor.submit(int), executor.submit(int)]

    def check(
        subject: tuple[hubpool.ThreadPoolExecutor, Gate, list[Future[Any]]],
    ) -> None:
        executor, gate, futures = subject
        gate.open()
        executor.shutdown(cancel_futures=True)
        assert [future.done() for future in futures] == [True] * 3
        assert executor._core.unfinished == 0

    assert (
        _everywhere(
            make, lambda subject: subject[0].shutdown(wait=False, cancel_futures=True), check
        )
        > 2
    )


@pytest.mark.parametrize("method", ["map", "imap", "imap_unordered"])
def test_a_map_on_a_new_pool(method: str) -> None:
    def run(pool: hubpool.ThreadPool) -> None:
        assert len(list(getattr(pool, method)(abs, [1, 2, 3]))) == 3

    assert _everywhere(lambda: hubpool.ThreadPool(1), run, _is_whole) > 20


@pytest.fixture
def _later_tests_count_no_holds() -> Iterator[None]:
    """Take back the holds that waits for futures may leave when a handler breaks them off."""
    wake = hub_wake(gevent.get_hub())
    links, holds = set(wake.links), wake.native.holds
    yield
    wake.links &= links
    while wake.native.holds > holds:
        wake.release()


def _held() -> tuple[Lock, gevent.Greenlet[[], None]]:
    """Return a lock that a greenlet has for a moment."""
    lock = Lock()

    def hold() -> None:
        with lock:
            gevent.sleep(0.001)

    holder = gevent.spawn(hold)
    until(lock.locked)
    return lock, holder


def _goes_on(subject: tuple[Lock, gevent.Greenlet[[], None]]) -> None:
    """See that others get the lock, once the caller has let it go if it has it."""
    lock, other = subject
    if lock._is_owned():
        lock.release()
    assert not lock._is_owned()
    other.get(timeout=LIMIT)
    gevent.spawn(lock.acquire).get(timeout=LIMIT)
    assert not lock._waiting


def test_a_lock_that_is_free_or_taken_again() -> None:
    def take_twice(lock: Lock) -> None:
        own.clear()
        lock.acquire()
        own.append(lock)
        lock.acquire()
        own.append(lock)

    def check(lock: Lock) -> None:
        for _ in own:
            lock.release()
        assert not lock.locked()

    own: list[Lock] = []
    assert _everywhere(Lock, take_twice, check) > 4


@pytest.mark.usefixtures("_later_tests_count_no_holds")
def test_the_wait_for_a_lock() -> None:
    assert _everywhere(_held, lambda subject: subject[0].acquire(), _goes_on) > 20


@pytest.mark.usefixtures("_later_tests_count_no_holds")
def test_the_release_of_a_lock() -> None:
    def make() -> tuple[Lock, gevent.Greenlet[[], None]]:
        lock = Lock()
        lock.acquire()

        def take() -> None:
            with lock:
                pass

        other = gevent.spawn(take)
        until(lambda: bool(lock._waiting))
        return lock, other

    assert _everywhere(make, lambda subject: subject[0].release(), _goes_on) > 10
