"""The rows: what is measured, on how many threads, and against whom."""

from __future__ import annotations

import functools
import hashlib
import os
import socket
import time
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import gevent

import bare
import costs
import crawl
import executor_in_turn
import main_job
import sides
import start
import waiting
import web
from files import Files, read
from measure import Row, timing
from sides import noop
from ticker import lateness

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from measure import Sampler
    from sides import Side

FEW = 20
BURST = 5_000
MANY = 20_000
POOLS = (1, 2, 10)


@dataclass(frozen=True)
class Work:
    """What a side is to do."""

    name: str
    run: Callable[[Any], None]
    #: How many a run has; what is told is one task's.
    tasks: int
    #: What bare threads do instead, and which kind of them.
    floor: Callable[[Any], None] | None = None
    bare: Side = bare.TOLD


# The functions that a run consists of.


def identity(item: int) -> int:
    """Return the item."""
    return item


def apply(pool: Any) -> None:
    """Call and wait, one after the other."""
    for _ in range(FEW):
        pool.apply(noop)


def spawn_get(pool: Any) -> None:
    """Do the same in two steps."""
    for _ in range(FEW):
        pool.spawn(noop).get()


def apply_at_once(pool: Any) -> None:
    """Call and wait, in as many greenlets as there are calls."""
    gevent.joinall([gevent.spawn(pool.apply, noop) for _ in range(FEW)], raise_error=True)


def spawn_burst(pool: Any) -> None:
    """Spawn many, then wait for all."""
    for result in [pool.spawn(noop) for _ in range(BURST)]:
        result.get()


def submit_result(executor: Any) -> None:
    """Submit and wait, one after the other."""
    for _ in range(FEW):
        executor.submit(noop).result()


def submit_burst(executor: Any) -> None:
    """Submit many, then wait for all."""
    for future in [executor.submit(noop) for _ in range(BURST)]:
        future.result()


def await_burst(subject: sides.Asyncio) -> None:
    """Await many at once."""
    subject.burst(BURST)


def queued(calls: int) -> Callable[[bare.Queued], None]:
    """Have bare threads take this number of calls from a queue."""

    def run(threads: bare.Queued) -> None:
        threads.burst(noop, calls)

    return run


def mapping(name: str, func: Callable[[Any], Any], items: list[Any], method: str = "map") -> Work:
    """Map a function over the items, and take all results."""

    def run(pool: Any) -> None:
        results = getattr(pool, method)(func, items)
        # To count what is a list already would only keep the hub's thread busy.
        count = len(results) if isinstance(results, list) else sum(1 for _ in results)
        assert count == len(items)

    return Work(name, run, len(items))


def noop_map(items: int, method: str = "map") -> Work:
    """Map a function that does nothing."""
    ones = [1] * items

    def floor(threads: bare.Told) -> None:
        threads.map(identity, ones)

    work = mapping(f"{method} of {items:,} that do nothing", identity, ones, method)
    return replace(work, floor=floor)


@functools.cache
def files() -> Files:
    """Return this process's."""
    return Files()


def look_up(host: str) -> Any:
    """Ask the system's resolver, which answers from a file."""
    return socket.getaddrinfo(host, 80)


def count_to(number: int) -> None:
    """Hold the interpreter, as far as it lets a thread."""
    for _ in range(number):
        pass


@functools.cache
def count_of_a_millisecond() -> int:
    """Return how far a millisecond's count goes here."""
    number = 20_000

    def seconds() -> float:
        start = time.perf_counter()
        count_to(number)
        return time.perf_counter() - start

    return round(number * 0.001 / min(seconds() for _ in range(9)))


TEXT = os.urandom(32 << 10).hex().encode()
DATA = os.urandom(256 << 10)

APPLY = Work("apply", apply, FEW, apply, bare.IN_TURN)
SPAWN_GET = Work("spawn, get", spawn_get, FEW, apply, bare.IN_TURN)
AT_ONCE = Work(f"apply from {FEW} greenlets at once", apply_at_once, FEW, queued(FEW), bare.QUEUED)
SPAWN_BURST = Work(f"{BURST:,} spawn, then all get", spawn_burst, BURST, queued(BURST), bare.QUEUED)
SUBMIT_RESULT = Work("submit, result", submit_result, FEW, apply, bare.IN_TURN)
SUBMIT_BURST = Work(
    f"{BURST:,} submit, then all result", submit_burst, BURST, queued(BURST), bare.QUEUED
)
SHA_APPLY = Work(
    "SHA-256, 256 KiB, from 10 greenlets", lambda pool: pool.apply(hashlib.sha256, (DATA,)), 1
)


def zlib_map(items: int) -> Work:
    """Compress 64 KiB."""
    return mapping("map of zlib, 64 KiB", zlib.compress, [TEXT] * items)


def sha_map(items: int) -> Work:
    """Hash 256 KiB."""
    return mapping("map of SHA-256, 256 KiB", hashlib.sha256, [DATA] * items)


# The rows, by section.


def rows() -> Iterator[Row]:
    """List all rows."""
    for felt in (main_job, web, waiting, crawl, start, executor_in_turn):
        yield from felt.rows()
    yield from calls()
    yield from hindered()
    yield from maps()
    yield from outstanding()
    yield from useful()
    yield from busy_ticker()
    yield from executors()
    yield from others()
    yield from beside_the_work()


def timed(section: str, pair: tuple[Side, ...], work: Work, threads: int, **more: Any) -> Row:
    """Make the row that times both sides, hubpool's first, and the floor of the work."""
    ours, peer = (timing(sides.of(side, threads), work.run, work.tasks) for side in pair)
    return Row(section, work.name, ours, peer, threads, **{"floor": floor(work, threads), **more})


def floor(work: Work, threads: int) -> Sampler | None:
    """Make what times the floor of the work, if the work has one."""
    if work.floor is None:
        return None
    return timing(sides.of(work.bare, threads), work.floor, work.tasks)


def calls() -> Iterator[Row]:
    """List single calls, and bursts of them."""
    for work, libuv in ((APPLY, 1), (SPAWN_GET, 1), (AT_ONCE, 10), (SPAWN_BURST, 10)):
        for threads in POOLS:
            yield timed("Calls", sides.BOTH_POOLS, work, threads, libuv=threads == libuv)


def hindered() -> Iterator[Row]:
    """List single calls while others need the cores, too."""
    section = "Calls beside a busy program"
    alone = replace(APPLY, bare=sides.hindered(APPLY.bare))
    yield timed(section, sides.HINDERED, alone, 1, libuv=True, weight=2)
    burst = replace(SPAWN_BURST, bare=sides.hindered(SPAWN_BURST.bare))
    yield timed(section, sides.HINDERED, burst, 10)


def maps() -> Iterator[Row]:
    """List maps of a function that does nothing."""
    for method in ("map", "imap", "imap_unordered"):
        for items in (FEW, MANY):
            for threads in POOLS:
                yield timed(
                    "Maps",
                    sides.BOTH_POOLS,
                    noop_map(items, method),
                    threads,
                    libuv=method == "map" and threads == 10,
                )


def outstanding() -> Iterator[Row]:
    """List single calls beside tasks that wait in another pool of the same hub."""
    for tasks in (100, 1_000, 10_000, 50_000):
        work = replace(APPLY, name=f"apply while {tasks:,} are outstanding")
        yield timed(
            "Calls beside outstanding tasks",
            sides.beside(tasks),
            work,
            1,
            shown="both",
            libuv=tasks == 50_000,
        )


def useful() -> Iterator[Row]:
    """List maps of what a pool is for."""
    for work in (
        mapping("map of os.stat", os.stat, [files().path] * 500),
        mapping("map of reading 4 KiB", read, [files().path] * 500),
        mapping("map of an SQLite query", files().query, list(range(500))),
        mapping("map of getaddrinfo", look_up, ["localhost"] * 200),
    ):
        yield timed("Blocking calls", sides.BOTH_POOLS, work, 10)
    for work in (zlib_map(20), sha_map(100)):
        for threads in (2, 10):
            yield timed("Computing", sides.BOTH_POOLS, work, threads)


def busy_ticker() -> Iterator[Row]:
    """List how late a ticker runs beside a busy pool."""
    python_map = mapping("map of 1 ms of Python", count_to, [count_of_a_millisecond()] * 100)
    for work, greenlets, libuv in (
        (noop_map(MANY), 1, False),
        (replace(APPLY, name="apply in a loop"), 1, False),
        (zlib_map(40), 1, False),
        (sha_map(200), 1, True),
        (python_map, 1, True),
        (SHA_APPLY, 10, False),
    ):
        ours, peer, rung = (
            lateness(sides.of(side, 10), work.run, work.tasks, greenlets)
            for side in (*sides.BOTH_POOLS, sides.RUNG)
        )
        yield Row(
            "Lateness of a 1 ms ticker (99th percentile) beside a busy pool "
            "(floor: beside a thread that wakes the loop)",
            work.name,
            ours,
            peer,
            10,
            shown="both",
            libuv=libuv,
            floor=None if work.floor is None else rung,
            weight=2,
            pairs=5,
        )


def executors() -> Iterator[Row]:
    """List executors, against gevent's and the standard library's."""
    for name, peer in (
        ("gevent's", sides.GEVENT_EXECUTOR),
        ("the standard library's", sides.STDLIB_EXECUTOR),
    ):
        for work in (SUBMIT_RESULT, SUBMIT_BURST, noop_map(BURST)):
            for threads in (1, 10):
                yield timed(
                    f"ThreadPoolExecutor, against {name}",
                    (sides.HUBPOOL_EXECUTOR, peer),
                    work,
                    threads,
                    libuv=work is SUBMIT_RESULT and threads == 1,
                )


def others() -> Iterator[Row]:
    """List what programs do instead."""
    section = "Against asyncio.to_thread"
    awaited = replace(SPAWN_BURST, name=f"{BURST:,} calls awaited at once", run=await_burst)
    stdlib = timing(sides.of(sides.STDLIB_ASYNCIO, 10), await_burst, BURST)
    spawned = timing(sides.of(sides.HUBPOOL, 10), spawn_burst, BURST)
    name = f"{awaited.name}, or spawned"
    yield Row(section, name, spawned, stdlib, 10, floor=floor(SPAWN_BURST, 10))
    awaited = replace(awaited, name=f"{awaited.name}, hubpool's executor in asyncio too")
    yield timed(section, (sides.HUBPOOL_ASYNCIO, sides.STDLIB_ASYNCIO), awaited, 10)
    for threads in POOLS:
        pair = (sides.HUBPOOL, sides.INLINE)
        yield timed("Against [f(x) for x in xs]", pair, noop_map(MANY), threads)
    section = "Against what no pool can do without"
    for work, against in (
        (AT_ONCE, "greenlets that do nothing"),
        (SPAWN_BURST, "results set at once"),
    ):
        row = replace(work, name=f"{work.name}, against {against}", floor=None)
        yield timed(section, (sides.HUBPOOL, sides.INLINE), row, 10, shown="both")


def beside_the_work() -> Iterator[Row]:
    """List what a pool costs beside its work."""
    # Over some seconds.
    idle: dict[str, Any] = {"unit": "s of CPU/s", "shown": "values", "weight": 2.5, "pairs": 1}
    memory: dict[str, Any] = {"unit": "bytes", "pairs": 3}
    for name, peer, work, threads, more in (
        ("idle", "gevent", "CPU of an idle pool", 10, idle),
        ("memory", "gevent", "memory of a queued task", 1, memory),
        ("executor-memory", "stdlib", "memory of a queued task of an executor", 1, memory),
        ("first", "gevent", "first result of a process's first pool", 1, {}),
        ("import", "gevent", "import (hubpool's imports gevent's)", None, {}),
    ):
        ours, theirs = (costs.in_new_process(name, side) for side in ("hubpool", peer))
        yield Row(
            "Costs beside the work (executor: against the standard library's)",
            work,
            ours,
            theirs,
            threads,
            libuv=name in ("idle", "memory", "first"),
            **{"shown": "both", **more},
        )
