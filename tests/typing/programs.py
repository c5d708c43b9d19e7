"""Small programs for type checkers. Each line marked `error` must be refused, and no other may.

Nothing here is run.
"""

from __future__ import annotations

import concurrent.futures
from concurrent.futures import Future, as_completed
from typing import TYPE_CHECKING

from typing_extensions import assert_type

import hubpool
from hubpool import IMap, IMapUnordered, ThreadPool, ThreadPoolExecutor, from_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gevent.event import AsyncResult


def describe(number: int, suffix: str = "") -> bytes:
    return f"{number}{suffix}".encode()


def add(first: int, second: float) -> float:
    return first + second


def nothing() -> str:
    return ""


def futures_are_the_standard_librarys(executor: ThreadPoolExecutor) -> None:
    for done in as_completed([executor.submit(describe, 1)]):
        assert_type(done.result(), bytes)
    futures: list[Future[bytes]] = [executor.submit(describe, number) for number in range(3)]
    inferred = [executor.submit(describe, 1)]
    futures += inferred
    assert_type(futures[0].result(timeout=1), bytes)
    names: dict[Future[int], str] = {executor.submit(int): "zero"}
    concurrent.futures.wait(names)
    mapped: Iterator[bytes] = executor.map(describe, [1, 2])
    del mapped
    with executor as the_same:
        the_same.submit(describe, 1, suffix="!")
    executor.submit(describe, "one")  # error
    executor.submit(describe, 1, suffix=2)  # error
    executor.submit(nothing, 1)  # error
    wrong: list[Future[str]] = [executor.submit(describe, 1)]  # error
    del wrong


def tasks(pool: ThreadPool) -> None:
    result: AsyncResult[bytes] = pool.spawn(describe, 1, suffix="!")
    value: bytes | None = result.get()  # gevent's stubs say so.
    del value
    assert_type(pool.cancel(result), bool)
    pool.spawn(describe, "one")  # error
    pool.spawn(describe)  # error
    pool.spawn(describe, 1, prefix="!")  # error
    pool.spawn(3)  # error
    assert_type(pool.submit_threadsafe(describe, 1), "Future[bytes]")
    pool.submit_threadsafe(describe, "one")  # error


def calls(pool: ThreadPool) -> None:
    assert_type(pool.apply(nothing), str)
    assert_type(pool.apply(describe, (1,)), bytes)
    assert_type(pool.apply(describe, (1, "!")), bytes)
    assert_type(pool.apply(describe, [1]), bytes)
    assert_type(pool.apply(describe, (1,), {"suffix": "!"}), bytes)
    assert_type(pool.apply(describe, kwds={"number": 1}), bytes)
    pool.apply(describe, ("one",))  # error
    pool.apply(nothing, (1,))  # error
    pool.apply(describe, 1)  # error


def maps(pool: ThreadPool) -> None:
    assert_type(pool.map(describe, [1, 2]), list[bytes])
    assert_type(pool.imap(describe, range(3)), IMap[bytes])
    assert_type(pool.imap_unordered(describe, range(3)), IMapUnordered[bytes])
    assert_type(pool.imap(add, [1], [2.0], maxsize=3), IMap[float])
    results = pool.imap(describe, [1])
    for name in results:
        assert_type(name, bytes)
    assert_type(next(results), bytes)
    results.kill()
    pool.map(describe, ["one"])  # error
    pool.map(describe, 1)  # error
    pool.imap(describe, ["one"])  # error


def pools() -> None:
    pool = ThreadPool(2, None, 1.5, copy_context=True, report_errors="never")
    assert_type(pool.join(timeout=0.5), bool)
    pool.kill(drop_queued=True)
    pool.maxsize = 3
    hubpool.set_thread_limit(None)
    ThreadPool("2")  # error
    ThreadPool(2, report_errors="sometimes")  # error
    hubpool.set_thread_limit("3")  # error
    pool.size = "3"  # error


def back_into_the_hub() -> None:
    assert_type(from_thread.run(describe, 1), bytes)
    from_thread.run(describe, "one")  # error
