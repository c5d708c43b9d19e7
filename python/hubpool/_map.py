"""Maps: the hub's side of a batch.

A greenlet feeds the items to a native batch and lets workers claim them; the
reader, an iterator, takes the results. Both are told by messages, never by polling.
The greenlet does not refer to the reader, so that a reader that is dropped is gone at
once, and can end the greenlet. A few items that are there already are fed at once.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import gevent
from gevent.event import Event
from gevent.greenlet import Greenlet
from greenlet import GreenletExit, getcurrent, gettrace

from hubpool._check import class_name
from hubpool._hub import pass_by_hub
from hubpool._native import Batch
from hubpool._worker import Failure
from hubpool.exceptions import TaskCancelledError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from hubpool.threadpool import ThreadPool

_T = TypeVar("_T")

#: Advancing one of these runs no code of the program's, so nobody can tell how
#: far ahead it has been read.
_INERT = frozenset({list, tuple, range, str, bytes, bytearray})
_CHUNK = 2048
_HIGH_WATER = 4 * _CHUNK
_WIDEST_WINDOW = 1024
#: Seconds for which a feed keeps other greenlets waiting.
_TURN = 0.001


class _GivenUpExit(GreenletExit):
    """Thrown into the greenlet that feeds a map which has been given up. No reader gets it."""


class _Feed:
    """A batch, what feeds it, and what its messages bring about on the hub."""

    __slots__ = (
        "_account",
        "_given_up",
        "_greenlet",
        "_iterables",
        "_pool",
        "_post",
        "_room",
        "_there",
        "batch",
        "ending",
        "wake",
    )

    def __init__(
        self,
        pool: ThreadPool,
        func: Any,
        iterables: tuple[Iterable[Any], ...],
        ordered: bool,
        limit: int | None,
    ) -> None:
        self._pool = pool
        self._account = pool._account
        self.wake = pool._account.wake
        self._room = Event()
        self._there = Event()
        self._iterables: Any = _iterators(iterables)
        self._greenlet: Any = None
        self._given_up = False
        #: What the source raised, or ended the map before its time.
        self.ending: BaseException | None = None
        self._post = _Post()
        self.batch = Batch(
            pool._core, self.wake.native, (self._post, None, None, None), func,
            len(iterables) != 1, ordered, limit, pool._new_context(),
        )  # fmt: skip

    def start(self) -> None:
        """Feed all items: at once if nothing could keep the caller waiting, else in a greenlet."""
        source, inert, few = self._iterables
        self._iterables = None
        try:
            if few and not self.batch.limited:
                self.batch.feed_all(list(source))
                self.batch.exhaust()  # Nobody reads yet.
                self._attend()
            else:
                self._greenlet = Greenlet.spawn(self._run, source, inert)
        except BaseException:
            # What breaks it off leaves nothing in the pool, once a worker that has come has gone.
            self.drop()
            if self.batch.stirred:
                self._begin()
            raise

    def _run(self, source: Iterator[Any], inert: bool) -> None:
        try:
            self.feed(source, inert)
        except BaseException as error:
            if not isinstance(error, _GivenUpExit):
                self.ending = self.ending or error
            if isinstance(error, GreenletExit):
                self.give_up()
            raise
        finally:
            # The greenlet keeps an error whose traceback refers to this frame, and the error's
            # reader may keep that: neither keeps the source.
            self._greenlet = None
            del source
            # No items will follow.
            if self.batch.exhaust():
                self._there.set()
            del self

    def forsake(self) -> None:
        """In a forked child, feed no more: the items are the parent's."""
        self._given_up = True
        self._room.set()

    def _check_parent(self) -> None:
        if self.batch.inherited:
            raise TaskCancelledError("the map was begun in the parent process")

    def kill(self, *args: Any) -> None:
        """End the feeding, and the map. As :meth:`gevent.Greenlet.kill`."""
        self._end_greenlet(*args)
        # It may not have begun, or have read all already.
        self.give_up()

    def _end_greenlet(self, *args: Any) -> None:
        greenlet = self._greenlet
        if greenlet is not None:
            greenlet.kill(*args)
            if greenlet.ready():
                self._greenlet = None  # One that had not begun never runs.

    def share(self) -> None:
        """Let workers join that the batch could use."""
        self.batch.feed_all([])
        self._attend()

    def _attend(self) -> None:
        # Called after whatever can set the batch to work. The workers may have
        # come and gone already; their messages wait until the hub drains them.
        try:
            if self.batch.stirred:
                self._begin()
            try:
                self._pool.adjust()
            except BaseException:
                # No thread, and none can be started.
                self.drop()
                raise
        finally:
            del self  # As in feed().

    def _begin(self) -> None:
        self._post.feed = self
        self._pool._maps.add(self)
        self.batch.engage(self._account)
        if self.batch.at_rest():
            # The hub may have been told before the post knew of this object.
            self.wake.native.post(self.batch.message)

    def told(self) -> None:
        """Look after everything that a message can mean."""
        self._room.set()
        self._there.set()
        # A signal handler that comes between any two instructions may let the hub run,
        # and this map go on: what was found before has to be looked at again. It may also raise,
        # or the stack be too deep: then this is called again.
        if self.batch.disengage():
            # Errors that have been reported since come before the end.
            self.wake.defer(self._end)
        if not self.batch.engaged:
            # The batch refers to the post; the post lets go of this object.
            self._pool._maps.discard(self)
            self._post.feed = None
            if self.batch.engaged:
                self._pool._maps.add(self)
                self._post.feed = self
                self.wake.native.post(self.batch.message)

    def _end(self) -> None:
        self.batch.end(self._account)

    def feed(self, source: Iterator[Any], inert: bool) -> None:
        """Advance the source to its end, a bounded way ahead of the workers."""
        batch = self.batch
        turn = time.monotonic() + _TURN
        item: Any = None
        try:
            if inert:
                while not self._given_up:
                    room = batch.room(_CHUNK)
                    if not room:
                        # A reader that waits makes some, for as long as it waits.
                        self._await_room(_CHUNK)
                        continue
                    item = list(islice(source, room))
                    if not item:
                        return
                    pending = batch.feed_all(item)
                    self._attend()
                    if pending > _HIGH_WATER:
                        self._await_room(_CHUNK)
                    turn = _take_turns(turn)
                return
            window = self._pool.maxsize + 1
            for item in source:
                if not batch.room(1):
                    self._await_room(window)
                if self._given_up:
                    return
                pending = batch.feed(item)
                self._attend()
                if pending >= window:
                    start = time.monotonic()
                    self._await_room(window // 2)
                    # Items that go fast are worth reading further ahead.
                    if time.monotonic() - start < 0.001:
                        window = min(2 * window, max(window, _WIDEST_WINDOW))
                turn = _take_turns(turn)
                if self._given_up:
                    return  # Before it reads one more.
        finally:
            # A traceback refers to this frame, which must keep nothing of the map.
            del self, source, batch, item

    def _await_room(self, low: int) -> None:
        try:
            self._room.clear()
            while not self._given_up and self.batch.await_room(low):
                self._room.wait()
                self._room.clear()
            if self.batch.inherited:
                self.forsake()
        finally:
            del self  # As in feed().

    def give_up(self, error: BaseException | None = None) -> None:
        """Take back what no worker has begun. None will follow; then the reader gets the error."""
        self.ending = self.ending or error
        self._given_up = True
        self._room.set()
        if self.batch.cancel():
            self._there.set()
        # The source may wait for what never comes. A dead hub cannot end its greenlets.
        if self._greenlet is not getcurrent() and self._account.hub.loop is not None:
            self._end_greenlet(_GivenUpExit, False)

    def drop(self, error: BaseException | None = None) -> None:
        """Give up, and take back also the tickets that no worker has taken."""
        self.give_up(error)
        self.batch.recall()
        self._there.set()

    def take(self, everything: bool) -> list[Any] | None:
        """Return results; an empty list at the end, ``None`` after a wait for more."""
        self._there.clear()
        results = self.batch.take(everything)
        self._attend()
        if results is None:
            self._check_parent()
            self._room.set()  # With a limit, who waits makes room.
            self.wake.stand_in()
            self._there.wait()
        elif results:
            self._room.set()
            self._there.set()  # Other readers may find some, too.
        return results

    def take_whole(self) -> list[Any] | None:
        """Wait for all results; ``None`` if one of them is a failure."""
        waited = False
        while True:
            self._there.clear()
            results = self.batch.take_whole()
            if results is not None or self.batch.failed:
                if not waited and gettrace() is not None:
                    pass_by_hub()
                return results
            self._check_parent()
            if not self.wake.stand_in():
                self._there.wait()
            waited = True

    def take_to_failure(self) -> tuple[list[Any], Failure | None]:
        """Wait for results until one of them is a failure."""
        whole: list[Any] = []
        while (results := self.take(everything=True)) != []:
            for result in results or ():
                if type(result) is Failure:
                    return whole, result
                whole.append(result)
        return whole, None

    def describe(self) -> str:
        """Say what is mapped, unless that is over, and by which pool."""
        func = self.batch.func
        what = "ended" if func is None else f"func={func!r}"
        return f"{what} pool={self._pool!r}"

    def end(self) -> None:
        """Raise what the iterable raised, or ended the map before its time, once."""
        error, self.ending = self.ending, None
        try:
            if error is not None:
                raise error
        finally:
            # The error's traceback refers to this frame.
            del error


def _take_turns(turn: float) -> float:
    """Let other greenlets run if it is their turn; return when it is so again.

    Workers that are as fast as the source never make its feed wait.
    """
    now = time.monotonic()
    if now < turn:
        return turn
    gevent.sleep(0)
    return now + _TURN


class _Post:
    """The target of a batch's messages, which knows the feed while it works."""

    __slots__ = ("feed",)

    anywhere = True

    def __init__(self) -> None:
        self.feed: _Feed | None = None

    def again(self) -> bool:
        """Whether it must be delivered again, if something was raised meanwhile."""
        return self.feed is not None

    def deliver(self, _result: None, _value: None, _error: None) -> None:
        feed = self.feed
        if feed is not None:
            feed.told()


def _iterators(iterables: tuple[Any, ...]) -> tuple[Iterator[Any], bool, bool]:
    """Return an iterator over a map's items; whether it runs no code of the program's; if few."""
    if len(iterables) == 1:
        iterable = iterables[0]
        inert = type(iterable) in _INERT
        return iter(iterable), inert, inert and not iterable[_CHUNK : _CHUNK + 1]
    inert = all(type(iterable) in _INERT for iterable in iterables)
    return zip(*iterables, strict=False), inert, False


class IMapUnordered(Generic[_T]):
    """An iterator over the results of a map as they come.

    :meth:`hubpool.ThreadPool.imap_unordered` returns it.

    Reading waits cooperatively, and raises what the function raised for that item. An iterator
    that has been read from and is dropped, or is killed, withdraws what no worker has begun;
    one that nobody reads is run to its end. For greenlets of the pool's hub.

    >>> import hubpool
    >>> pool = hubpool.ThreadPool(2)
    >>> results = pool.imap_unordered(abs, [-1, -2, -3])
    >>> sorted(results)
    [1, 2, 3]

    Source: gevent's page on :mod:`gevent.pool`, whose iterators are greenlets.
    """

    __slots__ = ("__weakref__", "_begun", "_everything", "_feed", "_ready")

    _ordered = False

    def __init__(
        self, pool: ThreadPool, func: Any, iterables: tuple[Iterable[Any], ...], limit: int | None
    ) -> None:
        #: Whether anybody has read.
        self._begun = False
        self._everything = not limit
        self._ready: deque[Any] = deque()
        self._feed = _Feed(pool, func, iterables, self._ordered, limit or None)
        self._feed.start()

    def __del__(self, _is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        # A reader that has begun and drops the iterator wants no more of the map; the function of a
        # map that nobody reads is called. An iterator whose iterables were refused is not whole.
        # At the end of the interpreter greenlets cannot be ended any more.
        if getattr(self, "_begun", False) and not _is_finalizing():
            feed = self._feed
            if feed.wake.is_here():
                feed.give_up()
            else:
                feed.wake.call(feed.give_up)

    def kill(
        self,
        exception: type[BaseException] | BaseException = GreenletExit,
        block: bool = True,
        timeout: float | None = None,
    ) -> None:
        """End the map: nothing is read or begun any more. As :meth:`gevent.Greenlet.kill`.

        Results that are there already still come to the reader.
        """
        self._feed.kill(exception, block, timeout)

    def __repr__(self) -> str:
        return f"<{class_name(self)} at 0x{id(self):x} {self._feed.describe()}>"

    def __iter__(self) -> IMapUnordered[_T]:
        return self

    def __next__(self) -> _T:
        ready = self._ready
        if not ready:
            self._fetch()
        value: Any = ready.popleft()
        if type(value) is Failure:
            # A kept error, whose traceback refers to this frame, does not keep the iterator.
            del self, ready
            value.reraise()
        return value  # type: ignore[no-any-return] # no type of its own

    def _fetch(self) -> None:
        """Wait for results, unless another greenlet that reads fetches some first."""
        self._begun = True
        ready = self._ready
        waited = False
        while not ready:
            results = self._feed.take(self._everything)
            if results is None:
                waited = True
                continue
            ready.extend(results)
            if not waited and gettrace() is not None:
                pass_by_hub()
            if not results:
                self._feed.end()
                raise StopIteration

    next = __next__


class IMap(IMapUnordered[_T]):
    """An iterator over the results of a map in the order of its items.

    :meth:`hubpool.ThreadPool.imap` returns it. It is an :class:`IMapUnordered` in all else.

    >>> import hubpool
    >>> pool = hubpool.ThreadPool(2)
    >>> results = pool.imap(abs, [-1, -2, -3])
    >>> next(results), list(results)
    (1, [2, 3])
    """

    __slots__ = ()

    _ordered = True


def map_whole(pool: ThreadPool, func: Any, iterable: Iterable[Any]) -> list[Any]:
    """Map, and return all results; raise what the first item in order to fail raised."""
    feed = _Feed(pool, func, (iterable,), ordered=True, limit=None)
    feed.start()
    whole: Any = None
    failure = None
    try:
        try:
            whole = feed.take_whole()
            if whole is None:
                # The first failure ends the wait; the other items still run.
                whole, failure = feed.take_to_failure()
        except BaseException:
            feed.give_up()
            raise
        if failure is not None:
            failure.reraise()
        feed.end()
        return whole  # type: ignore[no-any-return] # it is a list by now
    finally:
        # A kept error, whose traceback refers to this frame, does not keep the map.
        del feed, func, iterable, whole, failure
