"""The worker: a native thread that runs one task after another."""

from __future__ import annotations

import contextlib
import itertools
import sys
import threading
import weakref
from concurrent.futures._base import LOGGER
from concurrent.futures.thread import BrokenThreadPool
from typing import TYPE_CHECKING, Any, ClassVar

from gevent import monkey
from greenlet import getcurrent, greenlet

from hubpool import _gevent, from_thread
from hubpool._future import Future
from hubpool._limit import thread_limit
from hubpool._native import Batch, Claims, Core, Worker, name_thread
from hubpool._report import Unretrieved

if TYPE_CHECKING:
    from hubpool.executor import ThreadPoolExecutor
    from hubpool.threadpool import ThreadPool

_numbers = itertools.count(1)

#: What an executor says whose initializer failed.
BROKEN = "A thread initializer failed, the thread pool is not usable anymore"


class Failure:
    """The place of an item of a map whose function raised."""

    __slots__ = ("_unretrieved", "exc_info")

    def __init__(self, exc_info: Any, unretrieved: Unretrieved | None) -> None:
        self.exc_info = exc_info
        self._unretrieved = unretrieved

    def reraise(self) -> None:
        """Raise what the function raised, with its traceback."""
        if self._unretrieved is not None:
            self._unretrieved.retrieve()
        try:
            raise self.exc_info[1].with_traceback(self.exc_info[2])
        finally:
            self.exc_info = None


class _Worker(greenlet):
    """A greenlet in a native thread of its own, which pulls jobs from a core.

    It is made, registered with the core, by any thread. What a job is, and what
    else a worker does, is its subclasses' affair.
    """

    # gevent.util.GreenletTree prints it as a root.
    greenlet_tree_is_root = True

    _thread_ident = 0
    #: Its place in the core, in the thread.
    _place: Worker | None = None
    #: Whether it counts for the thread limit, and whether it has given up everything.
    _counted = True
    _left = False
    #: What it runs before it pulls any job.
    _first_job: Any = None
    _hub_of_worker: Any = None
    _idle_task_timeout: float = -1

    def __init__(self, core: Core, name: str) -> None:
        greenlet.__init__(self)
        self._core = core
        self.name = name
        self._stderr = (
            monkey.get_original("sys", "stderr") if monkey.is_module_patched("sys") else sys.stderr
        )

    def _start(self) -> None:
        """Start the thread; if there can be none, take back the registration."""
        try:
            _gevent.start_new_thread(self._begin, ())
        except BaseException:
            self._core.unregister()
            raise

    def _begin(self) -> None:
        """Run the greenlet in the new thread, beneath its root greenlet."""
        name_thread(self.name)
        self.parent = getcurrent()
        self._thread_ident = _gevent.get_thread_ident()
        self.parent.greenlet_tree_is_ignored = True  # type: ignore[union-attr]
        # run() has said what there is to say.
        with contextlib.suppress(BaseException):
            self.switch()
        if not self._left:
            # Something was thrown into the thread as it was about to leave.
            with contextlib.suppress(BaseException):
                self._leave()
        self._place = None

    def run(self) -> None:
        """Pull jobs until the core lets the worker go."""
        # threading knows the thread only while it runs a task: an idle one can
        # neither be joined nor be waited for.
        threads = threading._active  # type: ignore[attr-defined]
        ident = threading.get_ident()
        try:
            place = self._place = Worker(self._core, self._idle_task_timeout, self)
            next_job = place.next
            get_hub_if_exists = _gevent.get_hub_if_exists
            run_job = self._run_job
            thread = threading.current_thread()
            thread.name = self.name
            go_on = self._prepare()
            if self._first_job is not None:
                place.take(self._first_job)
                go_on = run_job(self._first_job, place)
                self._first_job = None
            while go_on:
                hub = get_hub_if_exists()
                if hub is not None:
                    self._fix_hub_before_block(hub)
                    del hub
                threads.pop(ident, None)
                # gevent.util looks for this name to tell an idle worker.
                gevent_threadpool_worker_idle = True
                job = next_job()
                gevent_threadpool_worker_idle = False  # noqa: F841
                if job is None:
                    return
                threads[ident] = thread
                go_on = run_job(job, place)
                job = None
        except BaseException:  # noqa: BLE001 - it is the fate of the job
            # Something was thrown into the thread, outside of a task.
            if self._place is not None:
                job = self._place.taken()
                if job is not None:
                    self._fail_job(job, self._place, sys.exc_info())
                    job = None
            self._complain()
        finally:
            threads.pop(ident, None)
            self._leave()

    def _leave(self) -> None:
        """Give up everything. It may be done again if it was broken off."""
        # What the last job left is sent: a hook that failed ends the worker.
        if self._place is None:
            self._core.unregister()
        else:
            self._place.leave()
        try:
            self.cleanup(_gevent.get_hub_if_exists())
        finally:
            if self._counted:
                thread_limit.give_back(self._core)
                self._counted = False
            self._ask_for_replacement()
            self._left = True

    def _prepare(self) -> bool:
        """Do what comes before the first job. Return whether the worker goes on."""
        return True

    def _run_job(self, job: Any, place: Worker) -> bool:
        """Run one job. Return whether the worker goes on."""
        raise NotImplementedError

    def _fail_job(self, job: Any, place: Worker, exc_info: Any) -> None:
        """End a job that the worker has taken and can not run."""
        raise NotImplementedError

    def _complain(self) -> None:
        """Say that the worker ends before its time."""
        print(f"Failed to run worker thread: {self!r}", file=self._stderr)

    def _ask_for_replacement(self) -> None:
        """See that somebody runs what is queued, though this worker ends."""
        raise NotImplementedError

    def _fix_hub_before_block(self, hub: Any) -> None:
        hub.name = "ThreadPool Worker Hub"
        # The monitoring thread must not report an idle worker as blocked.
        if hub.periodic_monitoring_thread is not None:
            hub.periodic_monitoring_thread.ignore_current_greenlet_blocking()
        self._hub_of_worker = hub

    def cleanup(self, hub_of_worker: Any) -> None:
        """Destroy the hub that a task made in this thread."""
        if hub_of_worker is not None:
            hub_of_worker.destroy(True)

    def _before_run_task(
        self,
        func: Any,
        args: Any,
        kwargs: Any,
        thread_result: Any,
        _sys: Any = sys,
        _get_thread_profile: Any = _gevent.get_thread_profile,
        _get_thread_trace: Any = _gevent.get_thread_trace,
    ) -> None:
        """Install the hooks of :mod:`threading`, if any, for this task."""
        profile = _get_thread_profile()
        if profile is not None:
            _sys.setprofile(profile)
        trace = _get_thread_trace()
        if trace is not None:
            _sys.settrace(trace)

    def _after_run_task(
        self, func: Any, args: Any, kwargs: Any, thread_result: Any, _sys: Any = sys
    ) -> None:
        """Clear the hooks that this task left."""
        if _sys.getprofile() is not None:
            _sys.setprofile(None)
        if _sys.gettrace() is not None:
            _sys.settrace(None)

    def _has_no_hooks(self) -> bool:
        """Whether there is nothing to do before a task, or after one that leaves nothing."""
        return threading._profile_hook is None and threading._trace_hook is None  # type: ignore[attr-defined]

    def _run_task(  # noqa: PLR0913, PLR0917 - the parts of a task
        self, func: Any, args: Any, kwargs: Any, result: Any, context: Any, place: Worker
    ) -> tuple[Any, Any, bool]:
        """Run one task. Return its value, its error, and whether the worker goes on.

        It runs in the context, or an empty one, which it does not leave behind. A
        hook that fails may have left anything behind, so its worker ends.
        """
        value = error = None
        go_on = True
        plain = context is None and self._has_no_hooks()
        try:
            try:
                if not plain:
                    self.gr_context = context
                    self._before_run_task(func, args, kwargs, result)
            except BaseException:  # noqa: BLE001 - it belongs to the caller
                error = sys.exc_info()
                go_on = False
            else:
                try:
                    value = func(*args, **kwargs)
                except BaseException:  # noqa: BLE001 - it belongs to the caller
                    error = sys.exc_info()
                try:
                    plain = (
                        plain and type(self)._after_run_task is _after and not place.has_traces()
                    )
                    if not plain:
                        self._after_run_task(func, args, kwargs, result)
                except BaseException:  # noqa: BLE001 - it belongs to the caller
                    error = sys.exc_info()
                    go_on = False
            return value, error, go_on
        finally:
            # A traceback refers to this frame, which must not refer back.
            del func, args, kwargs, result, value, error, context
            if not plain:
                self.gr_context = None


_before = _Worker._before_run_task
_after = _Worker._after_run_task


class _WorkerGreenlet(_Worker):
    """A worker of a :class:`ThreadPool`, made in the hub's thread.

    A subclass may override :meth:`_before_run_task` and :meth:`_after_run_task`,
    which run in the worker around each task, also around each item of a map.
    """

    _hub: Any = None

    def __init__(self, threadpool: ThreadPool) -> None:
        _Worker.__init__(self, threadpool._core, f"hubpool-{next(_numbers)}")
        self._hub = threadpool.hub
        # The pool itself is only weakly referred to, so that it can be dropped.
        self._pool = weakref.ref(threadpool)
        self._account = threadpool._account
        self._workers = threadpool._worker_greenlets
        self._idle_task_timeout = threadpool._idle_task_timeout
        self._core.register()
        self._workers.add(self)
        try:
            self._start()
        except BaseException:
            self._workers.discard(self)
            raise

    def _has_no_hooks(self) -> bool:
        return self._overrides_no_hooks() and super()._has_no_hooks()

    def _overrides_no_hooks(self) -> bool:
        kind, own = type(self), self.__dict__
        return (
            kind._before_run_task is _before
            and kind._after_run_task is _after
            and "_before_run_task" not in own
            and "_after_run_task" not in own
        )

    def _prepare(self) -> bool:
        from_thread.belongs_to(self._account.hub)
        return True

    def _run_job(self, job: Any, place: Worker) -> bool:
        if type(job) is tuple:
            func, args, kwargs, result, context = job
            del job
            value, error, go_on = self._run_task(func, args, kwargs, result, context, place)
            del context
            if error is not None:
                error = ((self, func), error)
            del func, args, kwargs
            place.finish(self._account.wake.native, (self._account, result, value, error))
            del result, value, error
        else:
            go_on = self._run_batch(job, place)
        if not go_on:
            self._complain()
        return go_on

    def _fail_job(self, job: Any, place: Worker, exc_info: Any) -> None:
        if type(job) is tuple:
            func, _, _, result, _ = job
            error = ((self, func), exc_info)
            place.finish(self._account.wake.native, (self._account, result, None, error))
        else:
            job.requeue()

    def _run_item(self, batch: Batch, args: Any, place: Worker) -> tuple[Any, bool]:
        """Run one item of a map; as `_run_task`, but return one value."""
        context = batch.context
        if context is not None:
            context = context.copy()
        value, error, go_on = self._run_task(batch.func, args, {}, None, context, place)
        try:
            if error is not None:
                value = self._failure(batch, error)
            return value, go_on
        finally:
            del error, value, args

    def _run_batch(self, batch: Batch, place: Worker) -> bool:
        """Run items of a map until none is left for this worker."""
        plain = batch.context is None and self._overrides_no_hooks()
        claims = batch.claims(place, plain)
        try:
            return self._run_claims(batch, claims, plain, place)
        except BaseException:  # noqa: BLE001 - it belongs to the item at which it happened
            # Something was thrown into the thread.
            claims.slot[0] = self._failure(batch, sys.exc_info())
            return False
        finally:
            claims.leave()

    def _run_claims(self, batch: Batch, claims: Claims, plain: bool, place: Worker) -> bool:
        func = batch.func
        zipped = batch.zipped
        slot = claims.slot
        hooks = threading
        item = None
        try:
            while not claims.left:
                try:
                    for item in claims:
                        # The short way is for items around which there is nothing to do.
                        if plain and hooks._profile_hook is None and hooks._trace_hook is None:  # type: ignore[attr-defined]
                            slot[0] = func(*item) if zipped else func(item)
                        else:
                            slot[0], go_on = self._run_item(
                                batch, item if zipped else (item,), place
                            )
                            if not go_on:
                                return False
                except BaseException:  # noqa: BLE001 - it belongs to the caller
                    slot[0] = self._failure(batch, sys.exc_info())
                if plain and not claims.left:
                    # The item has raised, or left something behind.
                    _after(self, None, None, None, None)
                    self.gr_context = None
            return True
        finally:
            # The traceback of a failure that nobody reads refers to this frame.
            del batch, claims, place, func, slot, item

    def _failure(self, batch: Batch, exc_info: Any) -> Failure:
        """Report what an item raised; return its place holder."""
        batch.fail()
        account = self._account
        error = ((self, batch.func), exc_info)
        unretrieved = None
        if account.report_errors == "always":
            account.wake.native.post((account, None, None, error))
        elif account.report_errors == "unretrieved":
            unretrieved = Unretrieved(account.hub, error)
        return Failure(exc_info, unretrieved)

    def _ask_for_replacement(self) -> None:
        pool = self._pool()
        if pool is not None and pool._core.queued:
            _gevent.run_on_hub(pool.hub, pool.adjust)

    def cleanup(self, hub_of_worker: Any) -> None:
        """Leave the pool; then destroy the hub that a task made in this thread.

        That comes last, since it waits for what the task has left there.
        """
        if self._hub is not None:
            self._hub = None
            self._workers.discard(self)
            if self._account.watchers:
                self._account.wake.native.post((self._account, None, None, None))
        super().cleanup(hub_of_worker)

    def __repr__(self) -> str:
        return (
            f"<ThreadPoolWorker at 0x{id(self):x} thread_ident=0x{self._thread_ident:x} "
            f"threadpool-hub={_gevent.format_hub(self._hub)}>"
        )


class ExecutorWorker(_Worker):
    """A worker of a :class:`ThreadPoolExecutor`, made in any thread.

    It has the name of a thread, and can be joined as one.
    """

    #: All whose threads have not ended.
    alive: ClassVar[set[ExecutorWorker]] = set()

    def __init__(self, executor: ThreadPoolExecutor, first_job: Future[Any] | None) -> None:
        workers = executor._threads
        name = f"{executor._thread_name_prefix}_{next(executor._numbers)}"
        _Worker.__init__(self, executor._core, name)
        # The executor itself is only weakly referred to, so that it can be dropped.
        self._executor = weakref.ref(executor)
        self._initializer = executor._initializer
        self._initargs = executor._initargs
        self._first_job = first_job
        #: What the initializer has set. Each task starts in a copy.
        self._context: Any = None
        #: Done when the thread has ended.
        self._ended: Future[None] = Future()
        workers.add(self)
        self.alive.add(self)
        try:
            self._start()
        except BaseException:
            workers.discard(self)
            self.alive.discard(self)
            raise

    def join(self, timeout: float | None = None) -> None:
        """Wait, at most *timeout* seconds, until the thread has ended."""
        if self._thread_ident == _gevent.get_thread_ident():
            raise RuntimeError("cannot join current thread")
        self._ended.wait(timeout)

    def is_alive(self) -> bool:
        """Whether the thread has not ended."""
        return not self._ended.done()

    #: As a thread that the interpreter waits for at its end, by the name of threads.
    daemon = False

    @property
    def ident(self) -> int | None:
        """The thread's number, ``None`` before it has begun."""
        return self._thread_ident or None

    def close(self) -> None:
        """Have the executor's threads end once its queue is empty."""
        self._core.close()

    def _prepare(self) -> bool:
        # A thread that a task starts takes after this one.
        threading.current_thread()._daemonic = False  # type: ignore[attr-defined]
        if self._initializer is not None:
            try:
                self._initializer(*self._initargs)
            except BaseException:  # noqa: BLE001 - it is logged, and breaks the executor
                LOGGER.critical("Exception in initializer:", exc_info=True)
                self._break()
                return False
            self._context = self.gr_context
            self.gr_context = None
        return True

    def _break(self) -> None:
        """Fail all that is queued, and all that comes."""
        executor = self._executor()
        if executor is not None:
            executor._broken = BROKEN  # type: ignore[assignment] # as the standard library does
        self._core.close()
        while (job := self._core.take_newest()) is not None:
            self._core.finish()
            if job.begin() is not None:
                job.settle(None, BrokenThreadPool(BROKEN))

    def _run_job(self, job: Any, place: Worker) -> bool:
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
            del job, value, exception
        return go_on

    def _fail_job(self, job: Any, place: Worker, exc_info: Any) -> None:
        if job.done():
            place.end()
        else:
            job.settle(None, exc_info[1], place)

    def _ask_for_replacement(self) -> None:
        executor = self._executor()
        if executor is not None and self._core.queued:
            executor._adjust_thread_count()

    def cleanup(self, hub_of_worker: Any) -> None:
        """Destroy the hub that a task made in this thread; then tell who joins it."""
        try:
            job, self._first_job = self._first_job, None
            if job is not None and not job.done():
                # Something has hit the thread before it could run anything.
                self._core.finish()
                job.settle(None, RuntimeError(f"the thread {self.name!r} has failed"))
            super().cleanup(hub_of_worker)
        finally:
            self.alive.discard(self)
            if not self._ended.done():
                self._ended.set_result(None)
