"""What a single waiter gets: the result of :meth:`ThreadPool.apply`."""

from __future__ import annotations

from typing import Any

from gevent.exceptions import InvalidSwitchError
from gevent.hub import getcurrent


class Reply:
    """A result for the greenlet that has asked for it, and for nobody else.

    The hub switches to that greenlet as it delivers the result. An
    :class:`gevent.event.AsyncResult` takes another turn of the loop for that.
    """

    __slots__ = ("_exc_info", "_greenlet", "_hub", "_ready", "_value")

    def __init__(self, hub: Any) -> None:
        self._hub = hub
        self._greenlet: Any = None
        self._ready = False
        self._value: Any = None
        self._exc_info: Any = None

    def get(self) -> Any:
        """Wait cooperatively; return the value or raise the error."""
        if not self._ready:
            self._greenlet = getcurrent()
            try:
                switched = self._hub.switch()
            finally:
                self._greenlet = None
            if switched is not self:
                # Somebody else has switched to the greenlet, or the hub is dead.
                raise InvalidSwitchError(f"Invalid switch into apply(): {switched!r}")
        if self._exc_info is None:
            return self._value
        _, error, traceback = self._exc_info
        try:
            raise error.with_traceback(traceback)
        finally:
            self._exc_info = error = traceback = None

    def ready(self) -> bool:
        """Whether there is a value or an error."""
        return self._ready

    def set(self, value: Any) -> None:
        """Give the greenlet a value. Hub's thread only."""
        self._value = value
        self._tell()

    def set_exception(self, error: BaseException, exc_info: Any = None) -> None:
        """Give the greenlet an error. Hub's thread only."""
        self._exc_info = exc_info or (type(error), error, error.__traceback__)
        self._tell()

    def _tell(self) -> None:
        self._ready = True
        if getcurrent() is self._hub:
            self._resume()
        elif self._greenlet is not None:
            self._hub.loop.run_callback(self._resume)

    def _resume(self) -> None:
        if self._greenlet is not None:
            self._greenlet.switch(self)
