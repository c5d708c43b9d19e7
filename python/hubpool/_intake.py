"""What other threads submit to a pool, until its hub's thread has spawned it."""

from __future__ import annotations

import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

from gevent.greenlet import Greenlet

if TYPE_CHECKING:
    from hubpool._account import Account
    from hubpool._future import Future
    from hubpool.threadpool import ThreadPool


class Intake:
    """A line of futures, of which a greenlet spawns one after another.

    While there are any, the greenlet or the callback that starts it keeps the pool.
    """

    __slots__ = ("_account", "_admitting", "_pool", "waiting")

    def __init__(self, pool: ThreadPool, account: Account) -> None:
        self._pool = weakref.ref(pool)
        self._account = account
        #: What has not been spawned, oldest first.
        self.waiting: deque[Future[Any]] = deque()
        self._admitting = False

    def add(self, future: Future[Any]) -> None:
        """Add a future with its work. Any thread."""
        pool = self._pool()
        self.waiting.append(future)
        try:
            self._account.wake.call(lambda: self._admit(pool))
        except BaseException:
            self.waiting.remove(future)
            raise

    def cancel(self) -> None:
        """Cancel all. Hub's thread only."""
        for future in tuple(self.waiting):
            future.cancel()

    def _admit(self, pool: Any) -> None:
        # One greenlet at a time waits for slots.
        if self.waiting and not self._admitting:
            self._admitting = True
            Greenlet.spawn(self._admit_all, pool)

    def _admit_all(self, pool: ThreadPool) -> None:
        waiting = self.waiting
        try:
            while waiting:
                future = waiting[0]
                try:
                    pool.spawn(future.run).rawlink(future.follow)
                except BaseException as error:
                    future.fail(error)
                    if not isinstance(error, Exception):
                        raise
                finally:
                    # It is outstanding now; until then it has kept join() waiting.
                    waiting.popleft()
                    del future
        finally:
            self._admitting = False
            self._account.notify()
            self._admit(pool)
