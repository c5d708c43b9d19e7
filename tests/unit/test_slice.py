"""A worker that computes asks for a longer slice than the hub's; one that waits does not."""

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

from hubpool import ThreadPool

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="slices are Linux's")

#: A struct sched_attr: its policy, nice value and slice are what is looked at.
ATTRIBUTES = struct.Struct("IIQiIQQQII")
GETATTR = {"x86_64": 315, "aarch64": 275}[os.uname().machine]
DATA = bytes(1 << 20)


def attributes() -> tuple[int, int, int]:
    """Return the calling thread's policy, nice value, and slice in nanoseconds."""
    buffer = ctypes.create_string_buffer(ATTRIBUTES.size)
    assert ctypes.CDLL(None).syscall(GETATTR, 0, buffer, ATTRIBUTES.size, 0) == 0
    _, policy, _, nice, _, nanos, *_ = ATTRIBUTES.unpack(buffer.raw)
    return policy, nice, nanos


def longer(usual: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return what a thread that computes has; the same where the system knows no slices."""
    policy, nice, nanos = usual
    return policy, nice, nanos and 10_000_000


def compute(seconds: float) -> None:
    """Hash for so many seconds of CPU."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        hashlib.sha256(DATA)


def compute_and_look(seconds: float) -> tuple[int, int, int]:
    """Do that, and return the thread's attributes."""
    compute(seconds)
    return attributes()


def comes_to(wanted: tuple[int, int, int], work: Callable[[], tuple[int, int, int]]) -> bool:
    """Whether the work returns that at last: other programs may have the cores meanwhile."""
    return any(work() == wanted for _ in range(100))


def test_a_worker_has_a_longer_slice_while_it_computes() -> None:
    usual = attributes()
    pool = ThreadPool(1)

    def after(task: Callable[[float], object]) -> tuple[int, int, int]:
        pool.apply(task, (0.02,))
        return pool.apply(attributes)

    assert pool.apply(attributes) == usual
    assert comes_to(longer(usual), lambda: after(compute))
    assert comes_to(usual, lambda: after(time.sleep))


def test_a_worker_of_a_map_has_a_longer_slice_while_it_computes() -> None:
    usual = attributes()
    pool = ThreadPool(1)
    assert comes_to(longer(usual), lambda: pool.map(compute_and_look, [0.02] * 4)[-1])
    assert attributes() == usual


def test_a_slice_keeps_what_else_a_task_has_set() -> None:
    policy, nice, nanos = attributes()
    pool = ThreadPool(1)
    thread = pool.apply(threading.get_native_id)
    os.setpriority(os.PRIO_PROCESS, thread, nice + 1)
    nicer = (policy, nice + 1, nanos)
    assert comes_to(longer(nicer), lambda: pool.map(compute_and_look, [0.02] * 4)[-1])
    pool.apply(time.sleep, (0.02,))
    assert comes_to(nicer, lambda: pool.apply(attributes))
