"""A worker that keeps the interpreter looks whether the hub's thread has run."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import gevent

import hubpool

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


def _busy(_: int) -> None:
    end = time.perf_counter() + 0.0001
    while time.perf_counter() < end:
        pass


def _map_beside(read: Callable[[int], int], monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Map in a hub of its own, whose clock is read so. Return how many items, and the clock."""
    monkeypatch.setattr(time, "clock_gettime_ns", read)
    done: list[tuple[int, int]] = []

    def program() -> None:
        pool = hubpool.ThreadPool(1)
        done.append(
            (len(pool.map(_busy, range(50))), time.pthread_getcpuclockid(threading.get_ident()))
        )
        pool.kill()
        gevent.get_hub().destroy(destroy_loop=True)

    thread = threading.Thread(target=program)
    thread.start()
    thread.join()
    return done[0]


def test_it_is_the_clock_of_the_hubs_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []

    def read(clock: int) -> int:
        looks.append(clock)
        return len(looks)

    items, clock = _map_beside(read, monkeypatch)
    assert items == 50
    assert set(looks) == {clock}


def test_a_clock_that_can_not_be_read_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []

    def read(clock: int) -> int:
        looks.append(clock)
        raise OSError("there is no such thread")

    assert _map_beside(read, monkeypatch)[0] == 50
    assert looks
