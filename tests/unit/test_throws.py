"""What another thread throws into a worker, between any two instructions, loses nothing.

A weak reference's callback times it: it runs in the worker as its last hold on an
argument ends, and the exception comes right after that.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gates import LIMIT, Gate, fail, settle, until

import hubpool
from hubpool._map import _Feed

if TYPE_CHECKING:
    from conftest import MakePool
    from gates import Reported

# Called with the interpreter attached, so that the exception is pending at once.
_throw = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_ulong, ctypes.py_object, ctypes.py_object)(
    ("PyThreadState_SetAsyncExc", ctypes.pythonapi)
)


class HitError(Exception):
    """What is thrown."""


class Argument:
    """Something that a weak reference can refer to."""


class Trap:
    """A function that has its thread hit when the worker lets go of the argument."""

    def __init__(self) -> None:
        self._references: list[weakref.ref[Any]] = []

    def __call__(self, argument: Any) -> int:
        hit = functools.partial(_throw, threading.get_ident(), HitError)
        self._references.append(weakref.ref(argument, hit))
        return 1


def test_a_worker_that_is_hit_as_it_leaves_a_map_gives_its_ticket_back_once(
    make_pool: MakePool, errors: list[Reported], capfd: pytest.CaptureFixture[str]
) -> None:
    pool, trap = make_pool(2), Trap()

    def task(item: Any) -> int:
        if item is None:
            time.sleep(0.05)
            return 0
        return trap(item)

    assert pool.map(task, iter([None, Argument()])) == [0, 1]
    assert pool.join(LIMIT)
    assert not pool
    assert pool.map(abs, [-1, -2]) == [1, 2]
    assert all(error.kind is HitError for error in errors)
    capfd.readouterr()


def test_a_future_whose_worker_is_hit_as_its_task_ends_is_done(
    capfd: pytest.CaptureFixture[str],
) -> None:
    executor, trap = hubpool.ThreadPoolExecutor(1), Trap()
    assert executor.submit(trap, Argument()).result(LIMIT) == 1
    # The exception may have come only now.
    with contextlib.suppress(HitError):
        executor.submit(abs, -1).result(LIMIT)
    assert executor.submit(abs, -1).result(LIMIT) == 1
    executor.shutdown()
    assert not executor._core.unfinished
    capfd.readouterr()


def test_a_map_lets_others_go_first_also_when_its_items_grow_long(make_pool: MakePool) -> None:
    pool, ran = make_pool(1), []

    def task(seconds: float) -> None:
        ran.append(seconds)
        time.sleep(seconds)

    numbers = pool.imap_unordered(task, [0.0] * 100 + [0.002] * 100)
    gevent.sleep(0)
    # Each of the long ones takes longer than a turn.
    assert pool.spawn(lambda: len(ran)).get() < 105
    numbers.kill()
    pool.join()


def test_hooks_of_one_worker_and_hooks_that_a_task_installs_are_honoured(
    make_pool: MakePool,
) -> None:
    class Worker(hubpool._WorkerGreenlet):
        pass

    class Pool(hubpool.ThreadPool):
        _WorkerGreenlet = Worker

    pool, seen = make_pool(1, kind=Pool), []
    pool.apply(int)
    (worker,) = pool._worker_greenlets
    worker._before_run_task = lambda *_: seen.append("before")  # type: ignore[method-assign]
    worker._after_run_task = lambda *_: seen.append("after")  # type: ignore[method-assign]
    pool.apply(int)
    assert seen == ["before", "after"]
    pool.map(int, [1])
    assert seen == ["before", "after"] * 2
    del worker._before_run_task, worker._after_run_task, seen[:]

    def install() -> None:
        Worker._after_run_task = lambda *_: seen.append("after")  # type: ignore[method-assign]

    pool.apply(install)
    assert seen == ["after"]


def test_failures_that_nobody_reads_do_not_keep_their_map(
    make_pool: MakePool, errors: list[Reported]
) -> None:
    pool = make_pool(2)
    gone: list[weakref.ref[Argument]] = []

    def task(number: int) -> Argument:
        if number in {0, 5}:
            fail()
        argument = Argument()
        gone.append(weakref.ref(argument))
        return argument

    for method in (pool.map, pool.imap, pool.imap_unordered):
        with pytest.raises(ZeroDivisionError):
            for _ in method(task, range(10)):
                pass
        pool.join()
    errors.clear()
    settle()
    gc.collect()
    assert len(gone) == 24
    assert not any(reference() for reference in gone)


def test_a_map_that_gives_its_ticket_back_while_the_queue_is_dropped(
    make_pool: MakePool, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool(1)
    blocked = pool.spawn(gate)
    gate.await_entered()
    numbers = pool.imap(abs, range(50))
    until(lambda: pool._core.queued)
    result = pool.spawn(abs, -1)
    # As if the ticket had come back only after the map was dropped.
    monkeypatch.setattr(_Feed, "drop", _Feed.give_up)
    killer = gevent.spawn(pool.kill, drop_queued=True)
    until(lambda: not pool._core.queued)
    gate.open()
    killer.get(timeout=LIMIT)
    assert blocked.get() is None
    for read in (result.get, lambda: list(numbers)):
        with pytest.raises(hubpool.TaskCancelledError):
            read()
    assert pool.join(LIMIT)
    assert not pool
    assert pool.map(abs, [-1]) == [1]


@pytest.mark.parametrize("destroy_loop", [False, True])
def test_who_gives_up_a_wait_after_the_hub_was_destroyed(destroy_loop: bool) -> None:
    failures: list[BaseException] = []

    def run() -> None:
        try:
            with hubpool.ThreadPoolExecutor(1) as executor:
                go = threading.Event()
                future = executor.submit(go.wait, LIMIT)
                future.rawlink(print)
                hub = gevent.get_hub()
                hub.destroy(destroy_loop=destroy_loop)
                # The new hub's wake has the old one's watchers closed.
                pool = hubpool.ThreadPool(1)
                future.unlink(print)
                go.set()
                assert pool.apply(abs, (-1,)) == 1
                pool.kill()
                gevent.get_hub().destroy(destroy_loop=True)
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    until(lambda: not thread.is_alive())
    assert failures == []
