"""What has ended keeps nothing of the program's, without the collector's help."""

from __future__ import annotations

import contextlib
import gc
import threading
import weakref
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gates import LIMIT, settle, until

import hubpool
from hubpool import from_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from conftest import MakePool
    from gates import Gate

METHODS = pytest.mark.parametrize("method", ["map", "imap", "imap_unordered"])
IMAPS = pytest.mark.parametrize("method", ["imap", "imap_unordered"])
FAILS = pytest.mark.parametrize("fails", [False, True])


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the hub keep no error that is reported to it, nor print it."""
    monkeypatch.setattr(gevent.get_hub(), "handle_error", lambda *_: None)


class Thing:
    """An item, or a result."""


class ThingError(Exception):
    """What a function or a source raises."""


class Watch:
    """A map's parts: each is watched from when it is made, and none is kept."""

    def __init__(self, gate: Gate | None = None, *, fails: bool = False) -> None:
        self._seen: list[tuple[str, weakref.ref[Any]]] = []
        self._gate = gate
        self._fails = fails
        #: Whether the source has been closed.
        self.closed = False

    def see(self, thing: Any) -> Any:
        """Watch a thing, and return it."""
        self._seen.append((type(thing).__name__, weakref.ref(thing)))
        return thing

    def left(self) -> list[str]:
        """Name what is still there."""
        return sorted(name for name, ref in self._seen if ref() is not None)

    def function(self) -> Callable[[Any], Any]:
        """Return a function that calls the gate, then fails or makes a result."""

        def work(_item: Any) -> Any:
            if self._gate is not None:
                self._gate()
            if self._fails:
                raise self.see(ThingError())
            return self.see(Thing())

        return self.see(work)  # type: ignore[no-any-return] # it is what was given

    def source(self, count: int = 30, end: Callable[[], object] = int) -> Iterator[Any]:
        """Return a generator of items, which ends as it is told."""

        def items() -> Iterator[Any]:
            try:
                for _ in range(count):
                    yield self.see(Thing())
                end()
            finally:
                self.closed = True

        return self.see(items())  # type: ignore[no-any-return] # it is what was given

    def fail(self) -> None:
        """Raise an error that is watched."""
        raise self.see(ThingError())

    def await_nothing(self, pool: hubpool.ThreadPool) -> None:
        """Wait until the pool is empty, and see that nothing is left."""
        assert pool.join(LIMIT)
        until(lambda: not self.left())


def _read(results: Iterable[Any], most: int = 1000) -> None:
    """Read results, and drop them and their errors."""
    iterator = iter(results)
    for _ in range(most):
        try:
            next(iterator)
        except StopIteration:
            return
        except ThingError:
            pass


def _map(pool: hubpool.ThreadPool, method: str, watch: Watch, source: Any) -> None:
    """Map to the end, and drop the results or the error."""
    try:
        if method == "map":
            pool.map(watch.function(), source)
        else:
            _read(getattr(pool, method)(watch.function(), source))
    except (ThingError, hubpool.TaskCancelledError, gevent.Timeout):
        pass


@METHODS
@FAILS
@pytest.mark.usefixtures("silence")
def test_a_map_that_has_ended(pool: hubpool.ThreadPool, method: str, fails: bool) -> None:
    watch = Watch(fails=fails)
    _map(pool, method, watch, watch.source())
    watch.await_nothing(pool)
    assert watch.closed


@METHODS
@pytest.mark.usefixtures("silence")
def test_a_map_whose_source_raises(pool: hubpool.ThreadPool, method: str) -> None:
    watch = Watch()
    _map(pool, method, watch, watch.source(5, watch.fail))
    watch.await_nothing(pool)


@IMAPS
@FAILS
@pytest.mark.usefixtures("silence")
def test_an_iterator_that_is_kept_after_its_end(
    pool: hubpool.ThreadPool, method: str, fails: bool
) -> None:
    watch = Watch(fails=fails)
    results = getattr(pool, method)(watch.function(), watch.source())
    _read(results)
    watch.await_nothing(pool)
    assert list(results) == []


@IMAPS
@pytest.mark.usefixtures("silence")
def test_an_error_that_is_kept_keeps_no_iterator(pool: hubpool.ThreadPool, method: str) -> None:
    kept: list[BaseException] = []
    watch = Watch(fails=True)
    results = [watch.see(getattr(pool, method)(watch.function(), watch.source()))]
    try:
        next(results.pop())
    except ThingError as error:
        kept.append(error)
    assert pool.join(LIMIT)
    # What the frame in which the error has been raised refers to, on some versions its function.
    until(lambda: [left for left in watch.left() if left != "function"] == ["Thing", "ThingError"])
    kept.clear()
    watch.await_nothing(pool)


@IMAPS
@FAILS
@pytest.mark.usefixtures("silence")
@pytest.mark.parametrize("when", ["before", "amid", "reading", "after"])
def test_an_iterator_that_is_killed_closes_its_source_at_once(
    pool: hubpool.ThreadPool, gate: Gate, method: str, fails: bool, when: str
) -> None:
    watch = Watch(gate, fails=fails)
    results = getattr(pool, method)(watch.function(), watch.source(4 if when == "after" else 30))
    if when in {"amid", "reading"}:
        gate.await_entered(2)
    if when != "amid":
        gate.open()
    if when == "reading":
        _read(results, 2)
    if when == "after":
        until(lambda: watch.closed)
        pool.join()
    results.kill()
    # A generator that has not begun has nothing to close.
    assert watch.closed or when == "before"
    assert "generator" not in watch.left()
    gate.open()
    assert pool.join(LIMIT)
    until(lambda: fails or "function" not in watch.left())
    assert fails or set(watch.left()) <= {"Thing"}  # The results that can still be read.
    del results
    watch.await_nothing(pool)


@IMAPS
@pytest.mark.parametrize("read", [0, 3])
@FAILS
@pytest.mark.usefixtures("silence")
def test_an_iterator_that_is_dropped(
    pool: hubpool.ThreadPool, method: str, read: int, fails: bool
) -> None:
    watch = Watch(fails=fails)
    results = getattr(pool, method)(watch.function(), watch.source())
    _read(results, read)
    del results
    until(lambda: watch.closed)
    watch.await_nothing(pool)


@IMAPS
def test_an_iterator_that_is_dropped_half_read_ends_a_source_that_waits(
    pool: hubpool.ThreadPool, method: str
) -> None:
    watch = Watch()
    for_ever = gevent.event.Event()
    results = getattr(pool, method)(watch.function(), watch.source(3, for_ever.wait))
    _read(results, 3)
    assert not watch.closed
    del results
    until(lambda: watch.closed)
    watch.await_nothing(pool)


@IMAPS
def test_no_reader_sees_how_a_source_that_waits_was_ended(
    pool: hubpool.ThreadPool, method: str
) -> None:
    watch = Watch()
    for_ever = gevent.event.Event()
    results = getattr(pool, method)(watch.function(), watch.source(3, for_ever.wait))
    _read(results, 3)
    results._feed.drop()  # As where no thread can be started.
    assert list(results) == []
    until(lambda: watch.closed)
    assert list(results) == []


@METHODS
@pytest.mark.parametrize("waits", [False, True])
def test_a_map_whose_wait_is_broken_off(
    pool: hubpool.ThreadPool, gate: Gate, method: str, waits: bool
) -> None:
    watch = Watch(gate)
    for_ever = gevent.event.Event()
    source = watch.source(2 if waits else 30, for_ever.wait)
    reader = gevent.spawn(_map, pool, method, watch, source)
    del source
    gate.await_entered(2)
    reader.kill(gevent.Timeout(None))
    until(lambda: watch.closed)
    gate.open()
    watch.await_nothing(pool)


@METHODS
@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.usefixtures("silence")
def test_a_map_of_a_pool_that_is_killed(
    pool: hubpool.ThreadPool, gate: Gate, method: str, waits: bool
) -> None:
    watch = Watch(gate)
    for_ever = gevent.event.Event()
    source = watch.source(2 if waits else 30, for_ever.wait)
    reader = gevent.spawn(_map, pool, method, watch, source)
    gate.await_entered(2)
    del source
    killer = gevent.spawn(pool.kill, drop_queued=True)
    settle()
    gate.open()
    gevent.joinall([reader, killer], raise_error=True)
    assert watch.closed
    watch.await_nothing(pool)


@IMAPS
def test_an_iterator_whose_hub_is_destroyed(method: str) -> None:
    watch = Watch()

    def use() -> None:
        pool = hubpool.ThreadPool(1)
        results = getattr(pool, method)(watch.function(), watch.source(100))
        _read(results)
        pool.kill()
        gevent.get_hub().destroy(destroy_loop=True)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join(LIMIT)
    until(lambda: not watch.left())


POLICIES = pytest.mark.parametrize("report_errors", ["always", "unretrieved", "never"])


@POLICIES
@pytest.mark.parametrize("how", ["apply", "get", "wait", "exc_info", "exception", "unread"])
@pytest.mark.usefixtures("silence")
def test_a_task_that_has_failed(make_pool: MakePool, report_errors: Any, how: str) -> None:
    pool = make_pool(1, report_errors=report_errors)
    watch = Watch()

    def ask() -> None:
        try:
            if how == "apply":
                pool.apply(watch.fail)
            elif how == "get":
                watch.see(pool.spawn(watch.fail)).get()
            elif how == "wait":
                watch.see(pool.spawn(watch.fail)).wait()
            else:
                # A caller that keeps a result, and asks it for its traceback, is in that itself.
                results = [watch.see(pool.spawn(watch.fail))]
                pool.join()
                if how != "unread":
                    getattr(results.pop(), how)
        except ThingError:
            pass

    ask()
    watch.await_nothing(pool)


@pytest.mark.parametrize("kind", ["submit", "submit_threadsafe"])
@pytest.mark.parametrize("how", ["result", "exception", "get", "wait", "unread", "callback"])
def test_a_future_that_has_failed(
    pool: hubpool.ThreadPool, executor: hubpool.ThreadPoolExecutor, kind: str, how: str
) -> None:
    watch = Watch()
    submit = executor.submit if kind == "submit" else pool.submit_threadsafe

    def ask() -> None:
        futures: list[Any] = [watch.see(submit(watch.fail))]
        if how == "callback":
            futures[0].add_done_callback(lambda _: None)
        if how in {"unread", "callback"}:
            gevent.wait(futures)
            return
        with contextlib.suppress(ThingError):
            getattr(futures.pop(), how)()

    ask()
    watch.await_nothing(pool)


@FAILS
def test_an_executors_map(executor: hubpool.ThreadPoolExecutor, fails: bool) -> None:
    for settings in ({}, {"buffersize": 2}):
        for read in (1, 1000):
            watch = Watch(fails=fails)
            _read(executor.map(watch.function(), watch.source(), **settings), read)
            until(lambda watch=watch: watch.closed and not watch.left())  # type: ignore[misc] # of this turn


@pytest.mark.usefixtures("silence")
def test_an_error_that_a_task_gets_from_its_hub(
    pool: hubpool.ThreadPool,
) -> None:
    watch = Watch()

    def ask() -> None:
        with contextlib.suppress(ThingError):
            pool.apply(from_thread.run, (watch.fail,))

    ask()
    watch.await_nothing(pool)
