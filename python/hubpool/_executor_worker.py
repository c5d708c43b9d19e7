"""The worker of an executor: what is about it beside running one task after another."""

from __future__ import annotations

import itertools
import os
import sys
import time
import weakref
from concurrent.futures.thread import BrokenThreadPool
from typing import TYPE_CHECKING, Any, ClassVar

from hubpool import _exit, _fork, _gevent
from hubpool._callback import join_callbacks
from hubpool._cpython import LOGGER
from hubpool._crew import Crew
from hubpool._future import Future
from hubpool._worker import _Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hubpool._hub import Hold
    from hubpool._native import Core, Registration, Worker
    from hubpool.executor import ThreadPoolExecutor

#: What an executor says whose initializer failed.
BROKEN = "A thread initializer failed, the thread pool is not usable anymore"


class ExecutorCrew(Crew):
    """The threads of a :class:`ThreadPoolExecutor`, and what they need to know of it."""

    __slots__ = (
        "broken_class",
        "contexts",
        "executor",
        "initargs",
        "initializer",
        "name_prefix",
        "numbers",
    )

    def __init__(self, core: Core, executor: ThreadPoolExecutor) -> None:
        super().__init__(core)
        self.workers: Threads = Threads()
        self.executor = weakref.ref(executor)
        self.numbers = itertools.count()
        self._look_at(executor)

    def _look_at(self, executor: ThreadPoolExecutor) -> None:
        self.name_prefix = executor._thread_name_prefix
        self.initializer = executor._initializer
        self.initargs = executor._initargs
        self.contexts = executor._contexts
        # From CPython 3.14 on a subclass may say what it raises.
        self.broken_class: Callable[[str | bool], RuntimeError] = getattr(
            executor, "BROKEN", BrokenThreadPool
        )

    def adjust(self) -> None:
        """Start threads for what is queued; run it here if the interpreter is about to exit."""
        super().adjust()
        if _exit.begun and not self.core.workers:
            self._run_here()

    def _start(self, first_job: Future[Any] | None, registration: Registration) -> bool:
        tasks = 0 if first_job is None else 1
        if _exit.begun or not registration.recruit(tasks):
            return False
        executor = self.executor()
        if executor is not None:
            # Programs set these later, too.
            self._look_at(executor)
        ExecutorWorker(self, first_job).start(registration)
        return True

    def _cannot_start(self, error: RuntimeError) -> None:
        self.fail_queue(error)

    def break_down(self, error: Exception) -> None:
        """Take no more tasks, and end all that is queued with an error."""
        self.core.close()
        self.fail_queue(error)

    def fail_queue(self, error: Exception) -> None:
        """End all that is queued with an error."""
        taken: list[Future[Any]] = []
        while self.core.take_newest(taken):
            job = taken.pop()
            if job.begin() is not None:
                job.settle(None, error)

    def _run_here(self) -> None:
        futures: list[Future[Any]] = []
        while self.core.take_newest(futures):
            pass
        context = None
        if futures and self.contexts is not None:
            context = self.contexts.create()
            self.contexts.enter(context)
        try:
            for future in reversed(futures):
                future.run()
        finally:
            if context is not None:
                context.finalize()


class WorkerContexts:
    """What an executor's own ``prepare_context`` has its tasks run in: a context for each worker.

    CPython 3.14 and later know that. ``create`` makes one, and ``resolve`` makes what it runs.
    """

    __slots__ = ("_here", "_resolve", "create")

    def __init__(self, create: Callable[[], Any], resolve: Callable[..., Any]) -> None:
        self.create = create
        self._resolve = resolve
        #: The context that the calling thread is in.
        self._here = _gevent.new_local()

    def work(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Return the function and arguments of a future that runs a task in a worker's context."""
        return self._run, (self._resolve(func, args, kwargs),), {}

    def enter(self, context: Any) -> None:
        """Initialize a context, and have the calling thread's tasks run there."""
        context.initialize()
        self._here.context = context

    def _run(self, task: Any) -> Any:
        return self._here.context.run(task)


#: Thread-local values: the first of each worker's thread, and the last. As a thread ends, CPython
#: drops its values one after another: the oldest first, or from 3.13 on the newest.
_first: Any = _gevent.new_local()
_last: Any = _gevent.new_local()


class _End:
    """Calls a function when the last reference to this object has gone."""

    __slots__ = ("_pid", "_tell")

    def __init__(self, tell: Callable[[], object]) -> None:
        self._tell = tell
        self._pid = os.getpid()

    def __del__(
        self,
        _getpid: Callable[[], int] = os.getpid,
        _is_finalizing: Callable[[], bool] = sys.is_finalizing,
    ) -> None:
        # A forked child drops what the parent's other threads have, before any of its hooks runs.
        if self._pid == _getpid() and not _is_finalizing():
            self._tell()


class Threads(set["ExecutorThread"]):
    """The threads of an executor's that have not ended. They may end while a program iterates."""

    def __iter__(self) -> Iterator[ExecutorThread]:
        """Iterate over the threads that there are now."""
        return iter(self.copy())


class ExecutorThread:
    """A thread of an executor's, which can be joined, by the interface of threads.

    It has ended when its thread-local values are gone. The worker that runs in it goes before.
    """

    __slots__ = ("__weakref__", "_core", "_ended", "_threads", "_worker", "ident", "name")

    #: All that have not ended.
    alive: ClassVar[set[ExecutorThread]] = set()

    #: As a thread that the interpreter waits for at its end.
    daemon = False

    def __init__(self, worker: ExecutorWorker, threads: set[ExecutorThread], core: Core) -> None:
        self._worker = weakref.ref(worker)
        self._threads = threads
        self._core = core
        #: Done when the thread has ended.
        self._ended: Future[None] = Future()
        self.name = worker.name
        #: The thread's number, ``None`` before it has begun.
        self.ident: int | None = None

    def begin(self) -> None:
        """Count the thread among those that have not ended."""
        self.alive.add(self)
        self._threads.add(self)

    def end(self) -> None:
        """Count the thread as ended, and tell the joiners. Again, it does nothing."""
        self._threads.discard(self)
        self.alive.discard(self)
        if not self._ended.done():
            self._ended.set_result(None)

    def join(self, timeout: float | None = None) -> None:
        """Wait, at most *timeout* seconds, until the thread has ended."""
        if self.ident == _gevent.get_thread_ident() and self.is_alive():
            raise RuntimeError("cannot join current thread")
        deadline = None if timeout is None else time.monotonic() + timeout
        self._ended.wait(timeout)
        if not self.is_alive():
            join_callbacks(None if deadline is None else deadline - time.monotonic())

    def is_alive(self) -> bool:
        """Whether the thread has not ended."""
        return not self._ended.done()

    def close(self) -> None:
        """Have the executor's threads end once its queue is empty."""
        self._core.close()

    def abandon(self) -> None:
        """In a forked child, leave alone what is the parent's: the thread is not there."""
        worker = self._worker()
        if worker is not None:
            worker.abandon()
        self._ended.forsake()


class ExecutorWorker(_Worker):
    """A worker of a :class:`ThreadPoolExecutor`, made in any thread."""

    _crew: ExecutorCrew
    #: A thread that a task starts takes after this one.
    _daemon = False
    #: Whether the initializer has failed.
    _broken = False

    def __init__(self, crew: ExecutorCrew, first_job: Future[Any] | None) -> None:
        _Worker.__init__(self, crew, f"{crew.name_prefix}_{next(crew.numbers)}")
        self._listed = ExecutorThread(self, crew.workers, crew.core)
        self._initializer = crew.initializer
        self._initargs = crew.initargs
        self._contexts = crew.contexts
        #: What an executor's own ``prepare_context`` has made for the worker, until it has ended.
        self._worker_context = None if crew.contexts is None else crew.contexts.create()
        self._is_initialized = False
        self._first_job = first_job
        #: What the initializer has set. Each task starts in a copy.
        self._context: Any = None

    def _join_crew(self) -> None:
        self._listed.begin()

    def _leave_crew(self) -> None:
        self._listed.end()

    def _begin(self) -> None:
        self._listed.ident = _gevent.get_thread_ident()
        end = _first.end = _End(self._listed.end)
        try:
            super()._begin()
        finally:
            _last.end = end
            # As there.
            del self

    def _prepare(self) -> bool:
        if self._initializer is not None or self._contexts is not None:
            try:
                self._initialize()
            except BaseException:  # noqa: BLE001 - it is logged, and breaks the executor
                LOGGER.critical("Exception in initializer:", exc_info=True)
                self._broken = True
                self._break()
                return False
            self._context = self.gr_context
        return True

    def _initialize(self) -> None:
        if self._contexts is not None:
            self._contexts.enter(self._worker_context)
            self._is_initialized = True
        elif self._initializer is not None:
            self._initializer(*self._initargs)

    def _finalize(self) -> None:
        context, self._worker_context = self._worker_context, None
        if context is not None and self._is_initialized:
            try:
                context.finalize()
            except BaseException:  # noqa: BLE001 - it is logged, and nobody awaits it
                LOGGER.critical("Exception in worker", exc_info=True)

    def _break(self) -> None:
        """Fail all that is queued, and all that comes."""
        executor = self._crew.executor()
        if executor is not None:
            executor._initializer_failed()
        else:
            self._crew.break_down(self._crew.broken_class(BROKEN))

    def _run_job(self, place: Worker) -> bool:
        job = place.taken()
        work = job.begin()
        if work is None:
            place.end()
            return True
        func, args, kwargs = work
        context = None if self._context is None else self._context.copy()
        value, error, go_on = self._run_task(func, args, kwargs, job, context, place)
        exception = None if error is None else error[1]
        try:
            del work, func, args, kwargs, error
            job.settle(value, exception, place)
        except BaseException:  # noqa: BLE001 - see below
            if job.done():
                # A callback's, or somebody else has ended it; nobody awaits that.
                LOGGER.critical("Exception in worker", exc_info=True)
                place.end()
            else:
                # Thrown into the thread, before anything was told.
                job.settle(value, exception, place)
        finally:
            # A traceback of the error refers to this frame.
            del self, place, job, value, exception
        return go_on

    def _fail_job(self, job: Any, place: Worker, exc_info: Any) -> None:
        if job.done():
            place.end()
        else:
            job.settle(None, exc_info[1], place)

    def _hold_of_task(self) -> Hold:
        job = None if self._place is None else self._place.taken()
        return None if job is None else job.hold

    def _ask_for_replacement(self) -> None:
        # A subclass may have the executor go on, whose next thread a submission starts.
        if not self._broken:
            self._crew.rescue()

    def _give_up(self, error: RuntimeError) -> None:
        if not self._core.workers:
            self._crew.fail_queue(error)

    def _leave(self) -> None:
        """Give up everything, the worker's context too."""
        _fork.settle()
        if not self._abandoned:
            self._finalize()
        super()._leave()

    def cleanup(self, hub_of_worker: Any) -> None:
        """Destroy the hub that a task made in this thread."""
        job, self._first_job = self._first_job, None
        if job is not None and not job.done():
            # Something has hit the thread before it could run anything.
            self._core.finish()
            job.settle(None, RuntimeError(f"the thread {self.name!r} has failed"))
        super().cleanup(hub_of_worker)
