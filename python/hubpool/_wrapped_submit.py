"""Lets tracers see what is submitted to an executor: they wrap the standard library's class.

OpenTelemetry, Sentry and ddtrace wrap ``concurrent.futures.ThreadPoolExecutor.submit``: in place of
the task they hand on a function that brings the caller's span or scope into the thread. hubpool's
class has a ``submit`` of its own. So it asks the wrapped one first what to run.
"""

from __future__ import annotations

import concurrent.futures
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

from hubpool import _cpython, _gevent

if TYPE_CHECKING:
    from collections.abc import Callable

#: A function, its arguments and its keywords.
_Work = tuple[Any, tuple[Any, ...], dict[str, Any]]

_standard = vars(concurrent.futures.ThreadPoolExecutor)
#: The bytecode of the standard library's ``submit``, once that has been seen to be Python's own.
_own_code: CodeType | None = None


def is_wrapped() -> bool:
    """Whether the standard library's ``submit`` is no longer what Python has made.

    A wrapper is another object, or, as ddtrace's, the same function with other bytecode.
    """
    global _own_code  # noqa: PLW0603 - there is one
    submit = _standard["submit"]
    if type(submit) is not FunctionType or submit.__dict__:
        return True
    code = submit.__code__
    if code is not _own_code:
        try:
            own_code = _cpython.code_of_submit()
        except OSError:
            return False  # No descriptor is left to read it by. The next submission looks again.
        if code != own_code:
            return True
        _own_code = code
    return False


def wrap(executor: Any, fn: Callable[..., Any], args: Any, kwargs: Any) -> _Work:
    """Return what the wrapped ``submit`` would run in a thread in place of a call."""
    lock = _cpython.executors_lock()
    if _gevent.is_threading_patched() and not hasattr(lock, "_is_owned") and not lock.locked():
        from hubpool._lock import Lock  # noqa: PLC0415 - only a patched program needs it

        # The standard library's function takes it, and several native threads may submit.
        _cpython.set_executors_lock(Lock(lock))
    stand_in = _StandIn(executor)
    stand_in.submit(fn, *args, **kwargs)
    return stand_in.work or (fn, args, kwargs)


class _StandIn(concurrent.futures.ThreadPoolExecutor):
    """In the place of an executor, for the standard library's ``submit``: it runs nothing."""

    def __init__(self, executor: Any) -> None:
        self._executor = executor
        self._shutdown_lock = _gevent.new_lock()
        self._broken = self._shutdown = False
        self._work_queue: Any = self  # Where the function puts what it has made.
        self.work: _Work | None = None

    def __getattr__(self, name: str) -> Any:
        # A wrapper may ask for anything of the executor's.
        return getattr(self._executor, name)

    def put(self, item: Any) -> None:
        """Keep what would be run."""
        self.work = _cpython.work_of(item)

    def _adjust_thread_count(self) -> None:
        """Start no thread."""

    def _resolve_work_item_task(self, fn: Any, args: Any, kwargs: Any) -> _Work:
        # CPython 3.14 and later ask for a task, and keep it.
        return fn, args, kwargs
