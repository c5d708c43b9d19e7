"""Maps: the hub's side of a batch.

A greenlet feeds the items to a native batch and lets workers claim them; the
reader takes the results. Both are told by messages, never by polling.
"""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING, Any

from gevent.event import Event
from gevent.greenlet import Greenlet
from greenlet import GreenletExit

from hubpool._native import Batch
from hubpool._worker import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from hubpool.threadpool import ThreadPool

#: Advancing one of these runs no code of the program's, so nobody can tell how
#: far ahead it has been read.
_INERT = frozenset({list, tuple, range, str, bytes, bytearray})
_CHUNK = 2048
_HIGH_WATER = 4 * _CHUNK
_WIDEST_WINDOW = 1024


class _Feed:
    """A batch, and what its messages bring about on the hub."""

    __slots__ = ("__weakref__", "_account", "_pool", "_room", "_there", "_working", "batch")

    def __init__(
        self, pool: ThreadPool, func: Any, zipped: bool, ordered: bool, limit: int | None
    ) -> None:
        self._pool = pool
        self._account = pool._account
        self._room = Event()
        self._there = Event()
        self._working = False
        post = _Post(self)
        self.batch = Batch(
            pool._core, self._account.wake.native, (post, None, None, None), func, zipped,
            ordered, limit,
        )  # fmt: skip
        post.feed = None

    def share(self) -> None:
        """Let workers join that the batch could use."""
        self.batch.feed_all([])
        self._attend()

    def _attend(self) -> None:
        # Called after whatever can set the batch to work. The workers may have
        # come and gone already; their messages wait until the hub drains them.
        if self.batch.stirred() and not self._working:
            self._working = True
            self.batch_post().feed = self
            self._pool._maps.add(self)
            self._account.begin()
        if len(self._pool._worker_greenlets) < self._pool._maxsize:
            self._pool.adjust()

    def batch_post(self) -> _Post:
        """Return the target of the batch's messages."""
        post: _Post = self.batch.message[0]
        return post

    def told(self) -> None:
        """Look after everything that a message can mean."""
        self._room.set()
        self._there.set()
        if self._working and self.batch.at_rest():
            self._working = False
            # The batch refers to the post; the post lets go of this object.
            self.batch_post().feed = None
            self._pool._maps.discard(self)
            self._account.end()

    def feed(self, source: Iterator[Any], inert: bool) -> None:
        """Advance the source to its end, a bounded way ahead of the workers."""
        if inert:
            while chunk := list(islice(source, _CHUNK)):
                pending = self.batch.feed_all(chunk)
                self._attend()
                if pending > _HIGH_WATER:
                    self._await_room(_CHUNK)
            return
        window = self._pool._maxsize + 1
        feed = self.batch.feed
        for item in source:
            pending = feed(item)
            self._attend()
            if pending >= window:
                start = time.monotonic()
                self._await_room(window // 2)
                # Items that go fast are worth reading further ahead.
                if time.monotonic() - start < 0.001:
                    window = min(2 * window, max(window, _WIDEST_WINDOW))

    def _await_room(self, low: int) -> None:
        self._room.clear()
        while self.batch.await_room(low):
            self._room.wait()
            self._room.clear()

    def exhaust(self) -> None:
        """Say that all items have been fed."""
        if self.batch.exhaust():
            self._there.set()

    def withdraw(self) -> None:
        """Take back the items that no worker has begun; none will follow."""
        if self.batch.cancel():
            self._there.set()

    def take(self, everything: bool) -> list[Any]:
        """Wait for results; an empty list means that all have been taken."""
        while True:
            self._there.clear()
            results = self.batch.take(everything)
            self._attend()
            if results is not None:
                return results
            self._there.wait()

    def take_whole(self) -> list[Any]:
        """Wait for all results."""
        while True:
            self._there.clear()
            results = self.batch.take_whole()
            if results is not None:
                return results
            self._there.wait()


class _Post:
    """The target of a batch's messages, which knows the feed while it works."""

    __slots__ = ("feed",)

    def __init__(self, feed: _Feed | None) -> None:
        self.feed = feed

    def deliver(self, _result: None, _value: None, _error: None) -> None:
        feed = self.feed
        if feed is not None:
            feed.told()


def _source(iterables: tuple[Iterable[Any], ...]) -> tuple[Iterator[Any], bool]:
    """Return the iterator over a map's items, and whether it runs no code of the program's."""
    inert = all(type(iterable) in _INERT for iterable in iterables)
    if len(iterables) == 1:
        return iter(iterables[0]), inert
    return zip(*iterables, strict=False), inert


def run_map(pool: ThreadPool, func: Callable[[Any], Any], iterable: Iterable[Any]) -> list[Any]:
    """Do what ``map`` promises, in the current greenlet."""
    feed = _Feed(pool, func, zipped=False, ordered=True, limit=None)
    try:
        feed.feed(*_source((iterable,)))
    finally:
        feed.exhaust()
    results = feed.take_whole()
    if feed.batch.failed:
        for result in results:
            if type(result) is Failure:
                result.reraise()
    return results


class IMapUnordered(Greenlet):  # type: ignore[type-arg] # no generic at run time
    """An iterator over a map's results as they come, and the greenlet that feeds it."""

    _ordered = False

    def __init__(
        self, pool: ThreadPool, func: Any, iterables: tuple[Iterable[Any], ...], limit: int | None
    ) -> None:
        Greenlet.__init__(self)
        # It comes first: it is there even if the iterables are refused.
        self._feed = _Feed(pool, func, len(iterables) != 1, self._ordered, limit or None)
        self._source: Any = _source(iterables)
        self._everything = not limit
        self._error: BaseException | None = None
        self._ready: Iterator[Any] = iter(())

    def __del__(self) -> None:
        self._feed.withdraw()

    def _run(self) -> None:
        try:
            self._feed.feed(*self._source)
        except BaseException as error:
            self._error = error
            if isinstance(error, GreenletExit):
                self._feed.withdraw()
            raise
        finally:
            self._source = None
            self._feed.exhaust()

    def __iter__(self) -> IMapUnordered:
        return self

    def __next__(self) -> Any:
        for value in self._ready:
            if type(value) is Failure:
                value.reraise()
            return value
        results = self._feed.take(self._everything)
        if not results:
            error, self._error = self._error, None
            if error is not None:
                raise error
            raise StopIteration
        self._ready = iter(results)
        return self.__next__()


class IMap(IMapUnordered):
    """As `IMapUnordered`, with the results in the order of the items."""

    _ordered = True
