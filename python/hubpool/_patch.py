"""Puts hubpool into a program that cannot be changed."""

from __future__ import annotations

import os
from typing import Any

from hubpool import _gevent

_SETTING = "hubpool.ThreadPool"
#: What :mod:`gevent.threadpool` has, and hubpool in its place.
_NAMES = (
    "ThreadPool",
    "ThreadPoolExecutor",
    "ThreadResult",
    "_WorkerGreenlet",
    "_get_thread_profile",
    "_get_thread_trace",
)


def patch() -> None:
    """Put hubpool's names into ``gevent.threadpool`` and into gevent's setting.

    Call it before the program asks a hub for its pool: a pool that exists stays
    what it is. Processes that the program starts inherit the setting through
    ``GEVENT_THREADPOOL``. Calling it again changes nothing. It does not block.

    >>> import gevent, gevent.threadpool, hubpool
    >>> hubpool.patch()
    >>> gevent.threadpool.ThreadPool is hubpool.ThreadPool
    True
    """
    import gevent.threadpool  # noqa: PLC0415 - nothing else needs it

    import hubpool  # noqa: PLC0415 - it imports this module

    for name in _NAMES:
        setattr(gevent.threadpool, name, getattr(hubpool, name))
    gevent.config.threadpool = _SETTING
    os.environ["GEVENT_THREADPOOL"] = _SETTING


#: The variable of the environment that leaves the locks of :mod:`logging` alone, if it is "0".
_LOGGING_SETTING = "HUBPOOL_PATCH_LOGGING"
_awaits_patch = False


def before_worker() -> None:
    """Make a patched program ready for one more worker. Any thread; it does not block.

    A program that is patched later becomes ready then.
    """
    global _awaits_patch  # noqa: PLW0603 - it is done once
    if os.environ.get(_LOGGING_SETTING) == "0":
        return
    try:
        if _gevent.is_threading_patched():
            from hubpool import _logging  # noqa: PLC0415 - only a patched program needs it

            _logging.install()
        elif not _awaits_patch:
            _gevent.call_after_patch(_after_patch)
            _awaits_patch = True
    except (ImportError, OSError):
        pass  # No descriptor is left to import by. The next worker tries again.


def _after_patch(_event: Any) -> None:
    if _gevent.is_threading_patched():
        before_worker()
