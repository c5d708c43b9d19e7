"""Trace and profile hooks that are the thread's own: no task has set them."""

from __future__ import annotations

import cProfile
import sys
import threading
from typing import TYPE_CHECKING, Any

import gevent
import pytest

import hubpool
from hubpool import _gevent
from hubpool._worker import _Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import MakePool
    from gates import Gate

    Call = Callable[[Callable[[], Any]], Any]


def _own(*_: Any) -> None:
    """Be the hook of the thread."""


def _other(*_: Any) -> None:
    """Be a hook of a task."""


class _Kind:
    """Profiling, or tracing."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.for_tasks: Any = getattr(threading, f"set{name}")
        self.here: Any = getattr(sys, f"set{name}")
        self.current: Any = getattr(sys, f"get{name}")


@pytest.fixture(params=["profile", "trace"])
def kind(request: pytest.FixtureRequest) -> Iterator[_Kind]:
    kind = _Kind(request.param)
    yield kind
    kind.for_tasks(None)


@pytest.fixture(params=["apply", "map", "imap", "submit"])
def call(request: pytest.FixtureRequest, make_pool: MakePool) -> Iterator[Call]:
    """Return what calls functions one after another in one thread, which it starts."""
    executor = hubpool.ThreadPoolExecutor(1)
    pool = make_pool(1)

    def through_map(function: Callable[[], Any]) -> Any:
        # Items follow each other without a wait.
        return pool.map(lambda item: item and function(), [0, 1, 0])[1]

    calls: dict[str, Call] = {
        "apply": pool.apply,
        "map": through_map,
        "imap": lambda function: next(pool.imap(lambda _: function(), [None])),
        "submit": lambda function: executor.submit(function).result(),
    }
    with executor:
        yield calls[request.param]


def _start_with(monkeypatch: pytest.MonkeyPatch, begin: Callable[[], object]) -> None:
    """Have each thread call a function as it starts, as debuggers and profilers do."""
    start = _gevent.start_new_thread

    def start_new_thread(function: Callable[..., Any], args: Any) -> int:
        def run() -> None:
            begin()
            function(*args)

        return start(run, ())

    monkeypatch.setattr(_gevent, "start_new_thread", start_new_thread)


@pytest.fixture
def begun(kind: _Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each thread start with a hook."""
    _start_with(monkeypatch, lambda: kind.here(_own))


@pytest.mark.usefixtures("begun")
def test_a_hook_of_before_the_first_task_is_there_in_each_task(call: Call, kind: _Kind) -> None:
    assert [call(kind.current) for _ in range(6)] == [_own] * 6


@pytest.mark.usefixtures("begun")
def test_a_hook_that_stays_is_never_set_anew(
    call: Call, kind: _Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(kind.current)
    set_anew: list[Any] = []
    slow: list[Any] = []
    with monkeypatch.context() as patched:
        patched.setattr(sys, f"set{kind.name}", set_anew.append)
        patched.setattr(hubpool._WorkerGreenlet, "_end_task", lambda *args: slow.append(args))
        assert [call(lambda: 1) for _ in range(6)] == [1] * 6
    assert (set_anew, slow) == ([], [])


@pytest.mark.usefixtures("begun")
def test_a_hook_that_a_task_leaves_makes_way_for_the_threads_own(call: Call, kind: _Kind) -> None:
    for _ in range(3):
        call(lambda: kind.here(_other))
        assert call(kind.current) is _own


@pytest.mark.usefixtures("begun")
def test_a_hook_that_a_task_takes_away_stays_away(call: Call, kind: _Kind) -> None:
    call(lambda: kind.here(None))
    assert call(kind.current) is None
    call(lambda: kind.here(_other))
    assert call(kind.current) is None


@pytest.mark.usefixtures("begun")
def test_a_hook_of_threading_is_for_the_task_and_the_threads_own_comes_back(
    call: Call, kind: _Kind
) -> None:
    assert call(kind.current) is _own
    for _ in range(2):
        kind.for_tasks(_other)
        assert call(kind.current) is _other
        assert call(kind.current) is _other
        kind.for_tasks(None)
        assert call(kind.current) is _own


@pytest.mark.usefixtures("begun")
def test_an_item_leaves_the_next_one_the_threads_own(make_pool: MakePool, kind: _Kind) -> None:
    def leave(_: int) -> Any:
        seen = kind.current()
        kind.here(_other)
        return seen

    assert make_pool(1).map(leave, range(5)) == [_own] * 5


@pytest.mark.usefixtures("begun", "errors")
def test_a_task_that_fails_leaves_the_next_one_the_threads_own(call: Call, kind: _Kind) -> None:
    def fail() -> None:
        kind.here(_other)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        call(fail)
    assert call(kind.current) is _own


def test_a_hook_of_threading_that_a_thread_starts_with_is_for_tasks(
    call: Call, kind: _Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind.for_tasks(_own)
    _start_with(monkeypatch, lambda: kind.here(_own))
    assert call(kind.current) is _own
    kind.for_tasks(None)
    assert call(kind.current) is None


def test_a_hook_that_comes_while_the_worker_waits_is_the_threads_own(
    call: Call, kind: _Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = [_own, None, _other]

    def come(*_: object) -> None:
        # The worker calls this before it waits, if a task has made a hub there.
        kind.here(hooks[0])

    monkeypatch.setattr(_Worker, "_fix_hub_before_block", come)
    call(gevent.get_hub)
    for _ in range(2):
        assert call(kind.current) is _own
    hooks.pop(0)
    call(int)
    assert call(kind.current) is None
    hooks.pop(0)
    call(int)
    assert call(kind.current) is _other
    monkeypatch.setattr(_Worker, "_fix_hub_before_block", lambda *_: None)
    assert [call(kind.current) for _ in range(3)] == [_other] * 3


if sys.version_info >= (3, 12):

    @pytest.fixture
    def everywhere(kind: _Kind) -> Iterator[Callable[[Any], None]]:
        """Return what sets a hook in all threads; see that this thread has none after that."""
        set_everywhere = getattr(threading, f"set{kind.name}_all_threads")
        mine = kind.current()
        yield set_everywhere
        set_everywhere(None)
        kind.here(mine)

    def test_a_hook_is_set_in_all_threads_while_the_worker_waits(
        call: Call, kind: _Kind, everywhere: Callable[[Any], None]
    ) -> None:
        call(int)
        everywhere(_own)
        assert [call(kind.current) for _ in range(3)] == [_own] * 3
        call(lambda: kind.here(_other))
        assert call(kind.current) is _own
        everywhere(None)
        assert [call(kind.current) for _ in range(3)] == [None] * 3

    def test_a_hook_is_set_in_all_threads_while_a_task_runs(
        make_pool: MakePool, kind: _Kind, everywhere: Callable[[Any], None], gate: Gate
    ) -> None:
        pool = make_pool(1)

        def run() -> Any:
            gate()
            return kind.current()

        running = pool.spawn(run)
        gate.await_entered()
        everywhere(_own)
        gate.open()
        assert running.get() is _own
        assert [pool.apply(kind.current) for _ in range(3)] == [_own] * 3
        assert pool.map(lambda _: kind.current(), range(3)) == [_own] * 3
        everywhere(None)
        assert [pool.apply(kind.current) for _ in range(3)] == [None] * 3

    def test_a_hook_that_threading_does_not_know_is_the_threads_own_and_goes_as_it_came(
        call: Call, kind: _Kind, everywhere: Callable[[Any], None]
    ) -> None:
        call(int)
        set_everywhere = getattr(sys, f"_set{kind.name}allthreads")
        set_everywhere(_own)
        kind.here(None)
        assert [call(kind.current) for _ in range(3)] == [_own] * 3
        everywhere(None)
        assert [call(kind.current) for _ in range(3)] == [None] * 3


def test_a_debugger_that_refuses_to_be_cleared_stays(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    settrace = sys.settrace
    warnings: list[str] = []

    def refuse(hook: Any) -> None:
        # As pydevd, which looks at the file of its caller.
        name = sys._getframe(1).f_code.co_filename.lower().removesuffix(".py")
        of_gevents_pool = name.endswith("threadpool") and "gevent" in name
        if not of_gevents_pool:
            warnings.append(name)
        elif hook is None:
            return
        settrace(hook)

    monkeypatch.setattr(sys, "settrace", refuse)
    # A debugger that attaches now sets the hook of a thread that runs a task.
    call(lambda: settrace(_own))
    assert [call(sys.gettrace) for _ in range(4)] == [_own] * 4
    threading.settrace(_other)
    assert call(sys.gettrace) is _other
    threading.settrace(None)
    assert warnings == []


def test_an_initializer_sets_a_hook_for_all_tasks(kind: _Kind) -> None:
    with hubpool.ThreadPoolExecutor(1, initializer=kind.here, initargs=(_own,)) as executor:
        assert [executor.submit(kind.current).result() for _ in range(4)] == [_own] * 4
        executor.submit(kind.here, _other).result()
        assert executor.submit(kind.current).result() is _own


def test_a_profiler_written_in_c_goes_on_until_a_task_sets_another(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    profilers: list[cProfile.Profile] = []

    def begin() -> None:
        profiler = cProfile.Profile()
        profilers.append(profiler)
        profiler.enable()

    _start_with(monkeypatch, begin)
    expected = call(sys.getprofile)  # It has no hook where it uses `sys.monitoring`.
    assert expected in (*profilers, None)
    assert [call(sys.getprofile) for _ in range(3)] == [expected] * 3
    call(lambda: sys.setprofile(_other))
    # Python can not bring it back, and must not call it.
    assert [call(lambda: (sys.getprofile(), abs(-1))) for _ in range(3)] == [(None, 1)] * 3
    call(profilers[-1].disable)
