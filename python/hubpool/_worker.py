"""The worker: a native thread that runs one task after another."""

from __future__ import annotations

import contextlib
import itertools
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

from gevent import monkey
from greenlet import getcurrent, greenlet

from hubpool import _gevent
from hubpool._native import Batch, Worker, name_thread

if TYPE_CHECKING:
    from hubpool.threadpool import ThreadPool

_numbers = itertools.count(1)
_END = object()


class Failure:
    """The place of an item of a map whose function raised."""

    __slots__ = ("exc_info",)

    def __init__(self, exc_info: Any) -> None:
        self.exc_info = exc_info

    def reraise(self) -> None:
        """Raise what the function raised, with its traceback."""
        try:
            raise self.exc_info[1].with_traceback(self.exc_info[2])
        finally:
            self.exc_info = None


class _WorkerGreenlet(greenlet):
    """A worker thread's greenlet, made by the pool in the hub's thread.

    A subclass may override :meth:`_before_run_task` and :meth:`_after_run_task`,
    which run in the worker around each task, also around each item of a map.
    """

    # gevent.util.GreenletTree prints it as a root.
    greenlet_tree_is_root = True

    _thread_ident = 0
    _hub: Any = None
    _hub_of_worker: Any = None
    _idle_task_timeout: float = -1

    def __init__(self, threadpool: ThreadPool) -> None:
        greenlet.__init__(self)
        self._hub = threadpool.hub
        self._stderr = (
            monkey.get_original("sys", "stderr") if monkey.is_module_patched("sys") else sys.stderr
        )
        # The pool itself is only weakly referred to, so that it can be dropped.
        self._pool = weakref.ref(threadpool)
        self._core = threadpool._core
        self._account = threadpool._account
        self._workers = threadpool._worker_greenlets
        self._idle_task_timeout = threadpool._idle_task_timeout
        self._name = f"hubpool-{next(_numbers)}"
        self._core.register()
        self._workers.add(self)
        try:
            _gevent.start_new_thread(self._begin, ())
        except BaseException:
            self._workers.discard(self)
            self._core.unregister()
            raise

    def _begin(self) -> None:
        """Run the greenlet in the new thread, beneath its root greenlet."""
        name_thread(self._name)
        self.parent = getcurrent()
        self._thread_ident = _gevent.get_thread_ident()
        self.parent.greenlet_tree_is_ignored = True  # type: ignore[union-attr]
        # run() has said what there is to say.
        with contextlib.suppress(BaseException):
            self.switch()

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

    def _run_task(self, func: Any, args: Any, kwargs: Any, result: Any) -> tuple[Any, bool]:
        """Run one task. Return its message, and whether the worker goes on.

        A hook that fails may have left anything behind, so its worker ends.
        """
        value = error = None
        go_on = True
        try:
            try:
                self._before_run_task(func, args, kwargs, result)
            except BaseException:  # noqa: BLE001 - it belongs to the caller
                error = ((self, func), sys.exc_info())
                go_on = False
            else:
                try:
                    value = func(*args, **kwargs)
                except BaseException:  # noqa: BLE001 - it belongs to the caller
                    error = ((self, func), sys.exc_info())
                try:
                    self._after_run_task(func, args, kwargs, result)
                except BaseException:  # noqa: BLE001 - it belongs to the caller
                    error = ((self, func), sys.exc_info())
                    go_on = False
            return (self._account, result, value, error), go_on
        finally:
            # A traceback refers to this frame, which must not refer back.
            del func, args, kwargs, result, value, error

    def _run_item(self, batch: Batch, args: Any) -> tuple[Any, bool]:
        """Run one item of a map; as `_run_task`, but return its value."""
        (_, _, value, error), go_on = self._run_task(batch.func, args, {}, None)
        try:
            if error is not None:
                value = self._failure(batch, error)
            return value, go_on
        finally:
            del error, value, args

    def _run_batch(self, batch: Batch) -> bool:
        """Run items of a map until none is left for this worker."""
        claims = batch.claims()
        func = batch.func
        zipped = batch.zipped
        done = claims.done
        end = _END
        kind = type(self)
        plain = (
            kind._before_run_task is _WorkerGreenlet._before_run_task
            and kind._after_run_task is _WorkerGreenlet._after_run_task
        )
        hooks = threading
        getprofile = sys.getprofile
        gettrace = sys.gettrace
        item = claims.first(end)
        value = None
        while item is not end:
            # The short way is for items around which there is nothing to do.
            if plain and hooks._profile_hook is None and hooks._trace_hook is None:  # type: ignore[attr-defined]
                try:
                    value = func(*item) if zipped else func(item)
                except BaseException:  # noqa: BLE001 - it belongs to the caller
                    value = self._failure(batch, ((self, func), sys.exc_info()))
                if getprofile() is not None or gettrace() is not None:
                    self._after_run_task(func, item, {}, None)
            else:
                value, go_on = self._run_item(batch, item if zipped else (item,))
                if not go_on:
                    claims.last(value)
                    return False
            item = done(value, end)
            value = None
        return True

    def _failure(self, batch: Batch, error: Any) -> Failure:
        """Report what an item raised; return its place holder."""
        batch.fail()
        self._account.wake.native.post((self._account, None, None, error))
        return Failure(error[1])

    def run(self) -> None:
        """Pull jobs until the pool lets the worker go."""
        place = Worker(self._core, self._account.wake.native, self._idle_task_timeout)
        next_job = place.next
        finish = place.finish
        run_task = self._run_task
        registered = True
        go_on = True
        try:
            self._name_in_threading()
            while go_on:
                self._fix_hub_before_block()
                # gevent.util looks for this name to tell an idle worker.
                gevent_threadpool_worker_idle = True
                job = next_job()
                gevent_threadpool_worker_idle = False  # noqa: F841
                if job is None:
                    registered = False
                    return
                if type(job) is tuple:
                    message, go_on = run_task(*job)
                    job = None
                    finish(message)
                    message = None
                else:
                    go_on = self._run_batch(job)
                    job = None
            # A hook failed. The caller has the error, or is about to get it.
            place.flush()
            print(f"Failed to run worker thread: {self!r}", file=self._stderr)
        finally:
            if registered:
                self._core.unregister()
            self.cleanup(_gevent.get_hub_if_exists())
            if registered:
                self._ask_for_replacement()

    def _fix_hub_before_block(self) -> None:
        hub = _gevent.get_hub_if_exists()
        if hub is not None:
            hub.name = "ThreadPool Worker Hub"
            # The monitoring thread must not report an idle worker as blocked.
            if hub.periodic_monitoring_thread is not None:
                hub.periodic_monitoring_thread.ignore_current_greenlet_blocking()
            self._hub_of_worker = hub

    def _name_in_threading(self) -> None:
        threading.current_thread().name = self._name

    def _ask_for_replacement(self) -> None:
        pool = self._pool()
        if pool is not None and pool._core.queued:
            _gevent.run_on_hub(pool.hub, pool.adjust)

    def cleanup(self, hub_of_worker: Any) -> None:
        """Destroy the hub that a task made in this thread; then leave the pool.

        Who waits for the thread may end the interpreter as soon as it has left,
        so leaving comes last.
        """
        try:
            if hub_of_worker is not None:
                hub_of_worker.destroy(True)
        finally:
            if self._hub is not None:
                self._hub = None
                _forget_thread()
                self._workers.discard(self)
                if self._account.watchers:
                    self._account.wake.native.post((self._account, None, None, None))

    def __repr__(self) -> str:
        return (
            f"<ThreadPoolWorker at 0x{id(self):x} thread_ident=0x{self._thread_ident:x} "
            f"threadpool-hub={_gevent.format_hub(self._hub)}>"
        )


def _forget_thread() -> None:
    # threading keeps the record of a thread that it did not start for ever.
    active = threading._active  # type: ignore[attr-defined]
    active.pop(threading.get_ident(), None)
