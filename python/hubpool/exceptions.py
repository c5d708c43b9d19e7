"""What hubpool raises beside gevent's and the standard library's exceptions."""

from __future__ import annotations

import concurrent.futures


class TaskCancelledError(concurrent.futures.CancelledError):
    """Raised by the result of a task that was withdrawn before a thread had begun it.

    See :meth:`hubpool.ThreadPool.cancel` and :meth:`hubpool.ThreadPool.kill`.

    >>> issubclass(TaskCancelledError, concurrent.futures.CancelledError)
    True
    """
