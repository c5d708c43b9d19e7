"""What runs around each task: the hooks of threading, and those of a subclass."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from gates import Gate, fail, settle

import hubpool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import MakePool
    from gates import Reported


def _hook(*_: Any) -> None:
    """Do nothing, for nothing is asked."""


def _other_hook(*_: Any) -> None:
    """Be another."""


class _Kind:
    """Profiling, or tracing."""

    def __init__(self, name: str) -> None:
        self.install: Any = getattr(threading, f"set{name}")
        self.here: Any = getattr(sys, f"set{name}")
        self.current: Any = getattr(sys, f"get{name}")
        self.attribute = f"set{name}"


@pytest.fixture(params=["profile", "trace"])
def kind(request: pytest.FixtureRequest) -> Iterator[_Kind]:
    kind = _Kind(request.param)
    yield kind
    kind.install(None)


def test_a_hook_is_there_during_the_task(pool: hubpool.ThreadPool, kind: _Kind) -> None:
    mine = kind.current()
    kind.install(_hook)
    assert pool.apply(kind.current) is _hook
    assert kind.current() is mine


def test_a_hook_is_there_for_each_item_of_a_map(pool: hubpool.ThreadPool, kind: _Kind) -> None:
    kind.install(_hook)
    seen = pool.map(lambda _: kind.current(), range(20))
    assert seen == [_hook] * 20
    seen = list(pool.imap(lambda *_: kind.current(), iter(range(20)), range(20), maxsize=2))
    assert seen == [_hook] * 20


def test_a_hook_is_read_anew_for_each_task(make_pool: MakePool, kind: _Kind) -> None:
    pool = make_pool(1)
    for hook in (_hook, None, _other_hook, _hook, None):
        kind.install(hook)
        assert pool.apply(kind.current) is hook
        assert pool.map(lambda _: kind.current(), [1, 2]) == [hook, hook]


def test_a_hook_is_read_anew_for_each_item(make_pool: MakePool, kind: _Kind) -> None:
    pool = make_pool(1)

    def install_next(hook: Any) -> Any:
        seen = kind.current()
        kind.install(hook)
        return seen

    hooks = [_hook, None, _other_hook, _hook, None, None]
    assert pool.map(install_next, hooks) == [None, *hooks[:-1]]


def test_a_hook_that_comes_during_a_task_is_not_for_it(
    pool: hubpool.ThreadPool, gate: Gate, kind: _Kind
) -> None:
    def look_twice() -> tuple[Any, Any]:
        before = kind.current()
        gate()
        return before, kind.current()

    running = pool.spawn(look_twice)
    gate.await_entered()
    kind.install(_hook)
    assert pool.apply(kind.current) is _hook
    gate.open()
    assert running.get() == (None, None)


def test_what_a_task_installs_is_gone_before_the_next(make_pool: MakePool, kind: _Kind) -> None:
    pool = make_pool(1)
    pool.apply(kind.here, (_hook,))
    assert pool.apply(kind.current) is None

    def leave(_: int) -> Any:
        seen = kind.current()
        kind.here(_hook)
        return seen

    assert pool.map(leave, range(5)) == [None] * 5
    assert pool.apply(kind.current) is None


def test_without_a_hook_the_setters_are_not_called(
    pool: hubpool.ThreadPool, kind: _Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []
    with monkeypatch.context() as patched:
        patched.setattr(sys, kind.attribute, calls.append)
        pool.apply(abs, (-1,))
        pool.map(abs, range(10))
    assert calls == []


@pytest.mark.usefixtures("errors")
def test_a_hook_is_cleared_after_a_task_that_fails(make_pool: MakePool, kind: _Kind) -> None:
    pool = make_pool(1)
    kind.install(_hook)
    with pytest.raises(ZeroDivisionError):
        pool.apply(fail)
    kind.install(None)
    assert pool.apply(kind.current) is None


_calls: list[tuple[str, Any, Any, Any]] = []


class _Noting(hubpool._WorkerGreenlet):
    def _before_run_task(  # type: ignore[override]
        self, func: Any, args: Any, kwargs: Any, thread_result: Any
    ) -> None:
        _calls.append(("before", func, args, kwargs))
        super()._before_run_task(func, args, kwargs, thread_result)

    def _after_run_task(  # type: ignore[override]
        self, func: Any, args: Any, kwargs: Any, thread_result: Any
    ) -> None:
        _calls.append(("after", func, args, kwargs))
        super()._after_run_task(func, args, kwargs, thread_result)


class _NotingPool(hubpool.ThreadPool):
    _WorkerGreenlet = _Noting


@pytest.fixture
def calls() -> list[tuple[str, Any, Any, Any]]:
    _calls.clear()
    return _calls


def test_a_subclass_is_called_around_each_task(make_pool: MakePool, calls: list[Any]) -> None:
    pool = make_pool(1, kind=_NotingPool)
    assert pool.apply(int, ("11",), {"base": 2}) == 3
    pool.kill()
    expected = (int, ("11",), {"base": 2})
    assert calls == [("before", *expected), ("after", *expected)]


@pytest.mark.parametrize("maxsize", [1, 3])
def test_a_subclass_is_called_around_each_item(
    make_pool: MakePool, calls: list[Any], maxsize: int
) -> None:
    pool = make_pool(maxsize, kind=_NotingPool)
    assert pool.map(abs, range(-9, 0)) == list(range(9, 0, -1))
    assert list(pool.imap(pow, [2, 3], [3, 2])) == [8, 9]
    assert sorted(pool.imap_unordered(abs, iter([-1, -2]), maxsize=1)) == [1, 2]
    pool.kill()
    items: list[tuple[Any, Any, Any]] = [(abs, (number,), {}) for number in range(-9, 0)]
    items += [(pow, (2, 3), {}), (pow, (3, 2), {}), (abs, (-1,), {}), (abs, (-2,), {})]
    for when in ("before", "after"):
        seen = [call[1:] for call in calls if call[0] == when]
        assert sorted(seen, key=str) == sorted(items, key=str)


@pytest.mark.usefixtures("errors")
def test_a_subclass_is_called_after_a_task_that_fails(
    make_pool: MakePool, calls: list[Any]
) -> None:
    pool = make_pool(1, kind=_NotingPool)
    with pytest.raises(ZeroDivisionError):
        pool.apply(fail)
    pool.kill()
    assert [call[0] for call in calls] == ["before", "after"]


class _RefusedError(Exception):
    pass


class _RefusedWholly(BaseException):
    pass


def _ran(argument: Any) -> Any:
    _calls.append(("ran", argument, None, None))
    return argument


def _refuse(when: str, args: Any) -> None:
    if args and args[0] == f"bad {when}":
        raise _RefusedError(when)
    if args and args[0] == f"worse {when}":
        raise _RefusedWholly(when)


class _Refusing(hubpool._WorkerGreenlet):
    def _before_run_task(  # type: ignore[override]
        self, func: Any, args: Any, kwargs: Any, thread_result: Any
    ) -> None:
        _refuse("before", args)

    def _after_run_task(  # type: ignore[override]
        self, func: Any, args: Any, kwargs: Any, thread_result: Any
    ) -> None:
        _refuse("after", args)


class _RefusingPool(hubpool.ThreadPool):
    _WorkerGreenlet = _Refusing


FAILURES = pytest.mark.parametrize(
    ("argument", "kind_of_error"),
    [
        ("bad before", _RefusedError),
        ("bad after", _RefusedError),
        ("worse before", _RefusedWholly),
        ("worse after", _RefusedWholly),
    ],
)


@FAILURES
@pytest.mark.parametrize("maxsize", [1, 2])
def test_a_failing_hook_reaches_the_caller_and_the_pool_goes_on(
    make_pool: MakePool,
    errors: list[Reported],
    calls: list[Any],
    argument: str,
    kind_of_error: type[BaseException],
    maxsize: int,
) -> None:
    pool = make_pool(maxsize, kind=_RefusingPool)
    # More often than there are slots.
    for _ in range(maxsize + 3):
        with pytest.raises(kind_of_error):
            pool.apply(_ran, (argument,))
    assert [call[1] for call in calls] == (
        [argument] * (maxsize + 3) if "after" in argument else []
    )
    assert [error.kind for error in errors] == [kind_of_error] * (maxsize + 3)
    assert pool.apply(_ran, ("good",)) == "good"
    pool.join()
    assert len(pool) == 0


@FAILURES
@pytest.mark.usefixtures("errors", "calls")
def test_a_task_behind_a_failing_hook_is_run(
    make_pool: MakePool, gate: Gate, argument: str, kind_of_error: type[BaseException]
) -> None:
    pool = make_pool(1, kind=_RefusingPool)
    pool.spawn(gate)
    failing = pool.spawn(_ran, argument)
    waiting = pool.apply_async(_ran, ("good",))
    settle()
    gate.open()
    with pytest.raises(kind_of_error):
        failing.get()
    assert waiting.get() == "good"


@FAILURES
@pytest.mark.parametrize("maxsize", [1, 2])
@pytest.mark.parametrize("limit", [None, 1, 3])
@pytest.mark.usefixtures("calls")
def test_a_hook_that_fails_for_an_item_raises_at_its_place_and_the_others_come(
    make_pool: MakePool,
    errors: list[Reported],
    argument: str,
    kind_of_error: type[BaseException],
    maxsize: int,
    limit: int | None,
) -> None:
    pool = make_pool(maxsize, kind=_RefusingPool)
    results = pool.imap(_ran, ["a", argument, "b", argument, "c"], maxsize=limit)
    assert next(results) == "a"
    for letter in "bc":
        with pytest.raises(kind_of_error):
            next(results)
        assert next(results) == letter
    assert list(results) == []
    pool.join()
    assert len(pool) == 0
    assert [error.kind for error in errors] == [kind_of_error] * 2
    with pytest.raises(kind_of_error):
        pool.map(_ran, ["a", argument])
    assert pool.map(_ran, ["a", "b"]) == ["a", "b"]
