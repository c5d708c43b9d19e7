"""Loads hubpool at random from many greenlets and threads, and counts what became of each task.

Tasks come by every way that there is, fail at random, and are waited for, given up or
cancelled; pools change their sizes, are killed, with and without their queues, and are
dropped meanwhile. At the end every task must have ended exactly once: its function was run
once, or not at all if the task was withdrawn, and whoever waited got the one outcome. And
threads, descriptors and memory must be back where they were.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import random
import sys
import threading
import time
from collections import Counter
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

import gevent
from rich.console import Console
from rich.table import Table

import hubpool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: What RSS may grow by, in MiB, from the end of the first tenth of the run.
MEMORY = 32
#: The most seconds that anything may take to end.
LIMIT = 60


class InjectedError(Exception):
    """What a task raises on purpose."""


class Task:
    """One task: what it is to do, and how often it has."""

    __slots__ = ("cancelled", "expected", "runs", "seconds", "withdrawn")

    def __init__(self, dice: random.Random) -> None:
        self.runs = 0
        #: Whether it has been said that it will not be run, and whether it may not be.
        self.cancelled = self.withdrawn = False
        self.seconds = 0.0 if dice.random() < 0.95 else dice.random() / 500
        self.expected = InjectedError if dice.random() < 0.05 else None

    def __call__(self) -> Task:
        self.runs += 1
        if self.seconds:
            time.sleep(self.seconds)
        if self.expected is not None:
            raise self.expected
        return self


def run(task: Task) -> Task:
    """Run a map's item."""
    return task()


class Load:
    """The pools, the tasks that are under way, and what has been counted."""

    def __init__(self, seed: int, greenlets: int) -> None:
        self.dice = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.end = False
        self.greenlets = greenlets
        self.pools = [self._new_pool() for _ in range(4)]
        self.executor = hubpool.ThreadPoolExecutor(4)
        #: Not yet accounted for: they may still be running somewhere.
        self.unsettled: list[Task] = []

    def _new_pool(self) -> hubpool.ThreadPool:
        return hubpool.ThreadPool(
            self.dice.randint(1, 8),
            idle_task_timeout=self.dice.choice([-1, -1, 0.001]),
            report_errors="never",
        )

    def pool(self) -> hubpool.ThreadPool:
        """Return any of the pools."""
        return self.dice.choice(self.pools)

    def settle(self, task: Task, read: Callable[[], Any]) -> None:
        """Get the one outcome of a task, and see that it is right."""
        try:
            with gevent.Timeout(LIMIT):
                value = read()
        except CancelledError:
            task.cancelled = task.withdrawn = True
            self.counts["cancelled"] += 1
        except InjectedError:
            self.counts["failed"] += 1
            if task.expected is None:
                self.wrong.append("a task failed that was not to")
        except gevent.Timeout:
            self.wrong.append("lost: no outcome")
        else:
            self.counts["returned"] += 1
            if value is not task:
                self.wrong.append("a task has another one's value")
            if task.expected is not None:
                self.wrong.append("a task did not fail that was to")
        self.unsettled.append(task)

    def spawn(self) -> None:
        """Spawn one; wait, give the wait up, or cancel it."""
        task = Task(self.dice)
        pool = self.pool()
        result = pool.spawn(task)
        choice = self.dice.random()
        if choice < 0.1:
            with gevent.Timeout(0.001, False):
                result.wait()
        elif choice < 0.2:
            self.counts["cancel()"] += 1
            pool.cancel(result)
        self.settle(task, result.get)

    def apply(self) -> None:
        """Call one, now and then with too little time for it."""
        task = Task(self.dice)
        if self.dice.random() < 0.9:
            self.settle(task, lambda: self.pool().apply(task))
            return
        self.counts["given up"] += 1
        task.withdrawn = True  # Or not: then it has run once.
        little = gevent.Timeout(0.001 + self.dice.random() / 1000, False)
        with contextlib.suppress(InjectedError, CancelledError), little:
            self.pool().apply(task)
        self.unsettled.append(task)

    def submit(self) -> None:
        """Submit one from wherever, to a pool or to the executor."""
        task = Task(self.dice)
        if self.dice.random() < 0.5:
            future = self.pool().submit_threadsafe(task)
        else:
            future = self.executor.submit(task)
        if self.dice.random() < 0.2:
            self.counts["cancel()"] += 1
            future.cancel()
        self.settle(task, future.result)

    def map(self) -> None:
        """Run several as a map, and now and then leave its iterator half way."""
        tasks = [Task(self.dice) for _ in range(self.dice.randint(1, 50))]
        kind = self.dice.choice(["imap", "imap_unordered"])
        numbers: Iterator[Any] = getattr(self.pool(), kind)(run, iter(tasks))
        read = len(tasks) if self.dice.random() < 0.9 else self.dice.randrange(len(tasks))
        if read < len(tasks):
            self.counts["left half way"] += 1
        outcomes = 0
        try:
            with gevent.Timeout(LIMIT):
                while outcomes < read:
                    with contextlib.suppress(InjectedError):
                        next(numbers)
                    outcomes += 1
        except CancelledError:
            read = outcomes
        except StopIteration:
            self.wrong.append("lost: a map has too few results")
        except gevent.Timeout:
            self.wrong.append("lost: a map without end")
        self.counts["items"] += outcomes
        for task in tasks:
            task.withdrawn = read < len(tasks)
        self.unsettled += tasks

    def disturb(self) -> None:
        """Change a pool."""
        what = self.dice.choice(["maxsize", "size", "kill", "kill and drop", "new pool", "limit"])
        self.counts[what] += 1
        pool = self.pool()
        if what == "maxsize":
            pool.maxsize = self.dice.randint(1, 8)
        elif what == "size":
            pool.size = self.dice.randint(0, pool.maxsize)
        elif what == "kill":
            pool.kill()
        elif what == "kill and drop":
            pool.kill(drop_queued=True)
        elif what == "new pool":
            # Who has got it already uses the old one to the end.
            self.pools[self.dice.randrange(len(self.pools))] = self._new_pool()
        else:
            hubpool.set_thread_limit(self.dice.choice([None, None, 1, 3]))

    def submit_from_threads(self) -> None:
        """Do as `submit`, in a native thread."""
        while not self.end:
            tasks = [Task(self.dice) for _ in range(20)]
            futures = [self.pool().submit_threadsafe(task) for task in tasks]
            for task, future in zip(tasks, futures, strict=True):
                try:
                    if future.result(LIMIT) is not task:
                        self.wrong.append("a task has another one's value")
                except CancelledError:
                    task.cancelled = task.withdrawn = True
                except InjectedError:
                    pass
                except TimeoutError:
                    self.wrong.append("lost: no outcome for a thread")
                self.counts["from a thread"] += 1
            self.unsettled += tasks

    def submit_for_ever(self) -> None:
        """Be one of the many greenlets."""
        ways = [self.spawn, self.spawn, self.apply, self.submit, self.map]
        while not self.end:
            self.dice.choice(ways)()

    def disturb_for_ever(self) -> None:
        """Be the one that changes the pools."""
        while not self.end:
            self.disturb()
            gevent.sleep(0.001 + self.dice.random() / 100)

    def check(self, everything: bool = False) -> None:
        """Count the runs of the tasks that are done; what may still be running, later."""
        tasks, self.unsettled = self.unsettled, []
        for task in tasks:
            if task.withdrawn and not everything and not task.runs:
                self.unsettled.append(task)
                continue
            self.counts["tasks"] += 1
            if task.runs > 1:
                self.wrong.append("duplicated: a task was run more than once")
            if task.runs and task.cancelled:
                self.wrong.append("a task was run that was cancelled")
            if not task.runs and not task.withdrawn:
                self.wrong.append("lost: a task was not run")
        if len(self.unsettled) > 100_000:
            # Older than anything that is under way.
            self.counts["tasks"] += 50_000
            del self.unsettled[:50_000]

    def run(self, seconds: float) -> int:
        """Run the load; return how many MiB there were after the beginning."""
        greenlets = [gevent.spawn(self.submit_for_ever) for _ in range(self.greenlets)]
        greenlets.append(gevent.spawn(self.disturb_for_ever))
        threads = [threading.Thread(target=self.submit_from_threads) for _ in range(2)]
        for thread in threads:
            thread.start()
        memory = 0
        for _ in range(10):
            gevent.sleep(seconds / 10)
            self.check()
            memory = memory or resources()["MiB"]
        self.end = True
        gevent.joinall(greenlets, timeout=2 * LIMIT)
        for greenlet in greenlets:
            if not greenlet.ready():
                self.wrong.append("hung: a greenlet does not end")
            elif greenlet.exception is not None:
                self.wrong.append(f"a greenlet failed: {greenlet.exception!r}")
        deadline = time.monotonic() + LIMIT
        while any(thread.is_alive() for thread in threads) and time.monotonic() < deadline:
            gevent.sleep(0.01)
        self.finish()
        self.check(everything=True)
        return memory

    def finish(self) -> None:
        """Wait for all, and end all threads."""
        hubpool.set_thread_limit(None)
        for pool in self.pools:
            if not pool.join(LIMIT):
                self.wrong.append(f"lost: {pool!r} does not become empty")
            pool.kill()
        self.executor.shutdown()


def resources() -> dict[str, int]:
    """Count what must not leak."""
    gc.collect()
    with open("/proc/self/statm", encoding="ascii") as statm:
        pages = int(statm.read().split()[1])
    return {
        "threads": len(os.listdir("/proc/self/task")),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "MiB": pages * os.sysconf("SC_PAGE_SIZE") // 2**20,
        "known to threading": len(threading._active),  # type: ignore[attr-defined]
    }


def main() -> int:
    """Run the load; fail if anything was lost, duplicated or leaked."""
    parser = argparse.ArgumentParser(description="Load hubpool at random, and count.")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--greenlets", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    arguments = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 100)
    console.print(f"seed {arguments.seed}, {arguments.seconds:g} s, {type(gevent.get_hub().loop)}")
    hubpool.ThreadPool(1).apply(int)  # What is made once and kept.
    gevent.sleep(0.1)
    before = resources()
    load = Load(arguments.seed, arguments.greenlets)
    memory = load.run(arguments.seconds)
    counts, wrong = load.counts, Counter(load.wrong)
    load.pools.clear()
    del load
    after = resources()
    for _ in range(100):
        if after["threads"] <= before["threads"]:
            break
        gevent.sleep(0.05)  # Dropped pools' threads are about to end.
        after = resources()
    for name in ("threads", "descriptors", "known to threading"):
        if after[name] > before[name]:
            wrong[f"leaked: {name}, {before[name]} before and {after[name]} after"] += 1
    if after["MiB"] > memory + MEMORY:
        wrong[f"leaked: {memory} MiB early and {after['MiB']} MiB in the end"] += 1
    table = Table("what", "how often", title="stress", title_justify="left")
    for name, count in [*sorted(counts.items()), ("wrong", sum(wrong.values()))]:
        table.add_row(name, f"{count:,}")
    console.print(table)
    for line, times in wrong.items():
        console.print(f"{line} ({times} times)")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
