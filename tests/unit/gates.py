"""What the tests force an order with."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import gevent

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

#: The most seconds that anything here may take.
LIMIT = 30


class Reported(NamedTuple):
    """One call of ``hub.handle_error``."""

    context: Any
    kind: type[BaseException]
    value: BaseException
    traceback: TracebackType | None


class Gate:
    """A function that blocks its thread until the gate is opened."""

    def __init__(self) -> None:
        self._entered = threading.Semaphore(0)
        self._open = threading.Event()

    def __call__(self, value: Any = None) -> Any:
        self._entered.release()
        if not self._open.wait(LIMIT):
            raise TimeoutError("the gate was not opened")
        return value

    def open(self) -> None:
        self._open.set()

    def await_entered(self, count: int = 1) -> None:
        """Wait, letting greenlets run, until so many more calls have begun."""
        for _ in range(count):
            until(lambda: self._entered.acquire(blocking=False))

    def entered(self) -> bool:
        """Whether a call has begun that nobody has waited for."""
        return self._entered.acquire(blocking=False)


def until(condition: Callable[[], object]) -> None:
    """Let greenlets run until the condition holds."""
    with gevent.Timeout(LIMIT, ref=False):
        while not condition():
            gevent.sleep(0.001)


def in_thread(function: Callable[[], Any]) -> Any:
    """Call it in a thread without a hub, and return what it returns. Greenlets do not run."""
    told: list[Any] = []
    thread = threading.Thread(target=lambda: told.append(function()))
    thread.start()
    thread.join(LIMIT)
    return told[0]


def settle() -> None:
    """Let every greenlet run that can."""
    for _ in range(20):
        gevent.sleep(0)


def no_thread(*_: object) -> int:
    """Stand for a system that lets no thread start."""
    raise RuntimeError("can't start new thread")


def pool_threads() -> list[str]:
    """Return the names of this process's pool threads, as the system knows them."""
    names = []
    for task in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{task}/comm", encoding="utf-8") as file:
                name = file.read().strip()
        except (FileNotFoundError, ProcessLookupError):
            continue  # It has just ended.
        if name.startswith("hubpool"):
            names.append(name)
    return names


def fail(*_: object) -> None:
    raise ZeroDivisionError("on purpose")
