"""What is compared: pools and executors with their threads started, and what stands for them.

Each is a function that makes a context manager from a number of threads. A sample opens its
own, so that no side finds the other's threads, and each time finds other places for its own.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import gevent
import gevent.event
import gevent.lock
import gevent.threadpool

import hubpool

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from typing import TypeAlias

    from measure import Opener

    Side: TypeAlias = Callable[[int], AbstractContextManager[Any]]

# By the names that a command line has.
POOLS = {"hubpool": hubpool.ThreadPool, "gevent": gevent.threadpool.ThreadPool}
EXECUTORS = {
    "hubpool": hubpool.ThreadPoolExecutor,
    "gevent": gevent.threadpool.ThreadPoolExecutor,
    "stdlib": concurrent.futures.ThreadPoolExecutor,
}


def noop() -> None:
    """Do nothing."""


def start_threads(pool: Any, threads: int) -> None:
    """Have all threads started, and each have done something."""
    list(pool.map(time.sleep, [0.001] * threads))


@contextlib.contextmanager
def opened_pool(kind: Any, threads: int) -> Iterator[Any]:
    """Make a pool, and kill it."""
    pool = kind(threads)
    pool.size = threads
    start_threads(pool, threads)
    try:
        yield pool
    finally:
        pool.join()
        pool.kill()


@contextlib.contextmanager
def opened_executor(kind: Any, threads: int) -> Iterator[Any]:
    """Make an executor, and shut it down."""
    gevent.get_hub()  # Every program on gevent has one, and waits there.
    with kind(threads) as executor:
        start_threads(executor, threads)
        yield executor


HUBPOOL: Side = functools.partial(opened_pool, POOLS["hubpool"])
GEVENT: Side = functools.partial(opened_pool, POOLS["gevent"])
HUBPOOL_EXECUTOR: Side = functools.partial(opened_executor, EXECUTORS["hubpool"])
GEVENT_EXECUTOR: Side = functools.partial(opened_executor, EXECUTORS["gevent"])
STDLIB_EXECUTOR: Side = functools.partial(opened_executor, EXECUTORS["stdlib"])
BOTH_POOLS = (HUBPOOL, GEVENT)


def add_backlog(pool: Any, tasks: int) -> Callable[[], None]:
    """Queue tasks behind one that waits; return what lets them go."""
    gate = threading.Lock()
    gate.acquire()
    pool.spawn(gate.acquire)
    # Both pools let spawn() wait once there are as many tasks as threads.
    pool._available_worker_threads_greenlet_sem.counter += tasks
    for _ in range(tasks):
        pool.spawn(noop)
    return gate.release


@contextlib.contextmanager
def opened_beside(side: Side, tasks: int, threads: int) -> Iterator[Any]:
    """Make a pool beside another that has so many tasks outstanding."""
    with side(1) as busy, side(threads) as pool:
        let_go = add_backlog(busy, tasks)
        try:
            yield pool
        finally:
            let_go()


def beside(tasks: int) -> tuple[Side, Side]:
    """Put both pools beside so many outstanding tasks."""
    ours, peer = (functools.partial(opened_beside, side, tasks) for side in BOTH_POOLS)
    return ours, peer


@contextlib.contextmanager
def opened_hindered(side: Side, threads: int) -> Iterator[Any]:
    """Make a pool while another program keeps a core busy."""
    with side(threads) as pool:
        program = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        try:
            yield pool
        finally:
            program.kill()
            program.wait()


def hindered(side: Side) -> Side:
    """Put a side beside a busy program."""
    return functools.partial(opened_hindered, side)


HINDERED = (hindered(HUBPOOL), hindered(GEVENT))


class Inline:
    """No pool at all."""

    def __init__(self) -> None:
        self._slots = gevent.lock.Semaphore()

    def spawn(self, func: Callable[[], Any]) -> Any:
        """Call the function here, with a slot, and give the result where a pool gives it."""
        self._slots.acquire()
        result = gevent.event.AsyncResult()
        result.set(func())
        self._slots.release()
        return result

    def map(self, func: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        """Call the function here."""
        return [func(item) for item in items]

    def apply(self, func: Callable[[], Any]) -> Any:
        """Call the function here."""
        return func()


def INLINE(_threads: int) -> AbstractContextManager[Inline]:  # noqa: N802 - a side
    """Make the plain loop."""
    return contextlib.nullcontext(Inline())


class Rung:
    """A thread that wakes the loop now and then, and does nothing else.

    It is the floor of a ticker's lateness: a loop that is woken sets its timers anew.
    """

    def __init__(self) -> None:
        self._watcher = gevent.get_hub().loop.async_()
        self._watcher.start(noop)
        self._go_on = True
        self._thread = threading.Thread(target=self._ring)
        self._thread.start()

    def _ring(self) -> None:
        while self._go_on:
            time.sleep(0.0007)
            self._watcher.send()

    def map(self, _func: Callable[[Any], Any], items: list[Any]) -> list[Any]:
        """Wait for about as long as such a map takes."""
        gevent.sleep(0.005)
        return items

    def apply(self, _func: Callable[[], Any]) -> None:
        """Wait for some ticks."""
        gevent.sleep(0.005)

    def close(self) -> None:
        """End the thread."""
        self._go_on = False
        self._thread.join()
        self._watcher.close()


def RUNG(_threads: int) -> AbstractContextManager[Rung]:  # noqa: N802 - a side
    """Make that thread."""
    return contextlib.closing(Rung())


class Asyncio:
    """An asyncio loop whose ``to_thread`` uses an executor that it is given."""

    def __init__(self, executor: Any) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.set_default_executor(executor)

    def burst(self, calls: int) -> None:
        """Await so many calls at once."""

        async def gather() -> None:
            pending: list[Awaitable[None]] = [asyncio.to_thread(noop) for _ in range(calls)]
            await asyncio.gather(*pending)

        self.loop.run_until_complete(gather())


@contextlib.contextmanager
def opened_asyncio(side: Side, threads: int) -> Iterator[Asyncio]:
    """Make a loop on a side's executor, and close it."""
    with side(threads) as executor:
        subject = Asyncio(executor)
        try:
            yield subject
        finally:
            subject.loop.close()


HUBPOOL_ASYNCIO: Side = functools.partial(opened_asyncio, HUBPOOL_EXECUTOR)
STDLIB_ASYNCIO: Side = functools.partial(opened_asyncio, STDLIB_EXECUTOR)


def of(side: Side, threads: int) -> Opener:
    """Fix the number of threads."""
    return functools.partial(side, threads)
