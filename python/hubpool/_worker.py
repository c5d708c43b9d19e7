"""The worker: a native thread that runs one task after another."""

from __future__ import annotations

import contextlib
import itertools
import sys
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

from gevent import monkey
from greenlet import getcurrent, greenlet

from hubpool import _cpython, _fork, _gevent, from_thread
from hubpool._account import Failed
from hubpool._gevent_threadpool import TaskHooks
from hubpool._hub import mark_worker_thread
from hubpool._limit import thread_limit
from hubpool._native import Batch, Claims, Registration, TaskHold, Tasks, Wake, Worker, name_thread
from hubpool._patch import before_worker
from hubpool._report import Unretrieved
from hubpool._worker_thread import WorkerThread

if TYPE_CHECKING:
    from collections.abc import Callable

    from hubpool._crew import Crew, PoolCrew
    from hubpool._hub import Hold

_numbers = itertools.count(1)


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


class _Worker(TaskHooks, greenlet):
    """A greenlet in a native thread of its own, which pulls jobs from a core.

    It is made and started by any thread. What a job is, and what
    else a worker does, is its subclasses' affair.
    """

    # gevent.util.GreenletTree prints it as a root.
    greenlet_tree_is_root = True

    _thread_ident = 0
    #: Its place in the core, in the thread.
    _place: Worker | None = None
    #: Its thread as `threading` knows it, in the thread, and whether that is a daemon there.
    _thread: WorkerThread | None = None
    _daemon = True
    #: Whether it counts for the thread limit, and whether it has given up everything.
    _counted = True
    _left = False
    #: Whether the worker has taken any work, and whether the worker has failed before that.
    _has_worked = False
    _failed_at_once = False
    #: In a forked child: all that it knows is the parent's.
    _abandoned = False
    #: What it runs before it pulls any job.
    _first_job: Any = None
    #: What it tells its results, if that is always the same.
    _wake: Wake | None = None
    _hub_of_worker: Any = None
    _idle_task_timeout: float = -1

    def __init__(self, crew: Crew, name: str) -> None:
        greenlet.__init__(self)
        self._crew = crew
        self._core = crew.core
        self.name = name
        self._stderr = (
            monkey.get_original("sys", "stderr") if monkey.is_module_patched("sys") else sys.stderr
        )

    def start(self, registration: Registration) -> None:
        """Start the thread, whose registration with the core is its own affair from then on."""
        self._registration = registration
        try:
            before_worker()
            self._join_crew()
            _gevent.start_new_thread(self._begin, ())
        except BaseException:
            if registration.revoke():
                self._leave_crew()
            raise

    def _join_crew(self) -> None:
        self._crew.workers.add(self)

    def _leave_crew(self) -> None:
        self._crew.workers.discard(self)

    def _begin(self) -> None:
        """Run the greenlet in the new thread, beneath its root greenlet."""
        if not self._registration.claim():
            # Who has started it was broken off before it was known that there is a thread.
            self._leave_crew()
            return
        name_thread(self.name)
        self.parent = getcurrent()
        self._thread_ident = _gevent.get_thread_ident()
        self.parent.greenlet_tree_is_ignored = True  # type: ignore[union-attr] # it has just been set
        try:
            self.switch()
        except BaseException:  # noqa: BLE001 - it is the fate of the job
            # Something was thrown into the thread where run() could not catch it: CPython 3.13 may
            # raise it between two turns of a loop, outside of the statement around that.
            if not self._left:
                with contextlib.suppress(BaseException):
                    self._fail_taken(sys.exc_info())
        if not self._left:
            # Something was thrown into the thread as it was about to leave.
            with contextlib.suppress(BaseException):
                self._leave()
        self._forget_thread()
        # A traceback of a task's error may refer to any frame of the thread's for long, and the
        # greenlet keeps what tasks have left in gevent's thread-locals.
        del self

    def _forget_thread(self) -> None:
        """Refer to nothing that refers back, and have `threading` know of the thread no more."""
        if self._thread is not None:
            self._thread.end()
        self._place = self._thread = self._hub_of_worker = None

    def run(self) -> None:
        """Pull jobs until the core lets the worker go."""
        thread = None
        try:
            mark_worker_thread(weakref.WeakMethod(self._hold_of_task))
            thread = self._thread = WorkerThread(self.name, self._daemon)
            place = self._place = Worker(
                self._core, self._idle_task_timeout, self, thread, self._wake
            )
            thread.attach(place)
            next_job = place.next
            run_job = self._run_job
            go_on = self._prepare()
            place.clear_context()
            place.learn_hooks()
            has_worked = False
            if self._first_job is not None:
                place.take(self._first_job)
                has_worked = self._has_worked = True
                go_on = run_job(place)
                self._first_job = None
            while go_on:
                # gevent.util looks for this name to tell an idle worker.
                gevent_threadpool_worker_idle = True
                if not next_job():
                    return
                gevent_threadpool_worker_idle = False  # noqa: F841
                if not has_worked:
                    has_worked = self._has_worked = True
                # Only who runs the job refers to it, and for no longer than that.
                go_on = run_job(place)
        except BaseException:  # noqa: BLE001 - it is the fate of the job
            self._fail_taken(sys.exc_info())
        finally:
            try:
                if thread is not None:
                    thread.end()
            finally:
                try:
                    self._leave()
                finally:
                    # As in _begin().
                    thread = place = next_job = run_job = None  # type: ignore[assignment]
                    del self

    def _fail_taken(self, exc_info: Any) -> None:
        """End the job that was taken, if any: something was thrown into the thread beside it."""
        _fork.settle()
        if self._abandoned:
            return  # The job has forked.
        if self._place is not None:
            job = self._place.taken()
            if job is not None:
                self._fail_job(job, self._place, exc_info)
        self._failed_at_once = not self._has_worked
        self._complain()

    def _leave(self) -> None:
        """Give up everything. It may be done again if it was broken off."""
        _fork.settle()
        if self._abandoned:
            return
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
            if self._core.queued:
                if self._failed_at_once:
                    # The next one would fail as well.
                    self._give_up(RuntimeError(f"the thread {self.name!r} has failed"))
                else:
                    self._ask_for_replacement()
            self._left = True
            # The crew may refer to its workers for long.
            del self._crew

    def abandon(self) -> None:
        """In a forked child, leave alone what is the parent's; end the thread if it goes on."""
        self._abandoned = self._left = True
        thread = self._thread
        if thread is not None and self._thread_ident != _gevent.get_thread_ident():
            thread.abandon()

    def _prepare(self) -> bool:
        """Do what comes before the first job. Return whether the worker goes on."""
        return True

    def _run_job(self, place: Worker) -> bool:
        """Run the job that was taken. Return whether the worker goes on."""
        raise NotImplementedError

    def _fail_job(self, job: Any, place: Worker, exc_info: Any) -> None:
        """End a job that the worker has taken and can not run."""
        raise NotImplementedError

    def _complain(self) -> None:
        """Say that the worker ends before its time."""
        print(f"Failed to run worker thread: {self!r}", file=self._stderr)

    def _hold_of_task(self) -> Hold:
        """Return what the task that runs keeps loops from ending by."""
        raise NotImplementedError

    def _ask_for_replacement(self) -> None:
        """See that somebody runs what is queued, though this worker ends."""
        raise NotImplementedError

    def _give_up(self, error: RuntimeError) -> None:
        """End what is queued with an error, if there is no other worker for it."""
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
            _gevent.destroy_hub(hub_of_worker)

    #: Whether there is nothing to do before a task, or after one that leaves nothing.
    _has_no_hooks: Callable[[], bool] = staticmethod(_cpython.has_no_thread_hooks)

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
                    value = func(*args, **kwargs) if kwargs else func(*args)
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
            del self, func, args, kwargs, result, value, error, context
            try:
                if not plain:
                    place.clear_context()
            finally:
                del place


_before = _Worker._before_run_task
_after = _Worker._after_run_task


class _WorkerGreenlet(_Worker):
    """A worker of a :class:`ThreadPool`, made in the hub's thread.

    A subclass may override :meth:`_before_run_task` and :meth:`_after_run_task`,
    which run in the worker around each task, also around each item of a map.
    """

    _crew: PoolCrew
    _hub: Any = None

    def __init__(self, crew: PoolCrew) -> None:
        _Worker.__init__(self, crew, f"hubpool-{next(_numbers)}")
        self._hub = crew.hub
        self._account = crew.account
        self._wake = self._account.wake.native
        self._idle_task_timeout = crew.idle_task_timeout

    def abandon(self) -> None:
        """Do so, and refer to nothing of the parent's."""
        super().abandon()
        self.__dict__.clear()
        self._abandoned = self._left = True

    def _has_no_hooks(self) -> bool:
        return self._overrides_no_hooks() and _cpython.has_no_thread_hooks()

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
        initializer = self._crew.initializer
        if initializer is not None:
            try:
                initializer()
            except BaseException:
                error = ((self, initializer), sys.exc_info())
                self._account.wake.call(partial(self._account.handle_error, error))
                raise
            finally:
                # The traceback refers to this frame.
                del self, initializer
        return True

    def runs(self, result: Any) -> bool:
        """Whether the task that it runs has this result. Any thread."""
        place = self._place
        job = None if place is None else place.taken()
        return type(job) is tuple and job[3] is result

    def _run_job(self, place: Worker) -> bool:
        try:
            job = place.taken()
            if type(job) is not tuple:
                go_on = self._run_batch(job, place)
                # The frame that called the one of a traceback is kept with it.
                del job
            elif job[4] is None and self._has_no_hooks():
                del job
                go_on = self._run_tasks(place)
            else:
                func, args, kwargs, result, context = job
                value, error, go_on = self._run_task(func, args, kwargs, result, context, place)
                del job, args, kwargs, context
                self._finish(func, result, value, error, place)
                del func, result, value, error
            if not go_on:
                self._complain()
            return go_on
        finally:
            # As in _begin().
            del self, place

    def _run_tasks(self, place: Worker) -> bool:
        """Run the task that was taken, and those that follow, while all are plain calls."""
        tasks = Tasks(place, _before, _after)
        slot = tasks.slot
        error = None
        try:
            try:
                for func, args, kwargs, result, context in tasks:
                    gevent_threadpool_worker_idle = False
                    slot[0] = func(*args, **kwargs) if kwargs else func(*args)
                    del func, args, kwargs, result, context
                    gevent_threadpool_worker_idle = True  # noqa: F841
            except BaseException:
                if not tasks.handed_out:
                    raise
                error = sys.exc_info()
            return not tasks.handed_out or self._end_task(place, slot.pop(), error)
        finally:
            # A traceback refers to this frame, which must not refer back, nor to what it ran.
            func = args = kwargs = result = context = None
            del func, args, kwargs, result, context, tasks, slot, error, self, place

    def _end_task(self, place: Worker, value: Any, error: Any) -> bool:
        """Do what comes after a task that has left something behind, or has failed."""
        func, args, kwargs, result, _ = place.taken()
        go_on = True
        try:
            self._after_run_task(func, args, kwargs, result)
        except BaseException:  # noqa: BLE001 - it belongs to the caller
            error = sys.exc_info()
            go_on = False
        finally:
            del args, kwargs
        place.clear_context()
        try:
            self._finish(func, result, value, error, place)
        finally:
            del func, result, value, error
        return go_on

    def _finish(self, func: Any, result: Any, value: Any, error: Any, place: Worker) -> None:
        """Count a task as ended, and leave what has become of it for its result."""
        if error is None:
            place.finish_with_value(self._account, result, value)
        else:
            self._finish_failed(func, result, error, place)

    def _fail_job(self, job: Any, place: Worker, exc_info: Any) -> None:
        if type(job) is tuple:
            func, _, _, result, _ = job
            self._finish_failed(func, result, exc_info, place)
        else:
            job.requeue(place)

    def _finish_failed(self, func: Any, result: Any, exc_info: Any, place: Worker) -> None:
        """Count a task as ended, and leave its error for its result."""
        failed = Failed(self._account, result, ((self, func), exc_info))
        place.finish(self._account.wake.native, (failed, None, None, None))

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
            del self, error, value, args, batch, context, place

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
            # As in _begin().
            del self, place
            claims.leave()
            # The tracebacks of failures that the batch keeps refer to this frame.
            del batch, claims

    def _run_claims(self, batch: Batch, claims: Claims, plain: bool, place: Worker) -> bool:
        func = batch.func
        zipped = batch.zipped
        slot = claims.slot
        hooks = _cpython.hooks
        item = None
        try:
            while not claims.left:
                try:
                    for item in claims:
                        # The short way is for items around which there is nothing to do.
                        if plain and hooks._profile_hook is None and hooks._trace_hook is None:
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
                    place.clear_context()
            return True
        finally:
            # The traceback of a failure that nobody reads refers to this frame.
            del batch, claims, place, func, slot, item, self

    def _failure(self, batch: Batch, exc_info: Any) -> Failure:
        """Report what an item raised; return its place holder."""
        batch.fail()
        account = self._account
        error = ((self, batch.func), exc_info)
        unretrieved = None
        if account.report_errors == "always":
            account.wake.call(partial(account.handle_error, error))
        elif account.report_errors == "unretrieved":
            unretrieved = Unretrieved(account.wake, error)
        return Failure(exc_info, unretrieved)

    def _hold_of_task(self) -> Hold:
        return None if self._wake is None else TaskHold(self._wake)

    def _ask_for_replacement(self) -> None:
        self._account.wake.call(self._crew.rescue)

    def _give_up(self, error: RuntimeError) -> None:
        self._account.wake.call(partial(self._crew.fail_queue, error))

    def cleanup(self, hub_of_worker: Any) -> None:
        """Leave the pool; then destroy the hub that a task made in this thread.

        That comes last, since it waits for what the task has left there.
        """
        if self._hub is not None:
            self._hub = None
            self._leave_crew()
            if self._account.events:
                self._account.wake.native.post((self._account, None, None, None))
        super().cleanup(hub_of_worker)

    def __repr__(self) -> str:
        return (
            f"<ThreadPoolWorker at 0x{id(self):x} thread_ident=0x{self._thread_ident:x} "
            f"threadpool-hub={_gevent.format_hub(self._hub)}>"
        )
