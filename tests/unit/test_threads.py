"""Calls between threads: into a pool from any thread, and out of a task into the hub."""

from __future__ import annotations

import concurrent.futures
import contextvars
import threading
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gates import LIMIT, Gate, fail, settle, until

import hubpool
from hubpool import _gevent, from_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import MakePool
    from gates import Reported

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


def elsewhere(func: Callable[[], Any]) -> Any:
    """Return what the function returns in a thread, while this one's greenlets run."""
    ended: list[Any] = []

    def run() -> None:
        try:
            ended.append((func(), None))
        except BaseException as error:  # noqa: BLE001 - it is raised again
            ended.append((None, error))

    thread = threading.Thread(target=run)
    thread.start()
    until(lambda: ended)
    thread.join()
    value, error = ended[0]
    if error is not None:
        raise error
    return value


class TestSubmitThreadsafe:
    """`ThreadPool.submit_threadsafe()`."""

    def test_any_thread_gets_a_future(self, pool: hubpool.ThreadPool) -> None:
        future = elsewhere(lambda: pool.submit_threadsafe(pow, 2, exp=5))
        assert isinstance(future, concurrent.futures.Future)
        assert future.result(LIMIT) == 32
        assert elsewhere(lambda: pool.submit_threadsafe(threading.get_ident).result(LIMIT)) not in {
            threading.get_ident(),
        }
        assert pool.submit_threadsafe(abs, -1).result(LIMIT) == 1

    def test_a_task_submits_too(self, pool: hubpool.ThreadPool) -> None:
        future = pool.apply(lambda: pool.submit_threadsafe(abs, -1))
        assert future.result(LIMIT) == 1

    def test_an_error_is_the_futures_alone(
        self, pool: hubpool.ThreadPool, errors: list[Reported]
    ) -> None:
        future = elsewhere(lambda: pool.submit_threadsafe(fail))
        with pytest.raises(ZeroDivisionError):
            future.result(LIMIT)
        pool.join()
        settle()
        assert errors == []

    def test_bad_input_is_refused(self, make_pool: MakePool) -> None:
        pool = make_pool(1)
        with pytest.raises(TypeError, match="func must be callable: 1"):
            pool.submit_threadsafe(1)  # type: ignore[arg-type]
        assert not pool

        def of_a_dead_hub() -> hubpool.ThreadPool:
            pool = hubpool.ThreadPool(1)
            gevent.get_hub().destroy(destroy_loop=True)
            return pool

        dead = elsewhere(of_a_dead_hub)
        with pytest.raises(RuntimeError, match="the hub has been destroyed"):
            dead.submit_threadsafe(abs, -1)

    def test_it_never_waits_and_tasks_keep_their_order(
        self, make_pool: MakePool, gate: Gate
    ) -> None:
        pool = make_pool(1)
        blocked = pool.spawn(gate)
        gate.await_entered()
        order: list[int] = []
        futures = elsewhere(
            lambda: [pool.submit_threadsafe(order.append, number) for number in range(100)]
        )
        # maxsize + 1 tasks are outstanding at a time, as with spawn().
        until(lambda: len(pool) == 2)
        settle()
        assert len(pool) == 2
        assert not any(future.done() for future in futures)
        gate.open()
        gevent.wait(futures, LIMIT)
        assert order == list(range(100))
        assert blocked.get() is None

    def test_join_waits_for_what_was_submitted(self, pool: hubpool.ThreadPool) -> None:
        done: list[int] = []
        thread = threading.Thread(
            target=lambda: [pool.submit_threadsafe(done.append, number) for number in range(50)]
        )
        thread.start()
        thread.join()
        # The hub has not seen any of them.
        assert pool.join(LIMIT)
        assert sorted(done) == list(range(50))
        assert not pool.submit_threadsafe(gevent.sleep, 0.05).done()
        assert elsewhere(lambda: pool.join(LIMIT))

    def test_a_queued_one_can_be_cancelled(self, make_pool: MakePool, gate: Gate) -> None:
        pool = make_pool(1)
        blocked = pool.spawn(gate)
        gate.await_entered()
        ran: list[int] = []
        futures = [pool.submit_threadsafe(ran.append, number) for number in range(4)]
        settle()
        assert [futures[number].cancel() for number in (0, 3)] == [True, True]
        gate.open()
        pool.join()
        assert ran == [1, 2]
        assert not futures[1].cancel()
        blocked.get()

    def test_dropping_the_queue_cancels_all(self, make_pool: MakePool, gate: Gate) -> None:
        pool = make_pool(1)
        blocked = pool.spawn(gate)
        gate.await_entered()
        futures = [pool.submit_threadsafe(fail) for _ in range(4)]
        settle()
        killer = gevent.spawn(pool.kill, drop_queued=True)
        settle()
        assert all(future.cancelled() for future in futures)
        gate.open()
        killer.get(timeout=LIMIT)
        assert blocked.get() is None
        assert pool.submit_threadsafe(abs, -1).result(LIMIT) == 1

    def test_a_thread_that_cannot_be_started_is_the_futures_error(
        self, make_pool: MakePool, monkeypatch: pytest.MonkeyPatch, errors: list[Reported]
    ) -> None:
        pool = make_pool(1)

        def refuse(*_: object) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(_gevent, "start_new_thread", refuse)
        future = pool.submit_threadsafe(abs, -1)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            future.result(LIMIT)
        monkeypatch.undo()
        assert pool.submit_threadsafe(abs, -1).result(LIMIT) == 1
        assert pool.join(LIMIT)
        assert not pool
        assert errors == []

    def test_a_hook_that_fails_is_the_futures_error(
        self, make_pool: MakePool, errors: list[Reported], capfd: pytest.CaptureFixture[str]
    ) -> None:
        class Worker(hubpool._WorkerGreenlet):
            def _before_run_task(self, *_: Any) -> None:
                fail()

        class Pool(hubpool.ThreadPool):
            _WorkerGreenlet = Worker

        pool = make_pool(1, kind=Pool)
        with pytest.raises(ZeroDivisionError):
            pool.submit_threadsafe(abs, -1).result(LIMIT)
        pool.join()
        assert [error.kind for error in errors] == [ZeroDivisionError]
        assert "Failed to run worker thread" in capfd.readouterr().err


class TestFromThread:
    """`hubpool.from_thread.run()`."""

    def test_a_function_runs_on_the_hub_of_the_pool(self, pool: hubpool.ThreadPool) -> None:
        hub = gevent.get_hub()

        def on_hub(*args: int, **kwargs: int) -> Any:
            gevent.sleep(0.001)  # It may wait.
            return gevent.get_hub(), args, kwargs

        assert pool.apply(lambda: from_thread.run(on_hub, 1, two=2)) == (hub, (1,), {"two": 2})
        assert pool.map(lambda number: from_thread.run(abs, number), [-1, -2]) == [1, 2]

    @pytest.mark.parametrize("kind", [ValueError, StopIteration, SystemExit, gevent.GreenletExit])
    def test_what_it_raises_reaches_the_task_alone(
        self, pool: hubpool.ThreadPool, errors: list[Reported], kind: type[BaseException]
    ) -> None:
        def on_hub() -> None:
            raise kind("on purpose")

        def task() -> None:
            with pytest.raises(kind, match="on purpose"):
                from_thread.run(on_hub)

        pool.apply(task)
        settle()
        assert errors == []

    def test_a_task_may_use_its_pool_through_it(self, pool: hubpool.ThreadPool) -> None:
        assert pool.apply(lambda: from_thread.run(pool.apply, abs, (-1,))) == 1
        result = pool.apply(lambda: from_thread.run(pool.spawn, abs, -1))
        assert result.get() == 1

    def test_it_runs_in_the_callers_context(self, pool: hubpool.ThreadPool) -> None:
        def task() -> str:
            variable.set("of the task")
            return from_thread.run(variable.get)

        assert pool.apply(task) == "of the task"
        assert variable.get() == "unset"

    def test_a_task_with_a_hub_of_its_own_lets_its_greenlets_run(
        self, pool: hubpool.ThreadPool
    ) -> None:
        hub = gevent.get_hub()

        def task() -> Any:
            other = gevent.spawn(gevent.get_hub)
            on_hub = from_thread.run(lambda: gevent.sleep(0.01) or gevent.get_hub())
            assert other.ready()
            return on_hub, other.get()

        outer, inner = pool.apply(task)
        assert outer is hub
        assert inner is not hub

    def test_other_threads_are_refused(self) -> None:
        with pytest.raises(RuntimeError, match=r"for the tasks of a hubpool\.ThreadPool"):
            from_thread.run(abs, -1)
        with pytest.raises(RuntimeError, match=r"for the tasks of a hubpool\.ThreadPool"):
            elsewhere(lambda: from_thread.run(abs, -1))
        with hubpool.ThreadPoolExecutor(1) as executor:
            future = executor.submit(from_thread.run, abs, -1)
            with pytest.raises(RuntimeError, match=r"for the tasks of a hubpool\.ThreadPool"):
                future.result(LIMIT)

    def test_a_greenlet_that_is_killed_before_it_begins_ends_the_call(
        self, pool: hubpool.ThreadPool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Killed(gevent.Greenlet):
            def start(self) -> None:
                super().start()
                self.kill(block=False)

        monkeypatch.setattr(from_thread, "Greenlet", Killed)
        with pytest.raises(gevent.GreenletExit):
            pool.apply(lambda: from_thread.run(abs, -1))

    def test_leaves_no_cycle(self, pool: hubpool.ThreadPool) -> None:
        import gc
        import weakref

        class Argument:
            pass

        def task() -> weakref.ref[Argument]:
            argument = Argument()
            with pytest.raises(ZeroDivisionError):
                from_thread.run(fail, argument)
            return weakref.ref(argument)

        gc.disable()
        try:
            gone = pool.apply(task)
            settle()
            assert gone() is None
        finally:
            gc.enable()
