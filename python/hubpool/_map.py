"""Maps: the hub's side of a batch.

A greenlet feeds the items to a native batch and lets workers claim them; the
reader takes the results. Both are told by messages, never by polling.
"""

from __future__ import annotations

import time
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any

from gevent.event import Event
from gevent.greenlet import Greenlet
from greenlet import GreenletExit

from hubpool._native import Batch
from hubpool._worker import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hubpool.threadpool import ThreadPool

#: Advancing one of these runs no code of the program's, so nobody can tell how
#: far ahead it has been read.
_INERT = frozenset({list, tuple, range, str, bytes, bytearray})
_CHUNK = 2048
_HIGH_WATER = 4 * _CHUNK
_WIDEST_WINDOW = 1024


class _Feed:
    """A batch, and what its messages bring about on the hub."""

    __slots__ = (
        "__weakref__",
        "_account",
        "_pool",
        "_room",
        "_there",
        "_working",
        "batch",
        "dropped",
    )

    def __init__(
        self, pool: ThreadPool, func: Any, zipped: bool, ordered: bool, limit: int | None
    ) -> None:
        self._pool = pool
        self._account = pool._account
        self._room = Event()
        self._there = Event()
        self._working = False
        #: What ends the map before its time.
        self.dropped: BaseException | None = None
        post = _Post(self)
        self.batch = Batch(
            pool._core, self._account.wake.native, (post, None, None, None), func, zipped,
            ordered, limit, pool._new_context(),
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
        try:
            self._pool.adjust()
        except BaseException:
            # No thread, and none can be started.
            self.withdraw()
            self.batch.recall()
            raise

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
            # Errors that have been reported since come before the end.
            self._account.wake.drain()
            self._account.end()

    def feed(self, source: Iterator[Any], inert: bool) -> None:
        """Advance the source to its end, a bounded way ahead of the workers."""
        batch = self.batch
        if inert:
            while chunk := list(islice(source, batch.room(_CHUNK))):
                pending = batch.feed_all(chunk)
                self._attend()
                if pending > _HIGH_WATER or not batch.room(1):
                    self._await_room(_CHUNK)
                if self.dropped is not None:
                    return
            return
        window = self._pool._maxsize + 1
        for item in source:
            if not batch.room(1):
                self._await_room(window)
            if self.dropped is not None:
                return
            pending = batch.feed(item)
            self._attend()
            if pending >= window:
                start = time.monotonic()
                self._await_room(window // 2)
                # Items that go fast are worth reading further ahead.
                if time.monotonic() - start < 0.001:
                    window = min(2 * window, max(window, _WIDEST_WINDOW))

    def _await_room(self, low: int) -> None:
        self._room.clear()
        while self.dropped is None and self.batch.await_room(low):
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

    def drop(self, error: BaseException) -> None:
        """Take back what no worker has begun; the reader gets the error at the end."""
        self.dropped = error
        self.withdraw()
        self.batch.recall()
        self._room.set()
        self._there.set()

    def take(self, everything: bool) -> list[Any] | None:
        """Return results; an empty list at the end, ``None`` after a wait for more."""
        self._there.clear()
        results = self.batch.take(everything)
        self._attend()
        if results is None:
            self._room.set()  # With a limit, who waits makes room.
            self._there.wait()
        elif results:
            self._room.set()
            self._there.set()  # Other readers may find some, too.
        return results

    def take_whole(self) -> list[Any] | None:
        """Wait for all results; ``None`` if one of them is a failure."""
        while True:
            self._there.clear()
            results = self.batch.take_whole()
            if results is not None or self.batch.failed:
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


class IMapUnordered(Greenlet):  # type: ignore[type-arg] # no generic at run time
    """An iterator over a map's results as they come, and the greenlet that feeds it."""

    _ordered = False
    #: Whether anybody has read.
    _begun = False

    def __init__(
        self, pool: ThreadPool, func: Any, iterables: tuple[Iterable[Any], ...], limit: int | None
    ) -> None:
        Greenlet.__init__(self)
        # It comes first: it is there even if the iterables are refused.
        self._feed = _Feed(pool, func, len(iterables) != 1, self._ordered, limit or None)
        self._source: Any = _source(iterables)
        self._everything = not limit
        self._error: BaseException | None = None
        self._ready: deque[Any] = deque()

    def __del__(self) -> None:
        # Who has begun to read and drops it wants no more of it. Who never
        # reads wants the function called.
        if self._begun:
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
        ready = self._ready
        if not ready:
            self._fetch()
        value = ready.popleft()
        if type(value) is Failure:
            value.reraise()
        return value

    def _fetch(self) -> None:
        """Wait for results, unless another greenlet that reads fetches some first."""
        self._begun = True
        ready = self._ready
        while not ready:
            results = self._feed.take(self._everything)
            if results:
                ready.extend(results)
            elif results is not None:
                self._end()
                raise StopIteration

    next = __next__

    def _end(self) -> None:
        """Raise what the iterable raised, or ended the map before its time, once."""
        error = self._error or self._feed.dropped
        self._error = self._feed.dropped = None
        if error is not None:
            raise error


class IMap(IMapUnordered):
    """As `IMapUnordered`, with the results in the order of the items."""

    _ordered = True

    @classmethod
    def whole(cls, pool: ThreadPool, func: Any, iterable: Iterable[Any]) -> list[Any]:
        """Map, and return all results; raise what the first item in order to fail raised."""
        mapping = cls(pool, func, (iterable,), None)
        if type(iterable) in _INERT and len(iterable) <= _CHUNK:  # type: ignore[arg-type]
            # There is nothing that could wait, so it needs no greenlet.
            mapping._run()
        else:
            mapping.start()
        return mapping._whole()

    def _whole(self) -> list[Any]:
        whole = self._feed.take_whole()
        if whole is None:
            # The first failure ends the wait; the other items are run all the same.
            whole = []
            while (results := self._feed.take(everything=True)) != []:
                for result in results or ():
                    if type(result) is Failure:
                        result.reraise()
                whole += results or ()
        self._end()
        return whole
