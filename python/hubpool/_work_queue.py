"""The queue of an executor, for threads that are not the executor's own."""

from __future__ import annotations

import math
import queue
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from hubpool._future import Future
from hubpool.threadpool import TaskQueue

if TYPE_CHECKING:
    from hubpool._native import Core

#: The shortest time, in seconds, that the libuv loop can wait for.
_TICK = 0.001


class WorkItem:
    """A task that was taken from the queue, as the standard library's workers know it."""

    __slots__ = ("future",)

    def __init__(self, future: Future[Any]) -> None:
        self.future = future

    def run(self, _context: object = None) -> None:
        """Run the task, unless it was cancelled."""
        future = self.future
        del self
        future.run()


class WorkQueue(TaskQueue):
    """What :mod:`concurrent.futures.thread` does with an executor's queue.

    A subclass of the executor may start threads itself, which run that module's ``_worker``. Their
    tasks count as ended as they are taken. A thread waits for tasks as for a future.
    """

    __slots__ = ("_bells", "_ends")

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        #: One for each ``None`` that was put and nobody has got.
        self._ends: deque[None] = deque()
        self._bells: deque[Future[None]] = deque()

    def put(self, item: None) -> None:
        """Have one thread get ``None``, after all tasks.

        :raises TypeError: for anything else: :meth:`ThreadPoolExecutor.submit` takes tasks.
        """
        if item is not None:
            raise TypeError("an executor's queue takes nothing but None; submit() takes tasks")
        self._ends.append(None)
        self.ring()

    def get(self, block: bool = True, timeout: float | None = None) -> WorkItem | None:
        """Wait for what :meth:`get_nowait` takes.

        :raises queue.Empty: if there is nothing, at once or after *timeout* seconds.
        """
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        while True:
            bell: Future[None] = Future()
            self._bells.append(bell)
            try:
                return self.get_nowait()
            except queue.Empty:
                left = deadline - time.monotonic()
                if not block or left <= 0:
                    raise
                bell.wait(None if timeout is None else max(left, _TICK))
            finally:
                if bell in self._bells:
                    self._bells.remove(bell)

    def get_nowait(self) -> WorkItem | None:
        """Take the oldest task, or, if there is none, ``None`` if that was put.

        :raises queue.Empty: if there is neither.
        """
        taken: list[Future[Any]] = []
        if self._core.take_oldest(taken):
            return WorkItem(taken.pop())
        try:
            return self._ends.popleft()
        except IndexError:
            raise queue.Empty from None

    def ring(self) -> None:
        """Have all threads that wait look again."""
        while self._bells:
            self._bells.popleft().set_result(None)
