"""An argument that cannot be meant is refused at once, by its name, and leaves no trace."""

from __future__ import annotations

import math
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gates import LIMIT, until
from gevent.event import AsyncResult

import hubpool
from hubpool import from_thread, threadpool
from hubpool._limit import thread_limit

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import MakePool
    from gates import Gate


def _set_size(pool: hubpool.ThreadPool, size: Any) -> None:
    pool.size = size


def _set_maxsize(pool: hubpool.ThreadPool, maxsize: Any) -> None:
    pool.maxsize = maxsize


class Spawning(hubpool.ThreadPool):
    """A pool whose maps go item by item through its own spawn()."""

    __slots__ = ()

    def spawn(self, *args: Any, **kwargs: Any) -> Any:
        return super().spawn(*args, **kwargs)


CALLS: list[tuple[Callable[[hubpool.ThreadPool], object], type[Exception], str]] = [
    (lambda _: hubpool.ThreadPool("3"), TypeError, "maxsize .*: '3'"),
    (
        lambda _: hubpool.ThreadPool(1, idle_task_timeout=None),
        TypeError,
        "idle_task_timeout .*: None",
    ),
    (
        lambda _: hubpool.ThreadPool(1, idle_task_timeout="x"),
        TypeError,
        "idle_task_timeout .*: 'x'",
    ),
    (
        lambda _: hubpool.ThreadPool(1, idle_task_timeout=math.nan),
        ValueError,
        "idle_task_timeout .*: nan",
    ),
    (lambda _: hubpool.ThreadPool(1, report_errors=3), ValueError, "report_errors .*: 3"),
    (lambda _: hubpool.set_thread_limit("x"), TypeError, "limit .*: 'x'"),
    (lambda _: hubpool.set_thread_limit(1.5), TypeError, "limit .*: 1.5"),
    (lambda _: hubpool.set_thread_limit(0), ValueError, "limit .*: 0"),
    (lambda pool: pool.join("x"), TypeError, "timeout .*: 'x'"),
    (lambda pool: pool.join(timeout=math.nan), ValueError, "timeout .*: nan"),
    (lambda pool: pool.kill(5), TypeError, "drop_queued .*: 5"),
    (lambda pool: pool.kill(drop_queued="no"), TypeError, "drop_queued .*: 'no'"),
    (lambda pool: _set_size(pool, "x"), TypeError, "size .*: 'x'"),
    (lambda pool: _set_size(pool, 1.5), TypeError, "size .*: 1.5"),
    (lambda pool: _set_maxsize(pool, "x"), TypeError, "maxsize .*: 'x'"),
    (lambda pool: pool.submit_threadsafe(3), TypeError, "func .*: 3"),
    (lambda pool: pool.spawn(3), TypeError, "func .*: 3"),
    (lambda _: from_thread.run(3), TypeError, "func .*: 3"),
    (lambda pool: pool.imap(abs, [1], maxsize="x"), TypeError, "maxsize .*: 'x'"),
    (lambda pool: pool.imap(abs, [1], maxsize=math.nan), TypeError, "maxsize .*: nan"),
    (lambda pool: pool.imap_unordered(abs, [1], maxsize=-1), ValueError, "maxsize .*: -1"),
    (lambda _: Spawning(1).imap(abs, [1], maxsize="x"), TypeError, "maxsize .*: 'x'"),
    (lambda _: hubpool.ThreadPoolExecutor("x"), TypeError, "max_workers .*: 'x'"),
    (lambda _: hubpool.ThreadPoolExecutor(math.nan), ValueError, "max_workers .*: nan"),
]


@pytest.mark.parametrize(("call", "kind", "text"), CALLS)
def test_it_is_refused_by_name(
    make_pool: MakePool,
    call: Callable[[hubpool.ThreadPool], object],
    kind: type[Exception],
    text: str,
) -> None:
    pool = make_pool(2)
    pool.size = 2
    with pytest.raises(kind, match=f"^{text}$"):
        call(pool)
    assert (pool.size, pool.maxsize, len(pool), pool._maps) == (2, 2, 0, set())
    assert thread_limit.limit is None
    assert pool.map(abs, [-1]) == [1]


@pytest.mark.parametrize(
    ("settings", "kind", "text"),
    [
        ({"buffersize": "x"}, TypeError, "buffersize .*: 'x'"),
        ({"buffersize": 0}, ValueError, "buffersize .*: 0"),
        ({"timeout": "x"}, TypeError, "timeout .*: 'x'"),
    ],
)
def test_an_executors_map_submits_nothing_then(
    executor: hubpool.ThreadPoolExecutor, settings: Any, kind: type[Exception], text: str
) -> None:
    called: list[int] = []
    with pytest.raises(kind, match=f"^{text}$"):
        executor.map(called.append, [1], **settings)
    executor.shutdown()
    assert called == []


def test_an_executor_keeps_its_size_then(executor: hubpool.ThreadPoolExecutor) -> None:
    with pytest.raises(TypeError, match="max_workers"):
        executor._max_workers = "x"
    assert executor._max_workers == 2


@pytest.mark.parametrize("method", ["result", "exception", "get", "wait"])
@pytest.mark.parametrize("done", [False, True])
def test_a_futures_time_limit(
    executor: hubpool.ThreadPoolExecutor, gate: Gate, method: str, done: bool
) -> None:
    future = executor.submit(gate)
    if done:
        gate.open()
        future.result()
    wait = getattr(future, method)
    with pytest.raises(TypeError, match=r"^timeout .*: 'x'$"):
        wait(timeout="x")
    assert future._links is None


@pytest.mark.parametrize("method", ["imap", "imap_unordered"])
def test_a_float_that_gevent_takes_is_taken(pool: hubpool.ThreadPool, method: str) -> None:
    assert sorted(getattr(pool, method)(abs, [-1, -2], maxsize=1.0)) == [1, 2]
    assert pool.join(1.5)
    assert hubpool.ThreadPool(1, idle_task_timeout=0.5).apply(abs, (-1,)) == 1


@pytest.mark.parametrize("thing", [3, None, "x", AsyncResult(), Future(), gevent.Greenlet()])
def test_only_a_result_is_cancelled(pool: hubpool.ThreadPool, thing: Any) -> None:
    with pytest.raises(TypeError, match="result must be what spawn"):
        pool.cancel(thing)


def test_a_future_is_told_to_cancel_itself(pool: hubpool.ThreadPool) -> None:
    future = pool.submit_threadsafe(int)
    with pytest.raises(TypeError, match=r"a future has a cancel\(\) of its own"):
        pool.cancel(future)
    assert future.result() == 0


def test_a_result_of_another_pool_is_not_cancelled(make_pool: MakePool, gate: Gate) -> None:
    first, second = make_pool(1), make_pool(1)
    running, queued = first.spawn(gate), first.spawn(abs, -1)
    gate.await_entered()
    for result in (running, queued):
        with pytest.raises(ValueError, match=r"another pool: <hubpool\.ThreadPool at "):
            second.cancel(result)
    # Its own pool may, and what has begun or ended is no error there.
    assert first.cancel(running) is False
    assert first.cancel(queued) is True
    gate.open()
    running.get()
    assert (first.cancel(running), second.cancel(running)) == (False, False)


def test_another_thread_is_told_what_to_use(pool: hubpool.ThreadPool) -> None:
    told: list[str] = []

    def use() -> None:
        try:
            pool.spawn(int)
        except gevent.exceptions.InvalidThreadUseError as error:
            told.append(str(error))

    thread = threading.Thread(target=use)
    thread.start()
    until(lambda: not thread.is_alive())
    assert "submit_threadsafe()" in told[0]


def test_descriptions_tell_hubpools_from_gevents(
    pool: hubpool.ThreadPool, executor: hubpool.ThreadPoolExecutor, gate: Gate
) -> None:
    tasks = pool.spawn(gate), pool.imap(gate, [1]), executor.submit(gate)
    gate.await_entered(3)
    hub = threadpool._gevent.format_hub(pool.hub)
    name = f"<hubpool.ThreadPool at 0x{id(pool):x} tasks=2 size=2 maxsize=2 hub={hub}>"
    assert repr(pool) == name
    assert repr(tasks[1]) == f"<hubpool.IMap at 0x{id(tasks[1]):x} func={gate!r} pool={name}>"
    where = f"<hubpool.ThreadPoolExecutor at 0x{id(executor):x}"
    assert repr(executor) == f"{where} running threads=1 max_workers=2 queued=0>"
    gate.open()
    assert pool.join(LIMIT)
    assert "ended" in repr(tasks[1])
    executor.shutdown()
    assert repr(executor) == f"{where} shut down threads=0 max_workers=2 queued=0>"
    assert repr(Spawning(1)).startswith(f"<{__name__}.Spawning at ")


def test_a_call_off_a_task_is_told_whose_it_is() -> None:
    with pytest.raises(RuntimeError, match=r"hubpool\.from_thread\.run\(\) is for the tasks"):
        from_thread.run(int)
