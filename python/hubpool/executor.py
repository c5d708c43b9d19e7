"""gevent's executor over hubpool's pool."""

from __future__ import annotations

import concurrent.futures
from typing import Any

from hubpool._gevent import FutureProxy
from hubpool.threadpool import ThreadPool


class ThreadPoolExecutor(concurrent.futures.ThreadPoolExecutor):
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
        super().__init__(*args, **kwargs)
        self._threadpool: ThreadPool | None = ThreadPool(self._max_workers)

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Run ``fn(*args, **kwargs)``; return its future, as gevent's class does."""
        with self._shutdown_lock:
            if self._shutdown or self._threadpool is None:
                raise RuntimeError("cannot schedule new futures after shutdown")
            return FutureProxy(self._threadpool.spawn(fn, *args, **kwargs))

    def shutdown(self, wait: bool = True, **kwargs: Any) -> None:
        """End the threads once the queue is empty. It may be called again."""
        super().shutdown(wait, **kwargs)
        pool, self._threadpool = self._threadpool, None
        if pool is not None:
            pool.kill()

    kill = shutdown

    def _adjust_thread_count(self) -> None:
        """Start nothing: the pool does."""
