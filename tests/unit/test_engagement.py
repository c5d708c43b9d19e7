"""How a pool takes part in its hub's life, and how it is seen."""

from __future__ import annotations

import gc
import io
import threading
from typing import TYPE_CHECKING

import gevent
import gevent.util
from gates import LIMIT, fail, pool_threads, settle, until

import hubpool

if TYPE_CHECKING:
    import pytest
    from conftest import MakePool
    from gates import Gate


def _run_info() -> str:
    stream = io.StringIO()
    gevent.util.print_run_info(file=stream)
    return stream.getvalue()


def test_gevent_waits_for_outstanding_tasks(pool: hubpool.ThreadPool, gate: Gate) -> None:
    results = [pool.spawn(gate, number) for number in range(3)]
    # When this has run, nothing but the tasks keeps the loop alive.
    gevent.spawn(gate.open)
    assert gevent.wait()
    assert [result.ready() for result in results] == [True] * 3


def test_gevent_waits_for_a_running_map(pool: hubpool.ThreadPool, gate: Gate) -> None:
    mapped = pool.map_async(gate, [1, 2, 3])
    gate.await_entered(2)
    gevent.spawn(gate.open)
    assert gevent.wait()
    assert mapped.ready()
    assert mapped.get() == [1, 2, 3]


def test_an_idle_pool_keeps_no_loop_alive(pool: hubpool.ThreadPool) -> None:
    pool.map(abs, range(10))
    pool.apply(abs, (-1,))
    assert pool.size > 0
    assert gevent.get_hub().join(timeout=LIMIT)


def test_a_map_that_waits_for_its_reader_keeps_no_loop_alive(pool: hubpool.ThreadPool) -> None:
    results = pool.imap(abs, range(10), maxsize=2)
    assert gevent.get_hub().join(timeout=LIMIT)
    assert list(results) == list(range(10))


def test_a_lone_pending_task_is_waited_for(pool: hubpool.ThreadPool, gate: Gate) -> None:
    gevent.spawn(gate.open)
    assert pool.spawn(gate, 5).get() == 5


def test_a_lone_wait_for_a_slot_goes_on(make_pool: MakePool, gate: Gate) -> None:
    pool = make_pool(1)
    held = [pool.spawn(gate), pool.spawn(gate)]
    gevent.spawn(gate.open)
    assert pool.spawn(abs, -1).get() == 1
    assert all(result.ready() for result in held)


def test_a_lone_join_or_kill_goes_on(pool: hubpool.ThreadPool, gate: Gate) -> None:
    results = [pool.spawn(gate), pool.spawn(gate)]
    gevent.spawn(gate.open)
    pool.join()
    assert all(result.ready() for result in results)
    pool.kill()
    assert pool.size == 0


def test_a_busy_worker_is_shown_with_its_stack(pool: hubpool.ThreadPool, gate: Gate) -> None:
    pool.spawn(gate)
    gate.await_entered()
    info = _run_info()
    (worker,) = pool._worker_greenlets
    assert f"<ThreadPoolWorker at 0x{id(worker):x} thread_ident=0x{worker._thread_ident:x}" in info
    (section,) = (
        part
        for part in info.split("*" * 80)
        if part.strip().startswith(f"Thread 0x{worker._thread_ident:x} ")
    )
    assert "in __call__" in section
    assert "idle threadpool worker" not in section


def test_a_worker_is_the_root_of_a_tree(pool: hubpool.ThreadPool, gate: Gate) -> None:
    pool.spawn(gate)
    gate.await_entered()
    (worker,) = pool._worker_greenlets
    roots = [tree.greenlet for tree in gevent.util.GreenletTree.forest()]
    assert roots.count(worker) == 1
    assert worker.parent not in roots


def test_an_idle_worker_is_shown_as_gevent_shows_its_own(pool: hubpool.ThreadPool) -> None:
    pool.apply(abs, (-1,))
    (worker,) = pool._worker_greenlets
    mark = f"Thread 0x{worker._thread_ident:x} (idle threadpool worker)"
    until(lambda: mark in _run_info())
    section = _run_info().split(mark)[1].split("*" * 80)[0]
    assert section.count("File ") == 0


def test_threading_knows_a_worker_by_its_name_while_it_runs_a_task(
    pool: hubpool.ThreadPool, gate: Gate
) -> None:
    before = threading.enumerate()
    result = pool.spawn(lambda: gate(threading.current_thread()))
    gate.await_entered()
    (worker,) = set(threading.enumerate()) - set(before)
    assert worker.name.startswith("hubpool-")
    gate.open()
    assert result.get() is worker
    until(lambda: threading.enumerate() == before)


def test_destroying_a_hub_ends_the_threads_of_its_pool() -> None:
    before = set(pool_threads())
    sizes: list[object] = []

    def live() -> None:
        hub = gevent.get_hub()
        pool = hubpool.ThreadPool(2, hub=hub)
        hub.threadpool = pool  # type: ignore[assignment]
        sizes.append(pool.apply(abs, (-1,)))
        sizes.append(pool.map(abs, range(100)) == list(range(100)))
        sizes.append(pool.size > 0)
        hub.destroy(destroy_loop=True)
        sizes.append(pool.size)

    thread = threading.Thread(target=live)
    thread.start()
    thread.join(LIMIT)
    assert sizes == [1, True, True, 0]
    until(lambda: not set(pool_threads()) - before)


def test_a_dropped_pool_ends_its_threads() -> None:
    before = set(pool_threads())
    pool = hubpool.ThreadPool(2)
    pool.map(abs, range(100))
    pool.apply(abs, (-1,))
    assert pool.size > 0
    del pool
    gc.collect()
    until(lambda: not set(pool_threads()) - before)
    assert set(pool_threads()) <= before


def test_a_worker_has_one_name_for_threading_and_for_the_system(
    pool: hubpool.ThreadPool,
) -> None:
    def names() -> tuple[str, str]:
        with open(f"/proc/self/task/{threading.get_native_id()}/comm", encoding="utf-8") as file:
            return threading.current_thread().name, file.read().strip()

    name, comm = pool.apply(names)
    assert name == comm
    assert name.startswith("hubpool-")


def test_workers_have_different_names(pool: hubpool.ThreadPool, gate: Gate) -> None:
    def name() -> str:
        gate()
        return threading.current_thread().name

    results = [pool.spawn(name), pool.spawn(name)]
    gate.await_entered(2)
    gate.open()
    assert len({result.get() for result in results}) == 2


def test_threading_forgets_a_worker_that_has_ended(pool: hubpool.ThreadPool) -> None:
    name = pool.apply(lambda: threading.current_thread().name)
    pool.kill()
    assert name not in {thread.name for thread in threading.enumerate()}


def test_the_hub_that_a_task_makes_in_a_worker_is_destroyed_with_it(
    make_pool: MakePool,
) -> None:
    pool = make_pool(1)

    def make_hub() -> gevent.hub.Hub:
        gevent.sleep(0)
        return gevent.get_hub()

    hub = pool.apply(make_hub)
    assert hub is not gevent.get_hub()
    assert pool.apply(make_hub) is hub
    assert hub.name == "ThreadPool Worker Hub"
    pool.kill()
    until(lambda: hub.loop is None)


def test_an_error_leaves_no_loop_alive(
    pool: hubpool.ThreadPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gevent.get_hub(), "exception_stream", None)
    result = pool.spawn(fail)
    settle()
    assert gevent.get_hub().join(timeout=LIMIT)
    assert isinstance(result.exception, ZeroDivisionError)
