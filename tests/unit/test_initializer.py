"""What each thread of a pool calls before its first task."""

from __future__ import annotations

import contextvars
import threading
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gates import LIMIT, Gate

import hubpool

if TYPE_CHECKING:
    from conftest import MakePool

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


def test_each_thread_is_initialized_once_and_keeps_what_it_has_made(make_pool: MakePool) -> None:
    local, made, gate = threading.local(), [], Gate()

    def initialize(*args: str) -> None:
        local.connection = object()
        made.append((local.connection, args))

    pool = make_pool(2, initializer=initialize, initargs=["a", "b"])

    def connection() -> object:
        gate()
        return local.connection

    tasks = [pool.spawn(connection) for _ in range(2)]
    gate.await_entered(2)
    gate.open()
    used = {task.get(timeout=LIMIT) for task in tasks}
    assert used == {each for each, _ in made}
    assert [args for _, args in made] == [("a", "b")] * 2
    assert {pool.apply(connection) for _ in range(10)} <= used
    assert len(made) == 2


def test_one_that_fails_is_reported_and_fails_what_is_queued(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[Any] = []
    monkeypatch.setattr(gevent.get_hub(), "handle_error", lambda *args: reported.append(args))
    failing = True

    def initialize() -> None:
        if failing:
            raise ValueError("no connection")

    pool = make_pool(1, initializer=initialize)
    for ask in (pool.spawn(int).get, lambda: pool.apply(int), lambda: pool.map(abs, [1])):
        with pytest.raises(RuntimeError, match="has failed"):
            ask()
    assert {(kind, str(value)) for _, kind, value, _ in reported} >= {(ValueError, "no connection")}
    failing = False
    assert pool.apply(int) == 0


def test_one_that_can_not_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match="initializer"):
        hubpool.ThreadPool(1, initializer=3)  # type: ignore[arg-type]


def test_the_context_of_a_task_of_an_executor_is_its_submitters_if_that_is_wanted() -> None:
    def initialize() -> None:
        variable.set("initializer")

    def task() -> str:
        before = variable.get()
        variable.set("task")
        return before

    context = contextvars.copy_context()
    context.run(variable.set, "submitter")
    for copy_context, seen in ((False, "initializer"), (True, "submitter")):
        with hubpool.ThreadPoolExecutor(
            1, initializer=initialize, copy_context=copy_context
        ) as executor:
            for _ in range(2):
                assert context.run(executor.submit, task).result(LIMIT) == seen
            assert context.run(lambda: list(executor.map(lambda _: task(), "ab"))) == [seen] * 2
    assert variable.get() == "unset"
