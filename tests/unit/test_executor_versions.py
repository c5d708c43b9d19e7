"""Where CPython's versions differ, an executor does as the class of the very version does."""

from __future__ import annotations

import asyncio
import concurrent.futures
import sys
from typing import TYPE_CHECKING, Any

import pytest
from gates import LIMIT, Gate, fail

import hubpool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EXECUTORS: list[Any] = [concurrent.futures.ThreadPoolExecutor, hubpool.ThreadPoolExecutor]


def _outcome(function: Callable[[], object]) -> object:
    try:
        return function()
    except Exception as error:  # noqa: BLE001 - it is what is asked for
        return type(error), str(error)


@pytest.mark.parametrize(
    "arguments",
    [
        {"max_workers": 0},
        {"initializer": 1},
        {"max_workers": 0, "initializer": 1},
        {"shared": {}},
        {"initializer": 1, "shared": {}},
    ],
    ids=str,
)
def test_bad_arguments_are_refused_as_by_the_standard_librarys(arguments: dict[str, Any]) -> None:
    theirs, ours = (_outcome(lambda kind=kind: kind(**arguments)) for kind in EXECUTORS)
    assert ours == theirs
    assert isinstance(theirs, tuple)


def _attributes(kind: Any) -> dict[str, object]:
    with kind(3, "name", initializer=int, initargs=("1",)) as executor:
        names = ("_max_workers", "_thread_name_prefix", "_broken", "_shutdown")
        values = {name: getattr(executor, name) for name in names}
        values["number"] = executor.submit(abs, -1).result(LIMIT)
        return values


def test_an_executor_keeps_its_settings_on_each_version() -> None:
    theirs, ours = map(_attributes, EXECUTORS)
    assert ours == theirs


def test_an_executor_has_each_attribute_of_the_standard_librarys() -> None:
    standard, own = (kind(1) for kind in EXECUTORS)
    missing = [name for name in vars(standard) if not hasattr(own, name)]
    # Which CPython to 3.13 alone has.
    assert [name for name in ("_initializer", "_initargs") if not hasattr(own, name)] == []
    assert missing == []


def test_a_future_has_each_attribute_of_the_standard_librarys() -> None:
    gate = Gate()
    with hubpool.ThreadPoolExecutor(1) as executor:
        future = executor.submit(gate)
        names = vars(concurrent.futures.Future())
        gate.open()
    assert [name for name in names if not hasattr(future, name)] == []


def _after_an_error(kind: Any) -> list[object]:
    def halve(number: int) -> int:
        if number % 2:
            raise ValueError(number)
        return number // 2

    with kind(1) as executor:
        results = executor.map(halve, range(6))
        return [_outcome(lambda: next(results, "end")) for _ in range(7)]


def test_a_map_goes_on_after_an_error_if_the_standard_librarys_does() -> None:
    theirs, ours = map(_after_an_error, EXECUTORS)
    assert ours == theirs
    assert theirs[:2] == [0, (ValueError, "1")]


def _after_a_tasks_timeout(kind: Any) -> list[object]:
    def late(number: int) -> int:
        if number == 1:
            raise concurrent.futures.TimeoutError("late")
        return number

    with kind(1) as executor:
        results = executor.map(late, range(4), timeout=LIMIT)
        return [_outcome(lambda: next(results, "end")) for _ in range(5)]


def test_a_map_goes_on_after_a_tasks_own_timeout_if_the_standard_librarys_does() -> None:
    theirs, ours = map(_after_a_tasks_timeout, EXECUTORS)
    assert ours == theirs


def _drawn(kind: Any) -> list[object]:
    """Return how many items a map with a buffer has drawn at each step, and its results."""
    seen: list[object] = []
    drawn: list[int] = []

    def items() -> Iterator[int]:
        for number in range(5):
            drawn.append(number)
            yield number

    with kind(1) as executor:
        results = executor.map(abs, items(), buffersize=2)
        for _ in range(6):
            seen += [len(drawn), _outcome(lambda: next(results, "end"))]
    return seen


def _after_the_shutdown(kind: Any) -> list[object]:
    with kind(1) as executor:
        results = executor.map(abs, range(6), buffersize=2)
        first = next(results)
    return [first, *(_outcome(lambda: next(results, "end")) for _ in range(3))]


def _bad_buffer(kind: Any) -> list[object]:
    with kind(1) as executor:
        outcomes: list[Any] = [
            _outcome(lambda size=size: executor.map(abs, [], buffersize=size))
            for size in (0, -1, 1.5, "1")
        ]
    # hubpool's messages name the value, too.
    return [(error, message.partition(":")[0]) for error, message in outcomes]


@pytest.mark.skipif(sys.version_info < (3, 14), reason="maps have buffers from CPython 3.14 on")
@pytest.mark.parametrize("program", [_drawn, _after_the_shutdown, _bad_buffer])
def test_a_map_with_a_buffer_does_as_the_standard_librarys(
    program: Callable[[Any], list[object]],
) -> None:
    theirs, ours = map(program, EXECUTORS)
    assert ours == theirs


def _snapshots() -> list[Any]:
    with hubpool.ThreadPoolExecutor(1) as executor:
        gate = Gate()
        running, cancelled = executor.submit(gate, 1), executor.submit(abs, -1)
        gate.await_entered()
        cancelled.cancel()
        snapshots = [future._get_snapshot() for future in (running, cancelled)]  # type: ignore[attr-defined]
        gate.open()
        failed = executor.submit(fail)
        concurrent.futures.wait([running, failed])
        error = failed.exception()
        snapshots += [future._get_snapshot() for future in (running, failed)]  # type: ignore[attr-defined]
    assert error is not None
    return [error, *snapshots]


@pytest.mark.skipif(sys.version_info < (3, 15), reason="asyncio asks for it from CPython 3.15 on")
def test_a_snapshot_of_a_future_shows_its_state() -> None:
    error, *snapshots = _snapshots()
    assert snapshots == [
        (False, False, None, None),
        (True, True, None, None),
        (True, False, 1, None),
        (True, False, None, error),
    ]


def _on_asyncio(kind: Any) -> list[str]:
    async def main(executor: concurrent.futures.ThreadPoolExecutor) -> list[str]:
        gate = Gate()
        blocked, queued = executor.submit(gate, "ran"), executor.submit(abs, -1)
        futures = [asyncio.wrap_future(future) for future in (blocked, queued)]
        queued.cancel()
        gate.open()
        loop = asyncio.get_running_loop()
        futures += [loop.run_in_executor(executor, fail), asyncio.wrap_future(blocked)]
        return list(map(repr, await asyncio.gather(*futures, return_exceptions=True)))

    with kind(1) as executor:
        return asyncio.run(main(executor))


def test_asyncio_gets_what_has_become_of_a_future() -> None:
    theirs, ours = map(_on_asyncio, EXECUTORS)
    assert ours == theirs
    assert ours[::2] == ["'ran'", "ZeroDivisionError('on purpose')"]


class _Context:
    """What a worker's tasks run in, as CPython 3.14 has it."""

    def __init__(self, log: list[object], initializer: Any, initargs: Any) -> None:
        self._log = log
        self._initializer, self._initargs = initializer, initargs

    def initialize(self) -> None:
        self._log.append("initialized")
        if self._initializer is not None:
            self._initializer(*self._initargs)

    def run(self, task: Any) -> Any:
        name, function, args, kwargs = task
        self._log.append(name)
        return function(*args, **kwargs)

    def finalize(self) -> None:
        self._log.append("finalized")


class _BrokenError(RuntimeError):
    """What an executor raises whose initializer failed."""


def _with_contexts(kind: Any) -> Any:
    """Return a subclass that says what its tasks run in."""

    class Executor(kind):  # type: ignore[misc] # chosen at run time
        BROKEN = _BrokenError

        @classmethod
        def prepare_context(cls, initializer: Any, initargs: Any, *, log: list[object]) -> Any:
            def create() -> _Context:
                log.append("created")
                return _Context(log, initializer, initargs)

            def resolve(function: Any, args: Any, kwargs: Any) -> Any:
                if function is None:
                    raise TypeError("there is nothing to call")
                return f"task {args}", function, args, kwargs

            return create, resolve

    return Executor


def _in_contexts(kind: Any) -> tuple[list[object], list[object]]:
    log: list[object] = []
    with _with_contexts(kind)(1, log=log) as executor:
        outcomes = [executor.submit(int, "1", base=10).result(LIMIT)]
        outcomes.append(_outcome(lambda: executor.submit(int, "one").result(LIMIT)))
        outcomes.append(_outcome(lambda: executor.submit(None)))
        outcomes += executor.map(abs, [-3, -4])
    return outcomes, log


def _broken_in_contexts(kind: Any) -> list[object]:
    log: list[object] = []
    gate = Gate()

    def break_it(_: object) -> None:
        gate()
        fail()

    executor = _with_contexts(kind)(1, initializer=break_it, initargs=(1,), log=log)
    queued = [executor.submit(abs, -1) for _ in range(2)]
    gate.open()
    outcomes = [_outcome(lambda future=future: future.result(LIMIT)) for future in queued]
    outcomes.append(_outcome(lambda: executor.submit(abs, -1)))
    executor.shutdown()
    return [*outcomes, log]


since_3_14 = pytest.mark.skipif(
    sys.version_info < (3, 14), reason="CPython has prepare_context() from 3.14 on"
)


@since_3_14
def test_a_subclass_says_what_its_tasks_run_in() -> None:
    theirs, ours = map(_in_contexts, EXECUTORS)
    assert ours == theirs
    assert ours[1][:3] == ["created", "initialized", "task ('1',)"]
    assert ours[1][-1] == "finalized"


@since_3_14
def test_a_subclass_says_what_is_raised_when_its_initializer_fails(
    caplog: pytest.LogCaptureFixture,
) -> None:
    theirs, ours = map(_broken_in_contexts, EXECUTORS)
    assert ours == theirs
    assert ours[0] == (
        _BrokenError,
        "A thread initializer failed, the thread pool is not usable anymore",
    )
    assert [record.message for record in caplog.records] == ["Exception in initializer:"] * 2
