"""Puts hubpool into a program that cannot be changed."""

from __future__ import annotations

import os

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
