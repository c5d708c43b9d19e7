"""The floor: bare threads, without a pool, that do the same work as a row's.

A pool cannot do without a hand-over to another thread and one back. Two kinds of threads show
what CPython has for that: those that are told by locks, and those that share C's queue. Both do
what their row's pool does and keep none of a pool's promises: an error ends the thread, and the
hub's other greenlets wait.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


class Told:
    """Threads that are each told by a lock of their own, and tell by another."""

    def __init__(self, threads: int) -> None:
        self._workers = [_Worker() for _ in range(threads)]

    def apply(self, func: Callable[[], Any]) -> Any:
        """Have the first thread call the function, and wait for the result."""
        self._workers[0].tell(func)
        return self._workers[0].wait()

    def map(self, func: Callable[[Any], Any], items: list[Any]) -> list[Any]:
        """Have each thread call the function for its share of the items."""
        share = -(-len(items) // len(self._workers))
        told = []
        for first, worker in zip(range(0, len(items), share), self._workers, strict=False):
            worker.tell(_Share(func, items[first : first + share]))
            told.append(worker)
        return [result for worker in told for result in worker.wait()]

    def close(self) -> None:
        """End the threads."""
        for worker in self._workers:
            worker.end()


class _Worker:
    """One thread, and the two locks between it and its caller."""

    def __init__(self) -> None:
        self._told, self._done = threading.Lock(), threading.Lock()
        self._told.acquire()
        self._done.acquire()
        self._func: Callable[[], Any] | None = None
        self._result: Any = None
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        while True:
            self._told.acquire()
            if self._func is None:
                return
            self._result = self._func()
            self._done.release()

    def tell(self, func: Callable[[], Any]) -> None:
        self._func = func
        self._told.release()

    def wait(self) -> Any:
        self._done.acquire()
        return self._result

    def end(self) -> None:
        self._func = None
        self._told.release()
        self._thread.join()


class _Share:
    """A thread's share of a map."""

    def __init__(self, func: Callable[[Any], Any], items: list[Any]) -> None:
        self._func, self._items = func, items

    def __call__(self) -> list[Any]:
        func = self._func
        return [func(item) for item in self._items]


class Queued:
    """Threads that take functions from one queue and put results into another."""

    def __init__(self, threads: int) -> None:
        self._tasks: queue.SimpleQueue[Callable[[], Any] | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._work) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        get, put = self._tasks.get, self._results.put
        while (func := get()) is not None:
            put(func())

    def burst(self, func: Callable[[], Any], calls: int) -> None:
        """Queue all calls, then take all results."""
        put, get = self._tasks.put, self._results.get
        for _ in range(calls):
            put(func)
        for _ in range(calls):
            get()

    def close(self) -> None:
        """End the threads."""
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()


@contextlib.contextmanager
def IN_TURN(_threads: int) -> Iterator[Told]:  # noqa: N802 - a side
    """Make one thread that is told by a lock, and keep it and its caller on one core.

    One of the two waits while the other runs, so a second core is of no use, and a wake-up on
    another core takes several times as long.
    """
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        with contextlib.closing(Told(1)) as told:
            yield told
    finally:
        os.sched_setaffinity(0, cores)


def TOLD(threads: int) -> AbstractContextManager[Told]:  # noqa: N802 - a side
    """Make threads that are told by locks."""
    return contextlib.closing(Told(threads))


def QUEUED(threads: int) -> AbstractContextManager[Queued]:  # noqa: N802 - a side
    """Make threads that share a queue."""
    return contextlib.closing(Queued(threads))
