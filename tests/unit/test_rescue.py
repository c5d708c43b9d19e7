"""What must not be lost or stuck when things happen at the worst moment."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gates import LIMIT, Gate, fail, no_thread, settle, until

import hubpool
from hubpool import _gevent, _hub, _worker, threadpool
from hubpool._account import Account
from hubpool._hub import hub_wake
from hubpool._native import Core, Held, Registration

if TYPE_CHECKING:
    from conftest import MakePool
    from gates import Reported


class HitError(Exception):
    """Thrown into a thread."""


class Late:
    """What a task holds that is queued just after the last worker has expired."""

    def __init__(self, account: Account, held_all: bool) -> None:
        self._held = Held(account, held_all)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._held, name)

    def offer(self, _core: Core, _task: object) -> bool:
        # So a worker is looked for, and the task is submitted then.
        return False

    def submit(self, core: Core, task: object) -> bool:
        core.shrink_to(0)
        until(lambda: not core.workers)
        return self._held.submit(core, task)


def _be_late(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Account, "offer", lambda *_: False)
    patch.setattr(threadpool, "Held", Late)


def test_a_task_that_is_queued_as_the_last_worker_expires_is_run(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool(1)
    assert pool.apply(abs, (-1,)) == 1
    _be_late(monkeypatch)
    assert pool.spawn(abs, -2).get() == 2


def test_such_a_task_is_taken_back_if_no_thread_can_be_started(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool(1)
    assert pool.apply(abs, (-1,)) == 1
    ran: list[int] = []
    with monkeypatch.context() as patch:
        _be_late(patch)
        patch.setattr(_gevent, "start_new_thread", no_thread)
        with pytest.raises(RuntimeError, match="can't start"):
            pool.spawn(ran.append, 1)
    assert (len(pool), pool._core.queued, pool._account.outstanding) == (0, 0, 0)
    assert pool.apply(abs, (-3,)) == 3
    assert ran == []
    assert pool._available_worker_threads_greenlet_sem.counter == 2


@pytest.mark.parametrize("method", ["map", "imap", "imap_unordered"])
def test_a_map_for_which_no_thread_can_be_started_leaves_nothing_behind(
    pool: hubpool.ThreadPool, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr(gevent.get_hub(), "exception_stream", None, raising=False)
    ran: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(_gevent, "start_new_thread", no_thread)
        with pytest.raises(RuntimeError, match="can't start"):
            list(getattr(pool, method)(ran.append, range(5)))
    pool.join()
    assert (len(pool), pool._core.queued) == (0, 0)
    assert pool.map(abs, [-1]) == [1]
    assert ran == []


def test_a_maxsize_that_cannot_be_had_at_once_is_had_later(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool(0)
    result = pool.spawn(abs, -7)
    with monkeypatch.context() as patch:
        patch.setattr(_gevent, "start_new_thread", no_thread)
        with pytest.raises(RuntimeError, match="can't start"):
            pool.maxsize = 3
    assert pool._available_worker_threads_greenlet_sem.counter == 3
    pool.adjust()
    assert result.get() == 7


def test_a_map_finds_a_worker_though_one_is_about_to_leave(make_pool: MakePool) -> None:
    class Worker(hubpool._WorkerGreenlet):
        def cleanup(self, hub_of_worker: Any) -> None:
            leave.wait(LIMIT)  # It is not registered any more, but known.
            super().cleanup(hub_of_worker)

    class Pool(hubpool.ThreadPool):
        _WorkerGreenlet = Worker

    leave = threading.Event()
    pool = make_pool(1, kind=Pool)
    try:
        assert pool.apply(abs, (-1,)) == 1
        pool._core.shrink_to(0)
        until(lambda: not pool._core.workers)
        assert pool.size == 1
        assert pool.map(abs, [-2]) == [2]
    finally:
        leave.set()


def test_kill_returns_though_others_go_on_using_the_pool(pool: hubpool.ThreadPool) -> None:
    stop = False

    def use() -> None:
        while not stop:
            pool.spawn(abs, -1).get()

    user = gevent.spawn(use)
    settle()
    for _ in range(20):
        pool.kill()
    stop = True
    user.get()


def test_who_asks_for_another_size_ends_the_wait_for_the_last(
    pool: hubpool.ThreadPool, gate: Gate
) -> None:
    result = pool.spawn(gate)
    gate.await_entered()
    killer = gevent.spawn(pool.kill)
    settle()
    assert not killer.ready()
    pool.size = 2
    killer.get()
    assert pool.size == 2
    gate.open()
    result.get()


def test_map_raises_as_soon_as_the_first_item_to_fail_is_known(
    pool: hubpool.ThreadPool, gate: Gate, errors: list[Reported]
) -> None:
    ran: list[int] = []

    def work(number: int) -> None:
        if number == 0:
            fail()
        gate()
        ran.append(number)

    with pytest.raises(ZeroDivisionError):
        pool.map(work, range(4))
    assert [error.kind for error in errors] == [ZeroDivisionError]
    gate.open()
    pool.join()
    assert sorted(ran) == [1, 2, 3]


def test_map_raises_what_fails_first_in_order(
    pool: hubpool.ThreadPool, gate: Gate, errors: list[Reported]
) -> None:
    def work(number: int) -> None:
        if number == 1:
            raise LookupError
        gate()
        fail()

    mapping = gevent.spawn(pool.map, work, range(2))
    until(lambda: errors)
    settle()
    assert not mapping.ready()
    gate.open()
    with pytest.raises(ZeroDivisionError):
        mapping.get()
    assert len(errors) >= 2


def test_another_thread_can_join_while_the_hub_is_blocked(pool: hubpool.ThreadPool) -> None:
    pool.spawn(abs, -1)
    thread = threading.Thread(target=pool.join)
    thread.start()
    thread.join(LIMIT)
    assert not thread.is_alive()


def test_a_task_is_not_lost_when_something_hits_its_worker_before(
    pool: hubpool.ThreadPool, errors: list[Reported], capfd: pytest.CaptureFixture[str]
) -> None:
    # It is raised as the worker comes back with the next job.
    for method in (pool.apply, pool.map):
        ident = pool.apply(threading.get_ident)
        until(lambda: not pool._core.unfinished)
        gevent.sleep(0.01)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(ident), ctypes.py_object(HitError)
        )
        try:
            assert method(abs, (-1,)) in (1, [1])
        except HitError:
            assert errors.pop().kind is HitError
        pool.join()
        assert len(pool) == 0
        assert pool._available_worker_threads_greenlet_sem.counter == 3
        pool.kill()
    assert "Failed to run worker thread" in capfd.readouterr().err


@pytest.mark.parametrize("copy_context", [False, True])
def test_a_value_is_not_lost_when_its_worker_fails_before_it_waits(
    make_pool: MakePool, capfd: pytest.CaptureFixture[str], copy_context: bool
) -> None:
    pool = make_pool(1, copy_context=copy_context)
    for _ in range(2):
        pool.apply(int)
        (worker,) = pool._worker_greenlets
        worker._fix_hub_before_block = fail
        # It makes a hub in the worker's thread.
        assert pool.apply(lambda: gevent.sleep(0) or 7) == 7
        assert pool.join(LIMIT)
        until(lambda: not pool.size)
        assert pool._available_worker_threads_greenlet_sem.counter == 2
    assert capfd.readouterr().err.count("Failed to run worker thread") == 2


@pytest.mark.parametrize("method", ["map", "imap", "imap_unordered"])
def test_a_hook_that_fails_in_a_map_fails_its_item(
    make_pool: MakePool, errors: list[Reported], method: str
) -> None:
    class Worker(hubpool._WorkerGreenlet):
        def _after_run_task(self, func: Any, args: Any, *rest: Any) -> None:
            sys.setprofile(None)
            if args == (1,):
                fail()

    class Pool(hubpool.ThreadPool):
        _WorkerGreenlet = Worker

    pool = make_pool(2, kind=Pool)
    with pytest.raises(ZeroDivisionError):
        list(getattr(pool, method)(lambda _: sys.setprofile(lambda *_: None), range(3)))
    pool.join()
    assert len(pool) == 0
    assert {error.kind for error in errors} == {ZeroDivisionError}


@pytest.mark.parametrize("method", ["map", "imap", "imap_unordered"])
def test_hooks_that_cannot_be_cleared_cost_a_map_workers_and_no_items(
    make_pool: MakePool,
    errors: list[Reported],
    method: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    class Worker(hubpool._WorkerGreenlet):
        def _after_run_task(self, *_args: Any) -> None:
            sys.setprofile(None)
            fail()

    class Pool(hubpool.ThreadPool):
        _WorkerGreenlet = Worker

    # The short way of the workers of a pool that overrides nothing.
    monkeypatch.setattr(_worker, "_after", Worker._after_run_task)
    pool = make_pool(2, kind=Pool)
    leave = lambda _: sys.setprofile(lambda *_: None)  # noqa: E731
    assert list(getattr(pool, method)(leave, range(3))) == [None] * 3
    pool.join()
    pool.kill()
    assert len(pool) == 0
    assert [error.kind for error in errors] == [ZeroDivisionError] * 3
    assert "Failed to run worker thread" in capfd.readouterr().err


def test_a_message_is_not_lost_when_the_one_before_it_is_interrupted() -> None:
    class Target:
        anywhere = False

        def again(self) -> bool:
            return False

        def deliver(self, number: int, _value: None, _error: None) -> None:
            if number == 1:
                raise HitError
            told.append(number)

    told: list[int] = []
    wake = hub_wake(gevent.get_hub())
    report = wake.__class__.report
    wake.hold()
    for number in range(4):
        wake.native.defer((Target(), number, None, None))
    try:
        # The report itself is hit, so the exception leaves the delivery.
        wake.__class__.report = fail  # type: ignore[method-assign]
        with pytest.raises(ZeroDivisionError):
            wake._deliver()
        wake.__class__.report = report  # type: ignore[method-assign]
        assert told == [0]
        until(lambda: told == [0, 2, 3])
    finally:
        wake.__class__.report = report  # type: ignore[method-assign]
        wake.release()


def test_a_pool_sees_a_spawn_that_was_put_into_the_class_or_an_instance(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Pool(hubpool.ThreadPool):
        spawn: Any

    seen: list[Any] = []
    spawn = hubpool.ThreadPool.spawn

    def noted(pool: hubpool.ThreadPool, *args: Any, **kwargs: Any) -> Any:
        seen.append(args)
        return spawn(pool, *args, **kwargs)

    pool = make_pool(2, kind=Pool)
    with monkeypatch.context() as patch:
        patch.setattr(hubpool.ThreadPool, "spawn", noted)
        assert pool.map(abs, [-1, -2]) == [1, 2]
        assert list(pool.imap(abs, [-3])) == [3]
    assert len(seen) == 3
    pool.spawn = lambda *args, **kwargs: noted(pool, *args, **kwargs)
    assert pool.map(abs, [-1, -2]) == [1, 2]
    assert len(seen) == 5
    del pool.spawn
    assert pool.map(abs, [-1]) == [1]
    assert len(seen) == 5


def test_a_worker_sees_a_hook_that_was_put_into_the_class(
    pool: hubpool.ThreadPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    before = hubpool._WorkerGreenlet._before_run_task

    def noted(worker: Any, func: Any, *rest: Any) -> None:
        seen.append(func)
        before(worker, func, *rest)

    monkeypatch.setattr(hubpool._WorkerGreenlet, "_before_run_task", noted)
    assert pool.map(abs, [-1, -2]) == [1, 2]
    assert seen == [abs, abs]


def test_a_pool_that_compares_equal_to_others_needs_no_hash(make_pool: MakePool) -> None:
    class Pool(hubpool.ThreadPool):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]

    assert make_pool(1, kind=Pool).apply(abs, (-1,)) == 1


def test_hubs_that_come_and_go_leave_no_descriptors() -> None:
    def live() -> None:
        pool = hubpool.ThreadPool(1)
        assert pool.apply(abs, (-1,)) == 1
        pool.kill()
        gevent.get_hub().destroy(destroy_loop=True)

    def descriptors() -> int:
        for _ in range(3):
            thread = threading.Thread(target=live)
            thread.start()
            thread.join()
        gc.collect()
        return len(os.listdir("/proc/self/fd"))

    before = descriptors()
    for _ in range(4):
        assert descriptors() <= before


def test_kill_does_not_wait_for_what_a_task_left_in_its_own_hub(
    pool: hubpool.ThreadPool, gate: Gate
) -> None:
    pool.apply(lambda: gevent.get_hub().threadpool.spawn(gate) and None)
    pool.kill()
    assert pool.size == 0


@pytest.mark.skipif(
    "libuv" in type(gevent.get_hub().loop).__module__, reason="gevent's own pool hangs there"
)
def test_a_hub_that_is_destroyed_with_a_task_outstanding_is_quiet(
    capfd: pytest.CaptureFixture[str],
) -> None:
    gate = Gate()

    def live() -> None:
        hub = gevent.get_hub()
        pool = hubpool.ThreadPool(1)
        for _ in range(50):
            pool.apply(abs, (-1,))  # It learns that looking out pays.
        pool.spawn(gate)
        loop = hub.loop
        hub.destroy(destroy_loop=False)
        for _ in range(20):
            loop.run(nowait=True)
        gate.open()
        pool.join()
        gevent.get_hub().destroy(destroy_loop=True)  # A new hub on the same loop.

    thread = threading.Thread(target=live)
    thread.start()
    thread.join(LIMIT)
    assert not thread.is_alive()
    assert capfd.readouterr().err == ""


def test_a_native_core_tells_whether_there_is_a_worker() -> None:
    core = Core(1)
    task = object()
    # CPython 3.14 counts one less than those before it.
    alone = sys.getrefcount(task)
    assert core.submit(task) is False
    assert core.withdraw(object()) is False
    assert core.withdraw(task) is True
    Registration(core).register()
    assert core.submit(task) is True
    core.close()
    assert core.submit(task) is None
    taken: list[object] = []
    assert core.take_newest(taken) is True
    assert core.take_newest(taken) is False
    assert taken.pop() is task
    assert sys.getrefcount(task) == alone


def test_a_notice_that_nobody_waits_for_any_more_does_not_stay(pool: hubpool.ThreadPool) -> None:
    account = pool._account
    calls = 0

    def condition() -> bool:
        nonlocal calls
        calls += 1
        if calls == 2:
            # A worker has left, and says so to who does not wait after all.
            account.wake.native.post((account, None, None, None))
        return calls >= 2

    account.wait_until(condition)
    account.wake.native.drain()
    assert not account.wake.native.undelivered


def test_a_forked_child_leaves_the_loops_of_other_threads_alone() -> None:
    wake = _hub.HubWake(gevent.get_hub())
    wake.enter_loop()
    _hub._inherited.append(wake)
    # As in a child that one of the pool's threads has forked.
    thread = threading.Thread(target=_hub.close_inherited)
    thread.start()
    thread.join()
    assert wake._watcher.active
    _hub.close_inherited()
    assert wake._watcher is None
    assert wake not in _hub._inherited
    wake.native.close()


@pytest.mark.parametrize("method", ["apply", "map", "imap_unordered"])
def test_pool_workers_that_fail_at_once_are_not_replaced_without_end(
    pool: hubpool.ThreadPool,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    method: str,
) -> None:
    args = ((-1,),) if method == "apply" else ([-1],)
    with monkeypatch.context() as patch, gevent.Timeout(LIMIT):
        patch.setattr(_worker, "Worker", fail)
        with pytest.raises(RuntimeError, match=r"the thread 'hubpool-\d+' has failed"):
            list(getattr(pool, method)(abs, *args))
    assert pool.join(LIMIT)
    until(lambda: not pool._core.workers)
    assert capfd.readouterr().err.count("Failed to run worker thread") == 1
    assert pool.apply(abs, (-1,)) == 1


def test_pool_workers_whose_run_method_fails_are_not_replaced_without_end(
    make_pool: MakePool, capfd: pytest.CaptureFixture[str]
) -> None:
    class Worker(hubpool._WorkerGreenlet):
        run = fail

    class Pool(hubpool.ThreadPool):
        _WorkerGreenlet = Worker

    pool = make_pool(1, kind=Pool)
    results = [pool.spawn(abs, -1) for _ in range(2)]
    for result in results:
        with pytest.raises(RuntimeError, match="has failed"):
            result.get(timeout=LIMIT)
    assert 1 <= capfd.readouterr().err.count("Failed to run worker thread") <= 2
