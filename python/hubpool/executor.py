"""gevent's executor over hubpool's pool."""

from __future__ import annotations

import concurrent.futures
from typing import Any

import gevent.threadpool

from hubpool.threadpool import ThreadPool


class ThreadPoolExecutor(gevent.threadpool.ThreadPoolExecutor):  # type: ignore[misc]
    """``gevent.threadpool.ThreadPoolExecutor`` with a :class:`hubpool.ThreadPool`.

    It runs native threads also where ``threading`` is monkey-patched, and its
    futures can be waited on with :func:`gevent.wait`. Arguments are those of
    :class:`concurrent.futures.ThreadPoolExecutor`; as in gevent's class, only
    ``max_workers`` has an effect.

    >>> with ThreadPoolExecutor(2) as executor:
    ...     executor.submit(pow, 2, 5).result()
    32
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # gevent's own __init__ would make one of gevent's pools.
        concurrent.futures.ThreadPoolExecutor.__init__(self, *args, **kwargs)
        self._threadpool = ThreadPool(self._max_workers)
