"""The hub's loop has its turn between the messages that resume greenlets."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import gevent
from gevent.hub import get_hub

from hubpool._hub import _DELIVERY_TIME, hub_wake

if TYPE_CHECKING:
    from conftest import MakePool


class _Slow:
    """A target whose delivery takes longer than the hub delivers at a stretch."""

    anywhere = True

    def __init__(self, seen: list[str]) -> None:
        self._seen = seen

    def deliver(self, *_: None) -> None:
        self._seen.append("message")
        end = time.perf_counter() + _DELIVERY_TIME
        while time.perf_counter() <= end:
            pass


def test_the_loop_has_a_turn_between_messages_that_take_long(make_pool: MakePool) -> None:
    make_pool(1).apply(int)
    wake = hub_wake(get_hub())
    seen: list[str] = []
    turns = get_hub().loop.check()
    turns.start(seen.append, "turn")
    for _ in range(10):
        wake.native.post((_Slow(seen), None, None, None))
    while seen.count("message") < 10:
        gevent.sleep(0.001)
    turns.close()
    between = "".join(kind[0] for kind in seen).strip("t").split("m")[1:-1]
    assert len(between) == 9
    assert all(between), seen


def test_a_greenlet_that_waits_for_the_pool_goes_behind_the_messages_that_wait(
    make_pool: MakePool,
) -> None:
    pool = make_pool(1)
    pool.apply(int)
    wake = hub_wake(get_hub())
    seen: list[str] = []
    for _ in range(3):
        wake.native.post((_Slow(seen), None, None, None))
    assert pool.apply(abs, (-1,)) == 1
    assert len(seen) == 3
