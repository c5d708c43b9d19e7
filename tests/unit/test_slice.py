"""Workers whose jobs compute ask the kernel for longer slices than the hub's thread has."""

from __future__ import annotations

import ctypes
import hashlib
import os
import struct
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from gates import until

if TYPE_CHECKING:
    from conftest import MakePool

    from hubpool import ThreadPool

#: sched_setattr and sched_getattr.
_NUMBERS = {"x86_64": (314, 315), "aarch64": (274, 275)}
_SET, _GET = (sys.platform == "linux" and _NUMBERS.get(os.uname().machine)) or (0, 0)
_ATTRIBUTES = struct.Struct("IIQiIQQQ")
_LIBC = ctypes.CDLL(None)


def _attributes() -> list[int]:
    buffer = ctypes.create_string_buffer(_ATTRIBUTES.size)
    _LIBC.syscall(_GET, 0, buffer, len(buffer), 0)
    return list(_ATTRIBUTES.unpack(buffer.raw))


def _slice() -> int:
    """Return the calling thread's slice in nanoseconds; 0 if the kernel does not tell."""
    return _attributes()[5]


def _set_slice(nanoseconds: int) -> bool:
    """Set it. Return whether the kernel lets it."""
    attributes = _attributes()
    attributes[5] = nanoseconds
    return _LIBC.syscall(_SET, 0, _ATTRIBUTES.pack(*attributes), 0) == 0


def _compute(_: object = None) -> int:
    """Use a core for some milliseconds; return the slice."""
    hashlib.sha256(bytes(4 << 20))
    return _slice()


def _have_it_compute(pool: ThreadPool) -> None:
    """Let the pool's only worker compute until it has a longer slice."""
    until(lambda: pool.apply(_compute) > _slice())


pytestmark = [
    pytest.mark.skipif(
        not (_GET and _slice() and _set_slice(_slice())), reason="the kernel has no such slices"
    ),
    pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="it is for more than one core"),
]


def test_a_worker_that_computes_has_a_longer_slice_than_the_hub(make_pool: MakePool) -> None:
    pool = make_pool(1)
    assert pool.apply(_slice) == _slice()
    _have_it_compute(pool)
    assert pool.apply(_compute) > _slice()


def test_a_worker_with_short_jobs_has_the_hubs(make_pool: MakePool) -> None:
    pool = make_pool(1)
    _have_it_compute(pool)
    until(lambda: pool.apply(_slice) == _slice())


def test_items_of_a_map_that_compute_count_and_those_that_wait_do_not(make_pool: MakePool) -> None:
    pool = make_pool(1)
    until(lambda: pool.map(_compute, range(5))[-1] > _slice())
    until(lambda: pool.map(lambda _: time.sleep(0.001) or _slice(), range(5))[-1] == _slice())


def test_what_a_job_that_computes_starts_has_the_usual_slice(make_pool: MakePool) -> None:
    pool = make_pool(1)
    slices: list[int] = []

    def start() -> int:
        thread = threading.Thread(target=lambda: slices.append(_slice()))
        thread.start()
        thread.join()
        return _compute()

    until(lambda: pool.apply(start) > _slice())
    assert set(slices) == {_slice()}


def test_a_slice_of_the_programs_comes_back(make_pool: MakePool) -> None:
    pool = make_pool(1)
    mine = 400_000
    assert pool.apply(_set_slice, (mine,))
    until(lambda: pool.apply(_compute) > mine)
    until(lambda: pool.apply(_slice) == mine)


def test_a_workers_policy_and_niceness_stay(make_pool: MakePool) -> None:
    pool = make_pool(1)

    def be_nicer() -> tuple[int, int]:
        niceness = os.getpriority(os.PRIO_PROCESS, 0)
        os.setpriority(os.PRIO_PROCESS, 0, min(19, max(0, niceness) + 1))
        return kind()

    def kind() -> tuple[int, int]:
        policy = os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK
        return policy, os.getpriority(os.PRIO_PROCESS, 0)

    nicer = pool.apply(be_nicer)
    _have_it_compute(pool)
    assert pool.apply(kind) == nicer
