"""What a single waiter gets: the result of :meth:`ThreadPool.apply`."""

from __future__ import annotations

from typing import Any

from gevent.exceptions import InvalidSwitchError
from gevent.hub import getcurrent

from hubpool import _native

_NOTHING: Any = object()


class Reply(_native.Reply):
    """A result for the greenlet that has asked for it, and for nobody else.

    The hub switches to that greenlet as it delivers the result. An
    :class:`gevent.event.AsyncResult` takes another turn of the loop for that.
    """

    __slots__ = ()

    anywhere = True

    def get(self) -> Any:
        """Wait cooperatively; return the value or raise the error."""
        self.account.wake.stand_in()
        value = self.take(_NOTHING)
        if value is not _NOTHING:
            return value
        if not self.ready():
            try:
                self.waiter = getcurrent()
                switched = self.account.hub.switch()
            finally:
                self.waiter = None
            if switched is not self:
                # Somebody else has switched to the greenlet, or the hub is dead.
                raise InvalidSwitchError(f"Invalid switch into apply(): {switched!r}")
            value = self.take(_NOTHING)
            if value is not _NOTHING:
                return value
        _, error, traceback = self.exc_info
        try:
            raise error.with_traceback(traceback)
        finally:
            self.exc_info = error = traceback = None

    def set_exception(self, error: BaseException, exc_info: Any = None) -> None:
        """Give the greenlet an error. Hub's thread only."""
        self.exc_info = exc_info or (type(error), error, error.__traceback__)
        self.deliver()

    def again(self) -> bool:
        """Whether it must be delivered again, if something was raised meanwhile."""
        return self.waiter is not None

    def deliver(self, *_: None) -> None:
        """Let the greenlet go on, if it waits. Hub's thread only."""
        if self.waiter is None:
            return
        if getcurrent() is self.account.hub:
            self._resume()
        else:
            self.account.hub.loop.run_callback(self._resume)

    def _resume(self) -> None:
        waiter = self.waiter
        if waiter is not None:
            waiter.switch(self)
