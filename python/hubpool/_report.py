"""Who learns of a task's error, beside whoever asks for its result."""

from __future__ import annotations

import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args

from hubpool._result import TaskResult

if TYPE_CHECKING:
    from hubpool._hub import HubWake

#: When the error of a task is passed to ``hub.handle_error``: as it happens, as
#: gevent does; when its result is dropped and nobody has retrieved the error; never.
ReportErrors = Literal["always", "unretrieved", "never"]
_CHOICES = get_args(ReportErrors)


def check_report_errors(report_errors: Any) -> None:
    """Raise :exc:`ValueError` for what is none of them."""
    if report_errors not in _CHOICES:
        raise ValueError(f"report_errors must be one of {_CHOICES}: {report_errors!r}")


class Unretrieved:
    """An error that is reported on the hub when this object is dropped in any thread.

    It does not keep the worker, which may have left its thread by then: its name stands for it.
    """

    __slots__ = ("_error", "_wake")

    def __init__(self, wake: HubWake, error: Any) -> None:
        self._wake = wake
        (worker, func), exc_info = error
        self._error: Any = weakref.ref(worker), worker.name, func, exc_info

    def retrieve(self) -> None:
        """Say that somebody has seen the error: it will not be reported."""
        self._error = None

    def __del__(self) -> None:
        # It may not have come to be whole.
        error = getattr(self, "_error", None)
        if error is not None:
            worker, name, func, exc_info = error
            worker = worker()
            context = (name if worker is None else worker, func)
            self._wake.call(partial(self._wake.report, context, *exc_info))


class WatchedResult(TaskResult):
    """A result that knows whether anybody has retrieved its error."""

    #: What there is to retrieve.
    unretrieved: Unretrieved | None = None

    def _retrieve(self) -> None:
        if self.unretrieved is not None:
            self.unretrieved.retrieve()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Do as :meth:`gevent.event.AsyncResult.get`; an error that it raises is retrieved."""
        try:
            return super().get(block, timeout)
        finally:
            self._retrieve()
            # The error's traceback refers to this frame.
            del self

    @property
    def exception(self) -> BaseException | None:
        """What the function raised, which is retrieved with that, or ``None``."""
        self._retrieve()
        return super().exception

    @property
    def exc_info(self) -> Any:
        """The same with its type and traceback, or an empty tuple."""
        self._retrieve()
        try:
            return super().exc_info
        finally:
            # gevent makes a copy of the traceback, whose frames refer to this one.
            del self
