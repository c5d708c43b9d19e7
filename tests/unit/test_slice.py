"""Workers whose jobs take long ask the kernel for longer slices than the hub's thread has."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
import time
from typing import TYPE_CHECKING

import pytest
from gates import until

if TYPE_CHECKING:
    from conftest import MakePool

#: sched_getattr.
_NUMBERS = {"x86_64": 315, "aarch64": 275}
_NUMBER = _NUMBERS.get(os.uname().machine) if sys.platform == "linux" else None
_ATTRIBUTES = struct.Struct("IIQiIQQQ")


def _slice() -> int:
    """Return the calling thread's slice in nanoseconds; 0 if the kernel does not tell."""
    buffer = ctypes.create_string_buffer(_ATTRIBUTES.size)
    ctypes.CDLL(None, use_errno=True).syscall(_NUMBER, 0, buffer, len(buffer), 0)
    runtime: int = _ATTRIBUTES.unpack(buffer.raw)[5]
    return runtime


pytestmark = [
    pytest.mark.skipif(_NUMBER is None or not _slice(), reason="the kernel has no such slices"),
    pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="it is for more than one core"),
]


def test_a_worker_with_long_jobs_has_a_longer_slice_than_the_hub(make_pool: MakePool) -> None:
    pool = make_pool(1)
    pool.apply(time.sleep, (0.01,))
    assert pool.apply(_slice) > _slice()


def test_a_worker_with_short_jobs_has_the_hubs(make_pool: MakePool) -> None:
    pool = make_pool(1)

    def is_usual() -> bool:
        # What went before may have taken long by chance.
        pool.apply(int)
        return pool.apply(_slice) == _slice()

    until(is_usual)
    pool.apply(time.sleep, (0.01,))
    assert pool.apply(_slice) > _slice()
    until(is_usual)


def test_long_items_of_a_map_count_and_short_ones_do_not(make_pool: MakePool) -> None:
    pool = make_pool(1)
    assert pool.map(lambda _: time.sleep(0.01) or _slice(), range(5))[-1] > _slice()
    until(lambda: pool.map(lambda _: _slice(), range(20_000))[-1] == _slice())


def test_a_workers_policy_and_niceness_stay(make_pool: MakePool) -> None:
    pool = make_pool(1)

    def nice() -> tuple[int, int]:
        os.setpriority(os.PRIO_PROCESS, 0, min(19, os.getpriority(os.PRIO_PROCESS, 0) + 1))
        time.sleep(0.01)
        return os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)

    policy = pool.apply(nice)
    assert pool.apply(_slice) > _slice()
    assert (
        pool.apply(lambda: (os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0))) == policy
    )
