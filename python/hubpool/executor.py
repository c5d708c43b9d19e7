"""The executor: native threads with the standard library's interface."""

from __future__ import annotations

import concurrent.futures
import math
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.thread import BrokenThreadPool
from contextvars import copy_context
from itertools import islice
from typing import Any, ParamSpec, TypeVar

from gevent.hub import get_hub

from hubpool import _cpython, _exit, _fork, _wrapped_submit
from hubpool._callback import call_all, join_callbacks
from hubpool._check import MOST_WORKERS, check_seconds, class_name
from hubpool._executor_worker import BROKEN, ExecutorCrew, ExecutorThread, WorkerContexts
from hubpool._future import Future
from hubpool._hub import hold_loops, hub_wake, in_worker_thread, may_wait_here
from hubpool._native import Core, shared_hold
from hubpool._work_queue import WorkQueue

_T = TypeVar("_T")
_P = ParamSpec("_P")

#: Every executor, for the hook that runs in a forked child.
_executors: weakref.WeakValueDictionary[int, ThreadPoolExecutor] = weakref.WeakValueDictionary()


class ThreadPoolExecutor(concurrent.futures.ThreadPoolExecutor):
    """The executor of :mod:`concurrent.futures` for programs on gevent.

    Its threads are native also where :mod:`threading` is monkey-patched. Any
    greenlet of any thread may use it; waiting lets other greenlets run where the
    thread has a hub. Arguments, defaults and errors are those of
    :class:`concurrent.futures.ThreadPoolExecutor` of the same CPython. So on CPython 3.14
    and later a subclass may override ``prepare_context`` and ``BROKEN``.

    A task starts in a copy of the context (see :mod:`contextvars`) that the initializer has left
    in its thread. With *copy_context* it starts in a copy of its submitter's instead. What wraps
    the standard library's ``submit``, as tracers do, also wraps the tasks of this class.

    As with gevent's executor, a task that a greenlet has submitted keeps the hub's loop from
    ending: greenlets may wait for what the task will do, and :func:`gevent.wait` waits for it.

    What was submitted is run before the interpreter exits. An executor that is
    dropped runs what is queued, then its threads end. A forked child has a new,
    empty executor with the same settings.

    >>> with ThreadPoolExecutor(2) as executor:
    ...     executor.submit(pow, 2, 5).result()
    32

    Source: :class:`concurrent.futures.ThreadPoolExecutor`, and
    :class:`gevent.threadpool.ThreadPoolExecutor`.
    """

    #: What a broken executor raises.
    BROKEN: type[RuntimeError] = BrokenThreadPool

    def __init__(
        self,
        max_workers: int | None = None,
        thread_name_prefix: str = "",
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        copy_context: bool = False,
        **ctxkwargs: Any,
    ) -> None:
        _check_max_workers(max_workers)
        _fork.settle()
        # It checks the arguments, and chooses what is not given.
        super().__init__(max_workers, thread_name_prefix, initializer, initargs, **ctxkwargs)
        self._thread_name_prefix = _cpython.name_prefix(self)
        self._initializer: Any = initializer
        self._initargs = initargs
        self._copy_context = copy_context
        self._broken: Any = False
        self._shutdown = False
        contexts = _cpython.worker_contexts(self)
        self._contexts = None if contexts is None else WorkerContexts(*contexts)
        #: Whether a subclass has its own way to start threads, which each submission calls.
        self._adjusts = type(self)._adjust_thread_count is not _adjust_thread_count
        # Greenlets of this thread may wait for what a task will do, as with gevent's executor. Made
        # here, a submission needs no descriptor.
        if not in_worker_thread():
            hub_wake(get_hub())
        self._start_anew()
        _executors[id(self)] = self

    def _start_anew(self) -> None:
        core = Core(_most(self._max_workers))
        # In a forked child another thread may submit: a new core has its crew.
        self._crew = ExecutorCrew(core, self)
        self._core = core
        # It must not depend on a subclass that it calls a __del__() of this class.
        self._dropped = weakref.finalize(self, core.close)
        self._dropped.atexit = False
        self._work_queue: Any = WorkQueue(self._core)
        #: Every thread that was started and has not ended.
        self._threads: set[ExecutorThread] = self._crew.workers  # type: ignore[assignment] # joined as threads are

    @property
    def _max_workers(self) -> int:
        return self._most_workers

    @_max_workers.setter
    def _max_workers(self, max_workers: int) -> None:
        # Programs set it later, too.
        most = _most(max_workers)
        self._most_workers = max_workers
        core = getattr(self, "_core", None)
        if core is not None:
            core.set_maxsize(most)

    def __repr__(self) -> str:
        state = "broken" if self._broken else "shut down" if self._shutdown else "running"
        return (
            f"<{class_name(self)} at 0x{id(self):x} {state} threads={self._core.workers} "
            f"max_workers={self._max_workers} queued={self._core.queued}>"
        )

    def submit(
        self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> concurrent.futures.Future[_T]:
        """Have ``fn(*args, **kwargs)`` run in a thread; return its future. Never waits.

        :raises RuntimeError: after :meth:`shutdown`, and if there is no thread
            and none can be started.
        :raises concurrent.futures.thread.BrokenThreadPool: if an initializer failed.
        """
        if self._broken or self._shutdown or _exit.begun:
            raise self._refusal()
        core = self._core
        contexts = self._contexts
        work: Any = (fn, args, kwargs)
        if _wrapped_submit.is_wrapped():
            work = _wrapped_submit.wrap(self, *work)
        if self._copy_context:
            work = (copy_context().run, (work[0], *work[1]), work[2])
        future: Future[_T] = Future(work if contexts is None else contexts.work(*work))
        future.hold = shared_hold() or hold_loops()
        try:
            # A thread with an initializer may take its time, or fail: others may
            # come before it.
            pinned = self._initializer is None and contexts is None and not self._adjusts
            if pinned and core.wants_worker(1) and self._crew.add_if_needed(future):
                return future
            manned = core.submit(future)
            if manned is None:
                if _fork.settle() or core is not self._core:
                    return self.submit(fn, *args, **kwargs)
                raise self._refusal()
            if not (manned and pinned):
                self._staff(future)
        except BaseException:
            # The error's traceback may keep the future.
            future.hold = None
            raise
        return future

    def _staff(self, future: Future[Any]) -> None:
        """Start a thread for what has been queued, if there are too few."""
        try:
            self._adjust_thread_count()
        except BaseException:
            if self._core.withdraw(future):
                raise
        self._work_queue.ring()

    def _refusal(self) -> RuntimeError:
        if self._broken:
            return self.BROKEN(self._broken)
        what = "interpreter shutdown" if _exit.begun else "shutdown"
        return RuntimeError(f"cannot schedule new futures after {what}")

    def _adjust_thread_count(self) -> None:
        """Start threads for what is queued.

        Each submission calls the method of a subclass that overrides it. The threads that it
        starts itself may run ``concurrent.futures.thread._worker``, as the standard library's do.
        """
        self._crew.adjust()

    def _initializer_failed(self) -> None:
        """Fail all that is queued, and all that comes.

        A thread whose initializer has failed calls the method, which a subclass may override.
        """
        self._broken = BROKEN
        self._crew.break_down(self.BROKEN(BROKEN))

    def _has_guests(self) -> bool:
        """Whether a subclass has started threads itself."""
        return self._adjusts and any(type(thread) is not ExecutorThread for thread in self._threads)

    def _see_to_queue(self) -> None:
        """Have what is queued run, here if the interpreter is about to exit."""
        if not self._has_guests():
            self._crew.adjust()

    def map(
        self,
        fn: Callable[..., _T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[_T]:
        """Return an iterator over the results of *fn* over the zipped iterables, in order.

        All items are submitted at once; with *buffersize*, at most that many
        results await the reader. *chunksize* has no effect with threads.

        :raises concurrent.futures.TimeoutError: from the iterator, if a result is
            not there *timeout* seconds after the call.
        :raises TypeError: if *buffersize* is not an integer, or *timeout* is no number.
        :raises ValueError: if *buffersize* is below 1.

        Source: :meth:`concurrent.futures.Executor.map` of CPython 3.14.
        """
        if buffersize is not None and not isinstance(buffersize, int):
            raise TypeError(f"buffersize must be an integer or None: {buffersize!r}")
        if buffersize is not None and buffersize < 1:
            raise ValueError(f"buffersize must be None or > 0: {buffersize!r}")
        check_seconds("timeout", timeout, may_be_nan=True)
        deadline = None if timeout is None else time.monotonic() + timeout
        items = zip(*iterables)  # noqa: B905 - it ends with the shortest, as map() does
        futures = deque(self.submit(fn, *item) for item in islice(items, buffersize))
        # The iterator does not keep the executor from being dropped.
        executor = weakref.ref(self)

        def refill() -> None:
            alive = executor() if buffersize else None
            if alive is not None:
                futures.extend(alive.submit(fn, *item) for item in islice(items, 1))

        return _results(futures, deadline, refill)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks. What has been submitted still runs.

        With *wait*, return when all threads have ended: cooperatively on a hub, at
        once in a hub's own greenlet, which cannot wait.
        With *cancel_futures*, cancel what no thread has begun. It may be called
        again.
        """
        _fork.settle()
        core = self._core
        core.close()
        self._shutdown = True
        self._work_queue.put(None)
        if cancel_futures:
            taken: list[Future[Any]] = []
            try:
                while core.take_newest(taken):
                    taken[-1].cancel()
            finally:
                for future in taken:
                    future.cancel()  # Again, it does nothing.
        if wait and may_wait_here():
            all_known = False
            while not all_known:
                # Another greenlet may have forked: a child has a core of its own.
                core = self._core
                # Another thread may be about to start one, or one may have to wait for its turn.
                if not core.workers and core.queued:
                    self._see_to_queue()
                all_known = not core.workers and (not core.queued or self._has_guests())
                for thread in self._threads:
                    thread.join()
                if not all_known:
                    Future().wait(0.001)
            join_callbacks()

    kill = shutdown


_adjust_thread_count = ThreadPoolExecutor._adjust_thread_count


def _results(
    futures: deque[concurrent.futures.Future[_T]],
    deadline: float | None,
    refill: Callable[[], None],
) -> Iterator[_T]:
    try:
        while futures:
            refill()
            timeout = None if deadline is None else deadline - time.monotonic()
            # The future goes before its result is handed out.
            yield _take(futures, timeout)
    finally:
        for future in futures:
            future.cancel()


def _take(futures: deque[concurrent.futures.Future[_T]], timeout: float | None) -> _T:
    future = futures.popleft()
    try:
        return future.result(timeout)
    finally:
        future.cancel()
        del future


def _check_max_workers(max_workers: Any) -> None:
    """Raise an error for what the standard library's class refuses, or could not use."""
    try:
        is_number = max_workers is None or not math.isnan(max_workers)
    except TypeError:
        raise TypeError(f"max_workers must be a number or None: {max_workers!r}") from None
    if not is_number:
        raise ValueError(f"max_workers must be a number or None: {max_workers!r}")


def _most(max_workers: float) -> int:
    """Make a whole number of what the standard library lets pass."""
    _check_max_workers(max_workers)
    return math.ceil(min(max_workers, MOST_WORKERS))


def _at_exit() -> None:
    """Run what is queued, as the standard library does, before the interpreter exits."""
    _exit.begin()
    threads = tuple(ExecutorThread.alive)
    for thread in threads:
        thread.close()
    for thread in threads:
        thread.join()
    for executor in tuple(_executors.values()):
        executor._see_to_queue()
    call_all()


def _after_fork_in_child() -> None:
    for thread in ExecutorThread.alive:
        thread.abandon()
    ExecutorThread.alive.clear()
    for executor in tuple(_executors.values()):
        executor._dropped.detach()
        executor._start_anew()
        if executor._shutdown or executor._broken:
            executor._core.close()


# This is what the standard library's own executor registers with.
_cpython.register_atexit(_at_exit)

_fork.in_child(_after_fork_in_child)
