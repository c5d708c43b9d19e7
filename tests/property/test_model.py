"""Random operations on a pool, and on an executor, beside a model that says what must come of them.

Every task waits for its own gate, so that the model knows what runs: as many tasks as
there may be threads, in the order in which they were submitted.
"""

from __future__ import annotations

import gc
import itertools
import threading
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from typing import Any

import gevent
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import hubpool

MOST = 4

sizes = st.integers(1, MOST)
#: Picks one of those that there are.
picks = st.integers(0, 1000)


class OfTheTask(Exception):  # noqa: N818
    """What a task raises; its argument is the task's number."""


def until(condition: Any) -> None:
    with gevent.Timeout(20):
        while not condition():
            gevent.sleep(0.001)


@dataclass
class Task:
    """A task, how it is to end, and what has been seen of it."""

    number: int
    fails: bool
    result: Any = None
    gate: threading.Event = field(default_factory=threading.Event)
    #: The model's view.
    begun: bool = False
    ended: bool = False
    cancelled: bool = False
    #: How many times it has been run, and whether once to its end.
    runs: int = 0
    finished: bool = False

    def __call__(self) -> int:
        self.runs += 1
        assert self.gate.wait(20)
        self.finished = True
        if self.fails:
            raise OfTheTask(self.number)
        return self.number

    def check(self) -> None:
        """Assert that the result is what became of the task."""
        with gevent.Timeout(20):
            if self.cancelled:
                with pytest.raises((hubpool.TaskCancelledError, CancelledError)):
                    self.get()
            elif self.fails:
                with pytest.raises(OfTheTask) as raised:
                    self.get()
                assert raised.value.args == (self.number,)
            else:
                assert self.get() == self.number
        assert self.runs == (0 if self.cancelled else 1)

    def get(self) -> Any:
        return self.result.result() if hasattr(self.result, "result") else self.result.get()


class Model(RuleBasedStateMachine):
    """What pool and executor have in common."""

    most: int
    subject: Any

    def __init__(self) -> None:
        super().__init__()
        self.tasks: list[Task] = []
        self.numbers = itertools.count()

    @property
    def outstanding(self) -> list[Task]:
        return [task for task in self.tasks if not task.ended and not task.cancelled]

    @property
    def running(self) -> list[Task]:
        return [task for task in self.outstanding if task.begun]

    @property
    def queued(self) -> list[Task]:
        return [task for task in self.outstanding if not task.begun]

    def go_on(self) -> None:
        """Begin, in the model, what there is a thread for; then see that it has begun."""
        for task in self.queued[: max(self.most - len(self.running), 0)]:
            task.begun = True
        until(lambda: all(task.runs == 1 for task in self.running))

    def open(self, task: Task) -> None:
        task.gate.set()
        if task.begun:
            task.ended = True
            until(lambda: task.finished)
        self.go_on()

    def open_all(self) -> None:
        while outstanding := self.outstanding:
            for task in outstanding:
                self.open(task)

    @precondition(lambda self: self.running)
    @rule(pick=picks)
    def end_one(self, pick: int) -> None:
        task = self.running[pick % len(self.running)]
        self.open(task)
        task.check()

    @precondition(lambda self: self.tasks)
    @rule(pick=picks)
    def forget_a_result(self, pick: int) -> None:
        task = self.tasks[pick % len(self.tasks)]
        if task.ended:
            self.tasks.remove(task)
            gc.collect(0)

    @invariant()
    def nothing_is_run_twice_or_too_early(self) -> None:
        assert [task.number for task in self.tasks if task.runs != task.begun] == []

    def teardown(self) -> None:
        if not hasattr(self, "subject"):
            return
        self.open_all()
        for task in self.tasks:
            task.check()
        self.close()

    def close(self) -> None:
        raise NotImplementedError


class PoolModel(Model):
    """A `ThreadPool`."""

    @initialize(most=sizes)
    def make(self, most: int) -> None:
        self.subject = hubpool.ThreadPool(most, report_errors="never")
        self.most = most

    @property
    def has_slot(self) -> bool:
        return len(self.outstanding) <= self.most

    @precondition(lambda self: self.has_slot)
    @rule(fails=st.booleans())
    def spawn(self, fails: bool) -> None:
        task = Task(next(self.numbers), fails)
        self.tasks.append(task)
        with gevent.Timeout(20):
            task.result = self.subject.spawn(task)
        self.go_on()

    @precondition(lambda self: not self.has_slot)
    @rule()
    def spawn_waits_for_a_slot(self) -> None:
        ran: list[None] = []
        with gevent.Timeout(0.001, False):
            self.subject.spawn(ran.append, None)
            pytest.fail("there was no slot")
        assert ran == []

    @precondition(lambda self: self.has_slot and len(self.running) >= self.most)
    @rule()
    def apply_that_is_broken_off_is_withdrawn(self) -> None:
        ran: list[None] = []
        with gevent.Timeout(0.001, False):
            self.subject.apply(ran.append, (None,))
            pytest.fail("no thread was free")
        assert ran == []

    @precondition(lambda self: self.tasks)
    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        task = self.tasks[pick % len(self.tasks)]
        expected = task in self.queued
        assert self.subject.cancel(task.result) is expected
        task.cancelled |= expected

    @rule(most=sizes)
    def set_maxsize(self, most: int) -> None:
        self.most = self.subject.maxsize = most
        self.go_on()

    @rule(size=st.integers(0, MOST))
    def set_size(self, size: int) -> None:
        if size > self.most:
            with pytest.raises(ValueError, match="maxsize"):
                self.subject.size = size
        elif size >= len(self.running):
            # Else it would wait for those that run.
            with gevent.Timeout(20):
                self.subject.size = size
            assert self.subject.size == size

    @precondition(lambda self: len(self.running) < self.most)
    @rule(
        items=st.lists(st.integers(-9, 9), max_size=30),
        method=st.sampled_from(["map", "imap", "imap_unordered"]),
        lazily=st.booleans(),
    )
    def map(self, items: list[int], method: str, lazily: bool) -> None:
        given_items: Any = (item for item in items) if lazily else items
        with gevent.Timeout(20):
            results = list(getattr(self.subject, method)(abs, given_items))
        assert sorted(results) == sorted(map(abs, items))
        if method != "imap_unordered":
            assert results == list(map(abs, items))

    @precondition(lambda self: len(self.running) < self.most)
    @rule(items=st.lists(st.integers(-9, 9), min_size=1, max_size=30), pick=picks)
    def map_that_fails(self, items: list[int], pick: int) -> None:
        wrong = pick % len(items)

        def check(item: tuple[int, int]) -> int:
            if item[0] >= wrong:
                raise OfTheTask(item[0])
            return item[0]

        with gevent.Timeout(20), pytest.raises(OfTheTask) as raised:
            self.subject.map(check, list(enumerate(items)))
        assert raised.value.args == (wrong,)
        # Its other items are run all the same.
        until(lambda: len(self.subject) == len(self.outstanding))

    @precondition(lambda self: len(self.running) < self.most)
    @rule(taken=st.integers(1, 3))
    def map_that_is_dropped_half_way(self, taken: int) -> None:
        results = self.subject.imap(abs, iter(int, 1))
        with gevent.Timeout(20):
            assert [next(results) for _ in range(taken)] == [0] * taken
        del results
        gc.collect(0)

    @rule()
    def join_in_vain_or_not(self) -> None:
        assert self.subject.join(timeout=0.001 if self.outstanding else 20) is (
            not self.outstanding
        )

    @rule(drop=st.booleans())
    def kill(self, drop: bool) -> None:
        if drop:
            for task in self.queued:
                task.cancelled = True
        killing = gevent.spawn(self.subject.kill, drop_queued=drop)
        # What is to be dropped must not begin before it is.
        gevent.sleep(0)
        for task in self.outstanding:
            task.gate.set()
            task.begun = task.ended = True
        killing.get(timeout=20)
        assert self.subject.size == 0

    @invariant()
    def it_counts_right(self) -> None:
        if hasattr(self, "subject"):
            until(lambda: len(self.subject) == len(self.outstanding))
            # Threads that are one too many end as soon as they have nothing to do.
            until(lambda: self.subject.size <= max(self.most, len(self.running)))

    def close(self) -> None:
        with gevent.Timeout(20):
            assert self.subject.join(20)
            self.subject.kill()
        assert self.subject.size == 0
        assert not self.subject


class ExecutorModel(Model):
    """A `ThreadPoolExecutor`."""

    shut = False

    @initialize(most=sizes)
    def make(self, most: int) -> None:
        self.subject = hubpool.ThreadPoolExecutor(most)
        self.most = most

    @rule(fails=st.booleans())
    def submit(self, fails: bool) -> None:
        task = Task(next(self.numbers), fails)
        if self.shut:
            with pytest.raises(RuntimeError, match="after shutdown"):
                self.subject.submit(task)
            return
        self.tasks.append(task)
        task.result = self.subject.submit(task)
        self.go_on()

    @precondition(lambda self: self.tasks)
    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        task = self.tasks[pick % len(self.tasks)]
        expected = task in self.queued or task.cancelled
        assert task.result.cancel() is expected
        task.cancelled |= expected

    @precondition(lambda self: not self.shut and len(self.running) < self.most)
    @rule(items=st.lists(st.integers(-9, 9), max_size=30), buffersize=st.none() | sizes)
    def map(self, items: list[int], buffersize: int | None) -> None:
        with gevent.Timeout(20):
            results = list(self.subject.map(abs, items, buffersize=buffersize))
        assert results == list(map(abs, items))

    @rule(cancel_futures=st.booleans())
    def shutdown(self, cancel_futures: bool) -> None:
        self.shut = True
        if cancel_futures:
            for task in self.queued:
                task.cancelled = True
        self.subject.shutdown(wait=False, cancel_futures=cancel_futures)

    @invariant()
    def states_are_right(self) -> None:
        for task in self.tasks:
            assert task.result.cancelled() is task.cancelled
            if task in self.outstanding:
                assert not task.result.done()

    def close(self) -> None:
        with gevent.Timeout(20):
            self.subject.shutdown()
        assert not any(thread.is_alive() for thread in self.subject._threads)


STEPS = settings(
    max_examples=60, stateful_step_count=40, deadline=None, derandomize=True, database=None
)
TestPool = PoolModel.TestCase
TestPool.settings = STEPS
TestExecutor = ExecutorModel.TestCase
TestExecutor.settings = STEPS
