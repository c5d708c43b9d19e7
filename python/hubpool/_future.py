"""The executor's future: the standard library's, told where it is waited for."""

from __future__ import annotations

import concurrent.futures
import threading
from concurrent.futures import BrokenExecutor, CancelledError, InvalidStateError
from typing import TYPE_CHECKING, Any, TypeVar

from gevent.hub import Waiter, get_hub, sleep
from gevent.timeout import Timeout
from greenlet import gettrace

from hubpool import _fork, _gevent
from hubpool._callback import CallbackLink, call_callback, hub_for_callback
from hubpool._check import check_seconds
from hubpool._cpython import (
    CANCELLED,
    CANCELLED_AND_NOTIFIED,
    FINISHED,
    LOGGER,
    PENDING,
    RUNNING,
)
from hubpool._hub import may_wait_here, pass_by_hub
from hubpool._link import HubLink, Link, Notice, WaitLink
from hubpool._native import take_work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gevent.event import AsyncResult

    from hubpool._hub import Hold
    from hubpool._native import Worker

_T = TypeVar("_T")

_new_rlock = _gevent.new_rlock

_NOTIFIED = frozenset({CANCELLED_AND_NOTIFIED, FINISHED})
_DONE = _NOTIFIED | {CANCELLED}


class _Waiters:
    """The list to which :mod:`concurrent.futures` adds who waits for a future.

    With patched threads a waiter holds locks of gevent's, so it is told on its hub.
    """

    __slots__ = ("_future",)

    def __init__(self, future: Future[Any]) -> None:
        self._future = future

    def append(self, waiter: Any) -> None:
        """Add who waits."""
        hub = get_hub() if _gevent.is_threading_patched() else None
        self._future._link(hub, Notice(waiter), self._future, unless=_NOTIFIED)

    def remove(self, waiter: Any) -> None:
        """Take that back; no error if the waiter has been told already."""
        self._future.unlink(Notice(waiter))


class Future(concurrent.futures.Future[_T]):
    """The future of a task of a :class:`hubpool.ThreadPoolExecutor`.

    It is a :class:`concurrent.futures.Future`, with all that its documentation
    says: any thread may use it. Waiting lets other greenlets run where the thread has a hub, and
    blocks the thread where it has none.

    Beside that it has what gevent's waiting functions need, so that
    :func:`gevent.wait` and :func:`gevent.iwait` take it: :meth:`rawlink`,
    :meth:`unlink`, :meth:`ready`, :meth:`get`, :meth:`wait`.

    >>> import gevent
    >>> from hubpool import ThreadPoolExecutor
    >>> with ThreadPoolExecutor(1) as executor:
    ...     future = executor.submit(pow, 2, 5)
    ...     [done] = gevent.wait([future])
    ...     done is future, future.result()
    (True, 32)
    """

    #: What keeps loops from ending until the task has ended.
    hold: Hold = None
    #: Callbacks that hubs call, in their order.
    _callback_links: list[CallbackLink] | None = None
    #: Made when it is asked for.
    _own_condition: threading.Condition | None = None

    def __init__(self, work: Any = None) -> None:
        #: Guards the state. It is native whatever has been patched, and held for a
        #: few instructions; a finalizer or signal handler may take it again.
        self._lock = _new_rlock()
        self._state = PENDING
        self._result: Any = None
        self._exception: Any = None
        #: Who is told when it is done, in this order. Most futures need none.
        self._links: dict[Link, None] | None = None
        self._done_callbacks: Any = ()
        #: An executor's function and its arguments, until `take_work` gives them to one caller.
        self._work = work
        #: Where a task was submitted, since a forked child does not run it.
        self._process = None if work is None else _fork.process

    if not TYPE_CHECKING:  # To a type checker they are the standard library's attributes.

        @property
        def _condition(self) -> threading.Condition:
            # What concurrent.futures locks a future with. Nobody waits for it.
            if self._own_condition is None:
                with self._guard():
                    if self._own_condition is None:
                        self._own_condition = threading.Condition(self._lock)
            return self._own_condition

        @property
        def _waiters(self) -> _Waiters:
            return _Waiters(self)

    def done(self) -> bool:
        """Whether the task has ended or been cancelled."""
        return self._state in _DONE

    ready = done

    def cancel(self) -> bool:
        """Withdraw the task if no worker has begun it. Return whether it is cancelled.

        Its function and arguments are dropped at once.
        """
        with self._guard():
            if self._state in {RUNNING, FINISHED}:
                return False
            if self._state != PENDING:
                return True
            # A task of an executor's is out of its queue with this.
            if self._process is None:
                self._state = CANCELLED
            elif take_work(self, CANCELLED_AND_NOTIFIED) is None:
                return False  # A worker has just begun it.
            links = self._take_links()
        self._announce(links)
        return True

    def set_running_or_notify_cancel(self) -> bool:
        """Mark the future as running; ``False`` if it has been cancelled.

        Only for who makes futures, as in :class:`concurrent.futures.Future`.
        """
        with self._guard():
            if self._state == PENDING:
                self._state = RUNNING
                return True
            if self._state == CANCELLED_AND_NOTIFIED and self._process is not None:
                return False  # An executor's is out of its queue when it is cancelled.
            if self._state != CANCELLED:
                LOGGER.critical("Future %s in unexpected state: %s", id(self), self._state)
                raise RuntimeError("Future in unexpected state")
            self._state = CANCELLED_AND_NOTIFIED
            links = self._take_links()
        self._announce(links)
        return False

    def begin(self) -> Any:
        """Return the work, which is running from now on, or ``None`` if it was cancelled."""
        if self._process is not _fork.process:
            self._guard()
        return take_work(self, RUNNING)

    def run(self) -> None:
        """Do the work, unless it was cancelled. All that comes of it is the future's."""
        work = self.begin()
        if work is None:
            return
        func, args, kwargs = work
        try:
            result = func(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - as it says
            self.settle(None, error)
        else:
            self.settle(result, None)
        finally:
            # A traceback refers to this frame.
            del self, work, func, args, kwargs

    def fail(self, exception: BaseException) -> None:
        """End what has not begun and never will."""
        if self.begin() is not None:
            self.settle(None, exception)

    def follow(self, result: AsyncResult[Any]) -> None:
        """End as the task that was to run the work, if that has not begun it."""
        error = result.exception
        if isinstance(error, CancelledError):
            self.cancel()
        elif error is not None:
            self.fail(error)

    def set_result(self, result: _T) -> None:
        """End the task with a result. Only for who makes futures."""
        self.settle(result, None)

    def set_exception(self, exception: BaseException | None) -> None:
        """End the task with an exception. Only for who makes futures."""
        self.settle(None, exception)

    def settle(self, result: Any, exception: Any, place: Worker | None = None) -> None:
        """End the task, and tell all who wait.

        With a worker's place, the worker is free before anybody knows, unless
        it has callbacks to call, and a single hub is told as the worker lets
        the interpreter go, so that it need not wait for that.
        """
        with self._lock if self._process is _fork.process else self._guard():
            if self._state in _DONE:
                raise InvalidStateError(f"{self._state}: {self!r}")
            # Not of a worker's that has callbacks to call first.
            free = None if self._done_callbacks else place
            if free is not None:
                free.end()
            self._work = None
            self._result = result
            self._exception = exception
            self._state = FINISHED
            links = self._links
            if not self._done_callbacks:
                self.hold = None
            if links is None and free is not None:
                return
            self._links = None
        if free is not None and links is not None and len(links) == 1:
            (link,) = links
            if isinstance(link, HubLink) and link.is_told_by_message():
                free.keep(link.native, link.message())
                return
        try:
            self._announce(links or ())
        finally:
            if place is not None:
                place.end()  # Once; a free one has ended.
            self.hold = None

    def _take_links(self) -> Iterable[Link]:
        links, self._links = self._links, None
        self.hold = None
        return links or ()

    def _announce(self, links: Iterable[Link]) -> None:
        for link in links:
            link.announce()
        for callback in self._done_callbacks:
            if self._process is not None and self._process.forked():
                return  # The child of a callback that forks calls no other.
            call_callback(callback, self)

    def add_done_callback(self, fn: Callable[[Future[_T]], object]) -> None:
        """Call ``fn(future)`` once the future is done; now if it is.

        A callback that a greenlet adds is called in a new greenlet of the same hub, so that it
        may use all that belongs to the hub, and wait. If the hub's thread itself ends the
        future, by :meth:`cancel` for instance, it calls the callback at once.

        A thread without a hub, a task in its worker, and a thread in which an
        :mod:`asyncio` loop runs, add callbacks that the thread that ends the future calls, as
        :mod:`concurrent.futures` does: that is a worker. A native thread calls those of a hub
        whose thread has ended, blocks for longer than 0.2 seconds, sleeps most of a second
        without a turn of its hub, or gives the hub no turn for ten seconds. It leaves alone the
        main thread of a monkey-patched program, which lets its hub run while it waits.

        A callback's :exc:`Exception` is logged. Callbacks that one thread adds are called in
        their order. It does not block. Any thread may call it.

        Source: :meth:`concurrent.futures.Future.add_done_callback`, and gevent's executor.
        """
        hub = hub_for_callback(fn)
        if hub is None:
            with self._guard():
                if self._state not in _DONE:
                    if not self._done_callbacks:
                        self._done_callbacks = []
                    self._done_callbacks.append(fn)
                    return
        else:
            link = self._link(hub, fn, self, kind=CallbackLink)
            if link is not None:
                return
            # The future is done. The hub's turn to call the callbacks before this one is now.
            for earlier in self._callback_links or ():
                if earlier.is_here():
                    earlier.call_here()
        call_callback(fn, self)

    def result(self, timeout: float | None = None) -> _T:
        """Return what the function returned, or raise what it raised.

        Waits up to *timeout* seconds: cooperatively on a hub, else natively.

        :raises concurrent.futures.TimeoutError: if it is not done by then.
        :raises concurrent.futures.CancelledError: if it was cancelled.
        """
        try:
            # Most are done, and nobody watches.
            if (
                timeout is not None or self._state != FINISHED or gettrace() is not None
            ) and not self._wait_or_pass_by(timeout):
                raise concurrent.futures.TimeoutError
            if self._exception is not None:
                raise self._exception
            if self._state != FINISHED:
                raise CancelledError
            return self._result  # type: ignore[no-any-return] # no type of its own
        finally:
            # The exception's traceback refers to this frame.
            del self

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return what the function raised, ``None`` if it returned.

        It waits, and raises, as :meth:`result` does.
        """
        if not self._wait_or_pass_by(timeout):
            raise concurrent.futures.TimeoutError
        if self._state != FINISHED:
            raise CancelledError
        return self._exception  # type: ignore[no-any-return] # no type of its own

    def _raise_exception(self) -> None:
        # What gevent.joinall(raise_error=True) calls.
        self.result()

    def get(self, block: bool = True, timeout: float | None = None) -> _T:
        """Do as :meth:`result`, but raise :exc:`gevent.Timeout`, as gevent's results do.

        :raises gevent.Timeout: if it is not done after *timeout* seconds, or now
            if *block* is false.
        """
        try:
            if not (self._wait_or_pass_by(timeout) if block else self.done()):
                # One that was made with its seconds would have a timer, and make a hub.
                expired = Timeout(None)
                expired.seconds = timeout if block else None
                raise expired
            return self.result(0)
        finally:
            # As in result().
            del self

    def wait(self, timeout: float | None = None) -> _T | None:
        """Wait up to *timeout* seconds; return the result, ``None`` if there is none.

        It does not raise what the function raised.
        """
        self._wait_or_pass_by(timeout)
        return self._result  # type: ignore[no-any-return] # no type of its own

    def rawlink(self, callback: Callable[[Future[_T]], object]) -> None:
        """Have the calling thread's hub call ``callback(future)`` once it is done.

        The callback must not wait. If the future is done already, that is soon.
        """
        hub = get_hub()
        if not self._link(hub, callback, self):
            hub.loop.run_callback(callback, self)

    def unlink(self, callback: Callable[[Future[_T]], object]) -> None:
        """Take back one :meth:`rawlink`, in the thread that made it."""
        with self._guard():
            links = self._links or {}
            found = next((link for link in links if link.tells(callback)), None)
            if found is None:
                return
            del links[found]
        found.drop()

    def _link(
        self,
        hub: Any,
        tell: Callable[[Any], object],
        argument: Any,
        unless: frozenset[str] = _DONE,
        kind: type[HubLink] = HubLink,
    ) -> Link | None:
        """Call ``tell(argument)`` when it is done; ``None`` if its state is one of *unless*."""
        with self._guard():
            if self._state in unless:
                return None
            link = Link(tell, argument) if hub is None else kind(hub, tell, argument, self)
            if self._links is None:
                self._links = {}
            self._links[link] = None
            if isinstance(link, CallbackLink):
                self._callback_links = [*(self._callback_links or ()), link]
        return link

    def will_tell(self, link: Link) -> bool:
        """Whether the link waits for the future to be done. In a forked child, a task is."""
        self._guard()
        links = self._links
        return links is not None and link in links

    def _drop(self, link: Link) -> None:
        with self._guard():
            if self._links is not None:
                self._links.pop(link, None)
        link.drop()

    def _wait_or_pass_by(self, timeout: float | None) -> bool:
        """Wait until it is done, at most so long. Return whether it is.

        While a tool watches switches, a caller switches also if the worker was faster.
        """
        if timeout is not None:
            check_seconds("timeout", timeout, may_be_nan=True)
        if self._state not in _DONE:
            return self._wait(timeout)
        if gettrace() is not None and (timeout is None or timeout > 0):
            pass_by_hub()
        return True

    def _wait(self, timeout: float | None) -> bool:
        """Wait until it is done, at most so long. Return whether it is."""
        hub = _gevent.get_hub_if_exists()
        if timeout is not None:
            if not timeout > 0:
                if hub is not None and may_wait_here():
                    sleep(0)
                return self.done()
            timeout = min(timeout, threading.TIMEOUT_MAX)
        if hub is None:
            bell = _gevent.new_lock()
            bell.acquire()
            link = self._link(None, lambda _: bell.release(), None)
        else:
            waiter: Waiter[Any] = Waiter(hub)
            # The hub's frames must not keep the result while this greenlet runs.
            link = self._link(hub, waiter.switch, None, kind=WaitLink)
        if link is not None:
            try:
                if isinstance(link, WaitLink):
                    link.stand_in()
                if hub is None:
                    bell.acquire(timeout=-1 if timeout is None else timeout)
                elif timeout is None:
                    waiter.get()
                else:
                    with Timeout(timeout, False):  # type: ignore[arg-type] # gevent's stubs know no False
                        waiter.get()
            finally:
                self._drop(link)
        elif gettrace() is not None:
            pass_by_hub()
        return self.done()

    def _guard(self) -> Any:
        """Return the lock. A forked child gets one that no thread of the parent's holds."""
        if self._process is not None and self._process.forked():
            self.forsake()
        return self._lock

    def forsake(self) -> None:
        """In a forked child: end what only the parent would have ended.

        It tells nobody. The parent's threads are not there, the child calls none of the parent's
        callbacks, and its hub tells the greenlets that wait.
        """
        self._process = None
        # A thread of the parent's may have held the lock.
        self._lock, self._own_condition = _new_rlock(), None
        self._links = self._callback_links = None
        self._done_callbacks = ()
        if self._state not in _DONE:
            self.settle(None, BrokenExecutor("the task was submitted in the parent process"))
