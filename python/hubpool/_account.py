"""What a hub's thread knows of one pool's outstanding work, and who waits for it."""

from __future__ import annotations

import math
import time
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from gevent.event import AsyncResult, Event
from gevent.hub import get_hub
from gevent.hub import sleep as gevent_sleep

from hubpool import _gevent, _native
from hubpool._hub import hub_wake
from hubpool._reply import Reply
from hubpool._report import Unretrieved, WatchedResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from hubpool._report import ReportErrors

#: The shortest time, in seconds, that the libuv loop can wait for.
_TICK = 0.001
#: The most frames of a traceback that is too deep to be copied.
_DEEPEST = 100


class Account(_native.Account):
    """What the hub's thread knows of one pool's outstanding work.

    Workers refer to it and not to the pool, so that a pool can be dropped
    while its threads live. Only the hub's thread changes it. Its native part counts, and
    delivers values.
    """

    __slots__ = ("_forgotten", "events", "hub", "report_errors", "wake")

    #: An error is reported where the hub would do it.
    anywhere = False

    def __new__(cls, hub: Any, slots: Any, _report_errors: ReportErrors) -> Account:
        """Make the native part."""
        return super().__new__(cls, hub_wake(hub).native, slots)

    def __init__(self, hub: Any, _slots: Any, report_errors: ReportErrors) -> None:
        self.hub = hub
        self.report_errors = report_errors
        self.wake = hub_wake(hub)
        #: How those who wait for tasks or workers to end are told to look again.
        self.events: list[Event] = []
        self._forgotten = False

    def _watch(self) -> None:
        self.wake.watch()

    def _unwatch(self) -> None:
        self.wake.adjust()

    def deliver(self, _result: None, _value: None, _error: None) -> None:
        """Tell all who wait that something has changed."""
        # A worker has left, or who should have told them could not.
        _gevent.resize_semaphore(self.slots, 0)
        self.wake.adjust()
        self.notify()

    def again(self) -> bool:
        """Whether it must be delivered again, if something was raised meanwhile."""
        return True

    def handle_error(self, error: Any) -> None:
        """Report a task's error, on the hub."""
        context, exc_info = error
        self.hub.handle_error(context, *exc_info)

    def notify(self) -> None:
        """Let all who wait look again."""
        for event in tuple(self.events):
            event.set()

    def forget(self) -> None:
        """In a forked child, have nobody wait: it is the parent who has what was outstanding."""
        self._forgotten = True
        self.notify()

    def wait_until(self, holds: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait cooperatively, so many seconds, for what ends or exits bring about.

        Return whether the condition holds, or is the parent's affair, in a forked child.
        """

        def condition() -> bool:
            return self._forgotten or holds()

        if condition():
            return True
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        if get_hub() is not self.hub or self.hub.loop is None:
            # This hub's loop cannot tell another thread, nor can a dead one, so it looks.
            delay = _TICK
            while not condition():
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                gevent_sleep(max(min(delay, left), _TICK))
                delay = min(delay * 2, 0.05)
            return True
        event = Event()
        held = _native.Held(self, False)
        try:
            self.events.append(event)
            held.hold()
            while not condition():
                event.clear()
                if condition():
                    break
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                event.wait(None if timeout is None else max(left, _TICK))
            return True
        finally:
            try:
                if event in self.events:
                    self.events.remove(event)
            finally:
                held.give_back()
            # A worker that saw that it was waited for has posted by now.
            self.wake.sweep()


#: How many times a result is told of an error, if something is raised meanwhile each time.
_MOST_ATTEMPTS = 100


class Failed:
    """A task that has raised, until its result has been told: the target of a message."""

    __slots__ = ("_account", "_attempts", "_error", "_held", "_reported", "_result")

    #: An error is reported where the hub would do it.
    anywhere = False

    def __init__(self, account: Account, result: AsyncResult[Any] | Reply, error: Any) -> None:
        self._account = account
        self._result: AsyncResult[Any] | Reply | None = result
        self._error = error
        self._held = _native.Held(account, True)
        self._reported = False
        self._attempts = 0

    def again(self) -> bool:
        """Whether it must be delivered again, if something was raised meanwhile.

        A result that refuses an error each time would keep the hub from all else.
        """
        return self._result is not None and self._attempts < _MOST_ATTEMPTS

    def deliver(self, _result: None, _value: None, _error: None) -> None:
        """Report the error, count the task as ended, and tell its result, each once."""
        self._attempts += 1
        try:
            if not self._reported:
                self._reported = True
                self._report()
        finally:
            try:
                self._held.give_back()
            finally:
                self._tell()

    def _report(self) -> None:
        account, result = self._account, self._result
        if isinstance(result, WatchedResult):
            result.unretrieved = Unretrieved(account.wake, self._error)
        elif account.report_errors == "always":
            account.handle_error(self._error)

    def _tell(self) -> None:
        result = self._result
        if result is None:
            return
        if not result.ready():
            # This may run who waits for it.
            _set_exception(result, self._error[1])
        elif isinstance(result, Reply):
            result.deliver()
        self._result = self._error = None


def _set_exception(result: AsyncResult[Any] | Reply, exc_info: Any) -> None:
    kind, error, traceback = exc_info
    try:
        result.set_exception(error, exc_info)
    except RecursionError:
        # gevent copies the traceback frame by frame, the one within the other.
        result.set_exception(error, (kind, error, _outermost(traceback)))
    except Exception:
        # It pickles the names in it, which may be of a class that refuses that.
        if not result.ready():
            result.set_exception(error, (kind, error, None))
        raise


def _outermost(traceback: TracebackType | None) -> TracebackType | None:
    """Return the traceback without what is deeper than anybody reads."""
    frames: list[tuple[FrameType, int, int]] = []
    while traceback is not None and len(frames) < _DEEPEST:
        frames.append((traceback.tb_frame, traceback.tb_lasti, traceback.tb_lineno))
        traceback = traceback.tb_next
    clipped: TracebackType | None = None
    for frame in reversed(frames):
        clipped = TracebackType(clipped, *frame)
    return clipped
