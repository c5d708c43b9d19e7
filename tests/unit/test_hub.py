"""The pool and its hub: waiting, run info, names, the hub's end, a fork."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gevent
import gevent.util
import pytest

import hubpool

if TYPE_CHECKING:
    from collections.abc import Callable


def test_gevent_wait_waits_for_outstanding_tasks_and_for_nothing_else() -> None:
    # Not with the shared pool: its time limit would be waited for, too.
    pool = hubpool.ThreadPool(2)
    gate = threading.Event()
    result = pool.spawn(gate.wait, 30)
    gevent.spawn(gate.set)
    assert gevent.wait()
    assert result.get()
    assert pool.size == 1
    assert gevent.wait()
    pool.kill()


def test_run_info_shows_busy_workers(pool: hubpool.ThreadPool) -> None:
    gate, begun = threading.Event(), threading.Event()

    def a_task_to_be_seen() -> bool:
        begun.set()
        return gate.wait(30)

    result = pool.spawn(a_task_to_be_seen)
    while not begun.is_set():
        gevent.sleep(0.001)
    info = "\n".join(gevent.util.format_run_info())
    assert "a_task_to_be_seen" in info
    gate.set()
    assert result.get()


def test_worker_threads_are_named_for_the_system(pool: hubpool.ThreadPool) -> None:
    def names() -> tuple[str, str]:
        task = Path("/proc/self/task", str(threading.get_native_id()), "comm")
        return threading.current_thread().name, task.read_text().strip()

    name, system = pool.apply(names)
    assert name.startswith("hubpool-")
    assert system == name[:15]


def test_destroying_a_hub_ends_its_pools_threads() -> None:
    sizes: list[int] = []

    def live() -> None:
        hub: Any = gevent.get_hub()
        hub.threadpool = pool = hubpool.ThreadPool(2, hub)
        pool.size = 2
        assert pool.map(abs, [-1, -2]) == [1, 2]
        hub.destroy(True)
        sizes.append(pool.size)

    before = threading.active_count()
    thread = threading.Thread(target=live)
    thread.start()
    thread.join()
    assert sizes == [0]
    assert threading.active_count() == before


def _fork_raw() -> int:
    return os.fork()


def _fork_gevent() -> int:
    pid: int = gevent.os.fork()  # type: ignore[attr-defined]
    return pid


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize("fork", [_fork_raw, _fork_gevent])
def test_parent_and_child_go_on_after_a_fork(
    pool: hubpool.ThreadPool, fork: Callable[[], int]
) -> None:
    gate = threading.Event()
    mine = [pool.spawn(gate.wait, 30) for _ in range(3)]
    pid = fork()
    if pid == 0:
        status = 1
        try:
            with gevent.Timeout(20):
                fine = len(pool) == 0 and pool.hub is gevent.get_hub()
                fine = fine and pool.apply(abs, (-7,)) == 7
                fine = fine and pool.map(abs, range(100)) == list(range(100))
                status = 0 if fine else 2
        finally:
            os._exit(status)
    gate.set()
    assert all(result.get() for result in mine)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert pool.map(abs, [-1, -2]) == [1, 2]
