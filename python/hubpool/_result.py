"""What :meth:`ThreadPool.spawn` returns."""

from __future__ import annotations

from types import GenericAlias
from typing import Any

from gevent.event import AsyncResult

from hubpool._hub import stand_in

_get = AsyncResult.get


class TaskResult(AsyncResult):  # type: ignore[type-arg] # no generic at run time
    """A result that is looked out for before it is waited for."""

    __slots__ = ()

    #: gevent's class takes no type argument at run time.
    __class_getitem__: Any = classmethod(GenericAlias)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Do as :meth:`gevent.event.AsyncResult.get`."""
        try:
            if block and not self.ready():
                stand_in()
            return _get(self, block, timeout)
        finally:
            # The error's traceback refers to this frame.
            del self

    def _raise_exception(self) -> None:
        # gevent's own function keeps a frame that refers to the error, which refers to the frame.
        exc_info: Any = self.exc_info
        _, error, traceback = exc_info
        try:
            raise error.with_traceback(traceback)
        finally:
            del self, exc_info, error, traceback
