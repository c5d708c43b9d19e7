"""The pool does what gevent's page says."""

from __future__ import annotations

import threading

import gevent
import pytest
from gevent.exceptions import InvalidThreadUseError

import hubpool


def test_spawn_returns_the_value(pool: hubpool.ThreadPool) -> None:
    assert pool.spawn(pow, 2, 10).get() == 1024
    assert len(pool) == 0


def test_apply_raises_what_the_function_raises(pool: hubpool.ThreadPool) -> None:
    with pytest.raises(ZeroDivisionError):
        pool.apply(lambda: 1 / 0)


def test_maps_keep_order(pool: hubpool.ThreadPool) -> None:
    numbers = range(5000)
    assert pool.map(str, numbers) == [str(n) for n in numbers]
    assert list(pool.imap(pow, numbers, [2] * 5000)) == [n * n for n in numbers]
    assert sorted(pool.imap_unordered(abs, numbers)) == list(numbers)
    assert list(pool.imap(abs, (n for n in numbers), maxsize=3)) == list(numbers)


def test_a_task_runs_in_another_named_thread(pool: hubpool.ThreadPool) -> None:
    name = pool.apply(lambda: threading.current_thread().name)
    assert name.startswith("hubpool-")


def test_bad_input_leaves_the_pool_usable(pool: hubpool.ThreadPool) -> None:
    with pytest.raises(ValueError, match="negative"):
        pool.maxsize = -1
    with pytest.raises(TypeError, match="integer"):
        pool.maxsize = 1.5  # type: ignore[assignment]
    with pytest.raises(ValueError, match="bigger"):
        pool.size = 3
    with pytest.raises(TypeError, match="callable"):
        pool.spawn(None)  # type: ignore[arg-type]
    assert pool.apply(abs, (-1,)) == 1


def test_spawn_in_another_thread_is_refused(pool: hubpool.ThreadPool) -> None:
    other = hubpool.ThreadPool(1)
    with pytest.raises(InvalidThreadUseError):
        other.apply(lambda: pool.spawn(abs, 1))
    other.kill()


def test_waiting_for_the_pool_lets_greenlets_run(pool: hubpool.ThreadPool) -> None:
    gate = threading.Event()
    gevent.spawn(gate.set)
    assert pool.apply(gate.wait, (30,))
    pool.join()
