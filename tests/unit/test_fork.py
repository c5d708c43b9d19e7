"""A fork leaves parent and child with pools that work."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import gevent
import gevent.os
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    import hubpool


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
