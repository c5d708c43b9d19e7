"""The thread pool with gevent's interface."""

from __future__ import annotations

import concurrent.futures
import math
import os
import sys
import time
import weakref
from collections.abc import Callable, Iterable
from contextvars import copy_context
from functools import partial
from itertools import starmap
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from gevent.exceptions import InvalidThreadUseError
from gevent.hub import get_hub, sleep
from gevent.lock import Semaphore
from gevent.pool import GroupMappingMixin

from hubpool import _exit, _fork, _gevent
from hubpool._account import Account
from hubpool._check import (
    MOST_WORKERS,
    check_callable,
    check_maxsize,
    check_seconds,
    class_name,
    whole_number,
)
from hubpool._crew import PoolCrew
from hubpool._hub import may_wait
from hubpool._intake import Intake
from hubpool._lookups import is_lookup
from hubpool._map import IMap, IMapUnordered, map_whole
from hubpool._native import Core, Held
from hubpool._reply import Reply
from hubpool._report import ReportErrors, WatchedResult, check_report_errors
from hubpool._result import TaskResult
from hubpool._worker import _WorkerGreenlet
from hubpool.exceptions import TaskCancelledError

if TYPE_CHECKING:
    from gevent.event import AsyncResult
    from typing_extensions import TypeVarTuple, Unpack

    _Ts = TypeVarTuple("_Ts")
else:
    AsyncResult = TaskResult  # Which takes a type argument at run time, too.

_T = TypeVar("_T")
_S = TypeVar("_S")
_P = ParamSpec("_P")

#: What tasks without keywords share; a call makes its own of it.
_NONE: dict[str, Any] = {}

#: Every pool, for the hook that runs in a forked child. One that is dropped lets its threads end.
_pools: dict[int, weakref.ref[ThreadPool]] = {}


class TaskQueue:
    """What programs read of the queue of gevent's pool, and of an executor's."""

    __slots__ = ("_core",)

    def __init__(self, core: Core) -> None:
        self._core = core

    @property
    def unfinished_tasks(self) -> int:
        """Tasks that have not ended."""
        return self._core.unfinished

    def qsize(self) -> int:
        """Jobs that no worker has taken; as one comes to them, they may count twice."""
        return self._core.queued


class ThreadPool(GroupMappingMixin):
    """A pool of at most ``maxsize`` native worker threads.

    It has the interface of ``gevent.threadpool.ThreadPool``. Its methods are
    for the thread that runs its hub; they wait cooperatively, and never block
    the other greenlets. Threads are started on demand and stay until the pool
    shrinks, is killed or dropped, or until no task has come for
    ``idle_task_timeout`` seconds (-1: for ever).

    Each task starts in an empty context (see :mod:`contextvars`), or, with
    ``copy_context``, in a copy of its submitter's. Nothing that it sets there is
    seen by another task.

    An error of a task is passed to ``hub.handle_error``, which prints it, and
    throws :exc:`SystemExit` and the like at the main greenlet, beside reaching who
    asks for the result: ``report_errors`` says whether ``"always"``, or only if the
    result is dropped and nobody has asked (``"unretrieved"``), or ``"never"``.

    Each thread calls ``initializer(*initargs)`` before its first task. If that raises an
    :exc:`Exception`, it is reported to ``hub.handle_error``, the thread ends, and if the pool has
    no other, what is queued raises :exc:`RuntimeError`. The next submission starts a thread again.
    What the initializer leaves in thread-local values its thread's tasks find.

    In the pool that gevent makes for a hub, names are looked up (``socket.getaddrinfo``
    and the like) by threads beside its own, so that they never wait for other tasks.

    ``len()`` is the number of unfinished tasks, items of running maps among
    them, so an instance without any is false.

    Raises :exc:`TypeError` if ``maxsize`` is not an integer,
    :exc:`ValueError` if it is negative, the same for an ``idle_task_timeout``
    that is no number, a ``report_errors`` that is no choice and an ``initializer`` that cannot be
    called, and
    :exc:`AttributeError` if the hub has been destroyed.

    >>> pool = ThreadPool(2)
    >>> pool.spawn(pow, 2, 10).get()
    1024
    >>> pool.map(abs, [-1, -2, 3])
    [1, 2, 3]
    >>> pool.kill()

    Source: gevent's page on :mod:`gevent.threadpool`.
    """

    __slots__ = (
        "__weakref__",
        "_account",
        "_available_worker_threads_greenlet_sem",
        "_copy_context",
        "_core",
        "_crew",
        "_idle_task_timeout",
        "_initializer",
        "_intake",
        "_lookups",
        "_maps",
        "_new_result",
        "_report_errors",
        "_size_wish",
        "_worker_greenlets",
        "fork_watcher",
        "hub",
        "manager",
        "task_queue",
    )

    _WorkerGreenlet: type[_WorkerGreenlet] = _WorkerGreenlet

    def __init__(  # noqa: PLR0913 - what a pool is made with
        self,
        maxsize: int,
        hub: Any = None,
        idle_task_timeout: float = -1,
        *,
        copy_context: bool = False,
        report_errors: ReportErrors = "always",
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
    ) -> None:
        check_maxsize(maxsize)
        check_report_errors(report_errors)
        check_seconds("idle_task_timeout", idle_task_timeout, may_be_none=False)
        if initializer is not None:
            check_callable("initializer", initializer)
        self._initializer = None if initializer is None else partial(initializer, *initargs)
        _fork.settle()
        self.hub: Any = get_hub() if hub is None else hub
        if self.hub.loop is None:
            raise AttributeError("the hub has been destroyed; make the pool in a thread's live hub")
        self._idle_task_timeout = idle_task_timeout
        self._copy_context = copy_context
        self._report_errors = report_errors
        self._new_result = WatchedResult if report_errors == "unretrieved" else TaskResult
        # Names that programs look for; nothing here needs them.
        self.manager: None = None
        self.fork_watcher: None = None
        #: The pool that looks names up, if this is a hub's and has been asked to.
        self._lookups: ThreadPool | None = None
        self._start_anew(maxsize)

    def _start_anew(self, maxsize: int) -> None:
        core = self._core = Core(maxsize)
        self.task_queue: TaskQueue = TaskQueue(self._core)
        # One more than there are workers, so that a worker that finishes a
        # task finds the next one.
        slots = Semaphore(maxsize + 1, self.hub)
        self._available_worker_threads_greenlet_sem = slots
        self._account = Account(self.hub, slots, self._report_errors)
        crew = PoolCrew(
            core, self._account, self._WorkerGreenlet, self._idle_task_timeout, self._initializer
        )
        self._crew = crew
        self._worker_greenlets: set[_WorkerGreenlet] = crew.workers
        self._intake = Intake(self, self._account)
        #: An object of its own for the wait until workers have left, while there is one.
        self._size_wish: object = None
        #: Maps at work, which want more workers when `maxsize` is raised.
        self._maps = crew.maps
        # It must not depend on a subclass that it calls a __del__() of this class.
        key = id(self)

        def dropped(_: object, pools: dict[int, Any] = _pools) -> None:
            pools.pop(key, None)
            core.shrink_to(0)

        _pools[key] = weakref.ref(self, dropped)

    def __repr__(self) -> str:
        return (
            f"<{class_name(self)} at 0x{id(self):x} tasks={len(self)} size={self.size} "
            f"maxsize={self.maxsize} hub={_gevent.format_hub(self.hub)}>"
        )

    def __len__(self) -> int:
        _fork.settle()
        lookups = 0 if self._lookups is None else len(self._lookups)
        return self._core.unfinished + lookups

    @property
    def pid(self) -> int:
        """The process whose threads the pool has: the one that asks, also in a forked child."""
        return os.getpid()

    @property
    def maxsize(self) -> int:
        """The most worker threads that the pool may have.

        ``maxsize`` + 1 tasks are taken before :meth:`spawn` waits. Raising it
        lets waiting :meth:`spawn` calls go on at once; lowering it ends idle
        threads now and busy ones as they finish.
        """
        return self._core.maxsize

    @maxsize.setter
    def maxsize(self, maxsize: int) -> None:
        check_maxsize(maxsize)
        _fork.settle()
        self._account.resize(self._core, maxsize)
        for running in tuple(self._maps):
            running.share()
        self.adjust()
        if self._lookups is not None:
            self._lookups.maxsize = max(maxsize, 1)

    @property
    def size(self) -> int:
        """The number of worker threads.

        Setting it starts threads, as far as :func:`hubpool.set_thread_limit` lets it,
        or ends some and waits cooperatively until they have, or until somebody sets
        another size; :exc:`ValueError` if it is negative or above ``maxsize``.
        """
        _fork.settle()
        return len(self._worker_greenlets)

    @size.setter
    def size(self, size: int) -> None:
        size = whole_number("size", size)
        if size < 0:
            raise ValueError(f"Size of the pool cannot be negative: {size!r}")
        if size > self.maxsize:
            raise ValueError(
                f"Size of the pool cannot be bigger than maxsize: {size!r} > {self.maxsize!r}"
            )
        self._size_wish = None
        self._core.stop_shrinking()
        self._account.notify()
        while self.size < size and self._crew.add():
            pass
        if self.size > size:
            # Those who come meanwhile, since there is work, do not count.
            before = self._worker_greenlets.copy()
            workers = self._worker_greenlets
            self._core.shrink_to(size)
            if may_wait(self.hub):
                wish = self._size_wish = object()
                try:
                    self._account.wait_until(
                        lambda: self._size_wish is not wish or len(before & workers) <= size
                    )
                finally:
                    if self._size_wish is wish:
                        self._size_wish = None

    def join(self, timeout: float | None = None) -> bool:
        """Wait cooperatively until all outstanding tasks have ended.

        Return whether they have, within *timeout* seconds if it is given. Any
        thread with a hub may call it.

        >>> pool = ThreadPool(1)
        >>> pool.join(timeout=1)
        True
        """
        check_seconds("timeout", timeout)
        _fork.settle()
        if self._lookups is not None:
            start = time.monotonic()
            if not self._lookups.join(timeout):
                return False
            if timeout is not None:
                timeout -= time.monotonic() - start
        account, coming = self._account, self._intake.waiting
        if get_hub() is self.hub and self.hub.loop is not None:
            return account.wait_until(lambda: not account.outstanding and not coming, timeout)
        # The hub may be unable to tell that it has the results.
        core = self._core
        return account.wait_until(lambda: not core.unfinished and not coming, timeout)

    def kill(self, drop_queued: bool = False) -> None:
        """Run what is queued, then end all threads; wait until they have ended.

        With *drop_queued*, nothing is run that no thread has begun: the results
        of such tasks, and maps that are at work, raise
        :exc:`hubpool.TaskCancelledError`. The pool works again afterwards: the
        next task starts a thread.

        :raises TypeError: if *drop_queued* is no ``bool``: seconds to wait, say.
        """
        if not isinstance(drop_queued, bool):
            raise TypeError(f"drop_queued must be a bool: {drop_queued!r}")
        _fork.settle()
        if drop_queued:
            self._check_thread()
            for running in tuple(self._maps):
                running.drop(TaskCancelledError("the pool was killed before the map was complete"))
            self._intake.cancel()
            # One at a time, and each in one step: what breaks this off loses none.
            while self._account.withdraw_newest(
                self._core, TaskCancelledError("the pool was killed before the task was run")
            ):
                pass
        if self._lookups is not None:
            self._lookups.kill(drop_queued)
        core, workers = self._core, self._worker_greenlets
        if core.queued and not workers and may_wait(self.hub):
            # At the limit on threads, the pool gets its turn first.
            self._account.wait_until(lambda: bool(workers) or not core.queued)
        self.size = 0

    def cancel(self, result: AsyncResult[Any]) -> bool:
        """Withdraw the task of a result that :meth:`spawn` returned.

        Return whether it was still queued: then it is not run, and the result
        raises :exc:`hubpool.TaskCancelledError`. A task that a thread has begun
        goes on. For the hub's thread; it does not wait.

        :raises TypeError: if :meth:`spawn` has not returned *result*. A future has a ``cancel()``
            of its own.
        :raises ValueError: if another pool has the task.

        >>> import threading
        >>> pool, go = ThreadPool(1), threading.Event()
        >>> first, second = pool.spawn(go.wait), pool.spawn(print, "not printed")
        >>> pool.cancel(second)
        True
        >>> go.set()
        >>> first.get(), pool.cancel(first)
        (True, False)
        """
        _fork.settle()
        self._check_thread()
        if not isinstance(result, TaskResult):
            is_future = isinstance(result, concurrent.futures.Future)
            own = "; a future has a cancel() of its own" if is_future else ""
            raise TypeError(f"result must be what spawn() has returned: {result!r}{own}")
        if self._withdraw(result):
            return True
        if not result.ready() and not self._has(result):
            for pool in _all_pools():
                if pool._has(result):
                    raise ValueError(f"result is that of a task of another pool: {pool!r}")
        return False

    def _withdraw(self, result: Any) -> bool:
        error = TaskCancelledError("the task was cancelled")
        return self._account.withdraw(self._core, result, error)

    def _has(self, result: Any) -> bool:
        """Whether the result's task is queued, or a worker runs it."""
        return self._core.has(result) or any(
            worker.runs(result) for worker in tuple(self._worker_greenlets)
        )

    @overload  # type: ignore[override] # args may be any iterable, as in gevent
    def apply(self, func: Callable[[], _T]) -> _T: ...
    @overload
    def apply(
        self,
        func: Callable[[Unpack[_Ts]], _T],
        args: tuple[Unpack[_Ts]],
        kwds: None = None,
    ) -> _T: ...
    @overload
    def apply(
        self, func: Callable[..., _T], args: list[Any] | None, kwds: dict[str, Any] | None = None
    ) -> _T: ...
    @overload
    def apply(
        self,
        func: Callable[..., _T],
        args: Iterable[Any] | None = None,
        *,
        kwds: dict[str, Any],
    ) -> _T: ...
    @overload
    def apply(
        self, func: Callable[..., _T], args: Iterable[Any] | None, kwds: dict[str, Any]
    ) -> _T: ...
    def apply(
        self,
        func: Callable[..., _T],
        args: Iterable[Any] | None = None,
        kwds: dict[str, Any] | None = None,
    ) -> _T:
        """Return ``func(*args, **kwds)``, called by a thread; wait cooperatively.

        Called in a worker of any pool, or in another thread than the hub's, it
        calls the function itself. It waits for no slot: a greenlet that waits for
        its result has no second task. Only if greenlets wait in :meth:`spawn` is it
        their turn first. If the wait is broken off, by a :class:`gevent.Timeout` for
        instance, before a thread has begun the task, it is withdrawn.

        :raises TypeError: if *func* cannot be called.
        """
        args = () if args is None else args
        kwds = {} if kwds is None else kwds
        if self._apply_immediately():
            return func(*args, **kwds)
        if is_lookup(func) and self._is_hubs():
            found: _T = self._lookup_pool().apply(func, args, kwds)
            return found
        result: Any
        if self._spawns():
            # Whether an error is asked for is known of a whole result alone.
            whole = self._report_errors == "unretrieved"
            result = self._new_result() if whole else Reply(self._account)
            # Who waits for the result need not wait for a slot before.
            keywords = _keywords(**kwds) if kwds else _NONE
            # A worker that sleeps may begin at once, if nobody else would run.
            alone = _gevent.would_sleep(self.hub)
            self._submit(func, tuple(args), keywords, result, self._size_wish is None, alone)
        else:
            result = self.spawn(func, *args, **kwds)
        try:
            return result.get()  # type: ignore[no-any-return] # no type of its own
        except BaseException:
            if not result.ready():
                self._withdraw(result)
            raise
        finally:
            # The error's traceback refers to this frame.
            del result

    def _is_hubs(self) -> bool:
        return type(self) is ThreadPool and _gevent.pool_of(self.hub) is self

    def _lookup_pool(self) -> ThreadPool:
        if self._lookups is None:
            self._lookups = ThreadPool(
                max(self.maxsize, 1),
                self.hub,
                self._idle_task_timeout,
                copy_context=self._copy_context,
                report_errors=self._report_errors,
            )
        return self._lookups

    def adjust(self) -> None:
        """Start threads that the outstanding tasks call for. Any thread."""
        self._crew.adjust()

    def _check_thread(self) -> None:
        if self.hub is not get_hub():
            raise InvalidThreadUseError(
                "a ThreadPool can only be used from the thread that runs its hub; use "
                "submit_threadsafe() of this pool, or make a pool in this thread, or use apply(), "
                "which runs the function here"
            )

    def spawn(  # type: ignore[override] # it returns no greenlet, as in gevent
        self, func: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> AsyncResult[_T]:
        """Run ``func(*args, **kwargs)`` in a worker thread.

        Waits cooperatively until there is a slot, starts a thread if there are
        fewer threads than tasks, and returns a :class:`gevent.event.AsyncResult`.

        :raises InvalidThreadUseError: if called from another thread than the hub's.
        :raises TypeError: if *func* cannot be called.
        :raises RuntimeError: if there is no thread and none can be started; the
            task is not queued then. When the interpreter is about to exit the
            function is called here instead.
        """
        result: AsyncResult[_T] = self._new_result()
        if self.hub is not get_hub():
            self._check_thread()
        self._submit(func, args, kwargs, result)
        return result

    def _submit(  # noqa: PLR0913, PLR0917 - the parts of a task, and what its caller is about to do
        self,
        func: Any,
        args: Any,
        kwargs: Any,
        result: Any,
        may_owe: bool = False,
        can_begin: bool = False,
    ) -> None:
        kwargs = kwargs or _NONE
        context = self._new_context() if self._copy_context else None
        account, core = self._account, self._core
        if account.offer(core, func, args, kwargs, result, context, may_owe, can_begin):
            return
        if _fork.settle():
            account, core = self._account, self._core  # Those were the parent's.
        slots = self._available_worker_threads_greenlet_sem
        if slots.locked() and not slots.linkcount():
            # One may come back soon.
            account.wake.stand_in()
            if account.offer(core, func, args, kwargs, result, context, may_owe, False):
                return
        task = (func, args, kwargs, result, context)
        held = Held(self._account, False)
        try:
            if not (may_owe and held.take_slot(True)) and not self._wait_for_slot(held):
                self._submit(func, args, kwargs, result, may_owe)
                return
            if held.offer(self._core, task):
                return
            held.begin()
            self._crew.add_if_needed()
            manned = held.submit(self._core, task)
        except BaseException as error:
            held.give_back()
            if isinstance(error, RuntimeError) and _exit.begun:
                _run_here(result, func, args, kwargs)
                return
            raise
        if not manned:
            self._rescue(task)

    def _wait_for_slot(self, held: Held) -> bool:
        """Wait for a slot; return whether it is this process's, or else begin anew."""
        slots = self._account.slots
        if slots.linkcount() and not slots.locked() and may_wait(self.hub):
            sleep(0)  # It belongs to other greenlets, which wait and are about to be told.
        # No signal handler comes between these two, as it would between two calls from here.
        next(map(held.keep_slot, starmap(slots.acquire, ((),))))
        _fork.settle()
        if slots is self._account.slots:
            return True
        held.keep_slot(False)
        return False

    def _rescue(self, task: Any) -> None:
        # The last worker has expired just before the task was queued, or there
        # may not be any.
        if not self._core.wants_worker(0):
            return
        try:
            self._crew.add()
        except BaseException:
            if self._account.withdraw(self._core, task, None):
                raise

    def submit_threadsafe(
        self, func: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> concurrent.futures.Future[_T]:
        """Run ``func(*args, **kwargs)`` in a worker thread; return a future. Any thread.

        It never waits. The hub takes such calls in turn, each as soon as
        :meth:`spawn` finds a slot for it. Whoever waits for the future, in any thread,
        gets what the function returned or raised, which is reported nowhere else. If the
        hub is destroyed before, the future never ends.

        :raises TypeError: if *func* cannot be called.
        :raises RuntimeError: if the hub has been destroyed.

        >>> import gevent, threading
        >>> pool, results = ThreadPool(1), []
        >>> def elsewhere():
        ...     results.append(pool.submit_threadsafe(pow, 2, 5).result())
        >>> thread = threading.Thread(target=elsewhere)
        >>> thread.start()
        >>> while not results:
        ...     gevent.sleep(0.001)
        >>> results
        [32]
        """
        check_callable("func", func)
        if self.hub.loop is None:
            raise RuntimeError("the hub has been destroyed")
        _fork.settle()
        from hubpool._future import Future  # noqa: PLC0415 - it takes long to import

        future: Future[_T] = Future((func, args, kwargs))
        self._intake.add(future)
        return future

    def map(self, func: Callable[[_S], _T], iterable: Iterable[_S]) -> list[_T]:
        """Return ``[func(item) for item in iterable]``, worked out by the threads.

        The iterable is advanced in a new greenlet on the hub's thread. Raises
        what the first item in order to fail raised, or what the iterable raised.
        """
        if not self._spawns():
            return super().map(func, iterable)
        self._check_batch(func)
        return map_whole(self, func, iterable)

    @overload  # type: ignore[override] # it returns no greenlet
    def imap(
        self, func: Callable[[_S], _T], iterable: Iterable[_S], /, *, maxsize: int | None = None
    ) -> IMap[_T]: ...
    @overload
    def imap(
        self,
        func: Callable[..., _T],
        first: Iterable[Any],
        second: Iterable[Any],
        /,
        *iterables: Iterable[Any],
        maxsize: int | None = None,
    ) -> IMap[_T]: ...
    def imap(
        self, func: Callable[..., _T], *iterables: Iterable[Any], maxsize: int | None = None
    ) -> IMap[_T]:
        """Return an iterator over the results of *func* over the zipped iterables, in order.

        The iterables are advanced in a new greenlet on the hub's thread, at
        most a bounded way ahead of the threads. With *maxsize*, at most that
        many results are under way or await the reader. Reading waits
        cooperatively, and raises what the function raised for that item.

        :raises TypeError: if *func* cannot be called, one of the iterables is none, or
            a keyword is unknown.
        :raises ValueError: if *maxsize* is negative.
        """
        results: IMap[_T] = self._imap(IMap, super().imap, func, iterables, maxsize)
        return results

    @overload  # type: ignore[override] # it returns no greenlet
    def imap_unordered(
        self, func: Callable[[_S], _T], iterable: Iterable[_S], /, *, maxsize: int | None = None
    ) -> IMapUnordered[_T]: ...
    @overload
    def imap_unordered(
        self,
        func: Callable[..., _T],
        first: Iterable[Any],
        second: Iterable[Any],
        /,
        *iterables: Iterable[Any],
        maxsize: int | None = None,
    ) -> IMapUnordered[_T]: ...
    def imap_unordered(
        self, func: Callable[..., _T], *iterables: Iterable[Any], maxsize: int | None = None
    ) -> IMapUnordered[_T]:
        """Do as :meth:`imap`, with the results in the order in which they come."""
        results: IMapUnordered[_T] = self._imap(
            IMapUnordered, super().imap_unordered, func, iterables, maxsize
        )
        return results

    def _imap(self, kind: Any, general: Any, func: Any, iterables: Any, maxsize: Any) -> Any:
        if maxsize is not None:
            if isinstance(maxsize, float) and math.isfinite(maxsize):
                maxsize = int(maxsize)  # As gevent's semaphore does.
            check_maxsize(maxsize)
        if not self._spawns():
            return general(func, *iterables, maxsize=maxsize)
        self._check_batch(func)
        return kind(self, func, iterables, maxsize)

    def _new_context(self) -> Any:
        return copy_context() if self._copy_context else None

    def _check_batch(self, func: Any) -> None:
        _fork.settle()
        self._check_thread()
        check_callable("func", func)

    def _spawns(self) -> bool:
        # Who overrides spawn(), in a class or an instance, sees each call and each item of a map.
        return getattr(self.spawn, "__func__", None) is _spawn

    def _apply_immediately(self) -> bool:
        return get_hub() is not self.hub

    def _apply_async_cb_spawn(self, callback: Callable[[Any], Any], result: Any) -> None:
        callback(result)

    def _apply_async_use_greenlet(self) -> bool:
        return True

    def _on_fork(self) -> None:
        # gevent calls it once the loop has been made anew.
        _fork.settle()

    def _after_fork_in_child(self) -> None:
        # The threads are gone, and their locks may be held for ever: the core
        # is made anew and the old one never touched again. Greenlets that
        # waited for a slot find that it is not theirs any more.
        slots, account = self._available_worker_threads_greenlet_sem, self._account
        for worker in self._worker_greenlets:
            worker.abandon()
        for running in self._maps:
            running.forsake()
        self._start_anew(self._core.maxsize)
        # Nobody waits there for long again: each greenlet that does looks once more.
        _gevent.resize_semaphore(slots, MOST_WORKERS - slots.counter)
        account.forget()


_spawn = ThreadPool.spawn


def _keywords(**keywords: Any) -> dict[str, Any]:
    """Make the keywords of one call; :exc:`TypeError` if they are none."""
    return keywords


def _run_here(result: AsyncResult[Any], func: Any, args: Any, kwargs: Any) -> None:
    """Run a task in the caller's thread, since the exiting interpreter starts no other."""
    try:
        value = func(*args, **kwargs)
    except BaseException as error:  # noqa: BLE001 - it belongs to who asks for the result
        result.set_exception(error, sys.exc_info())
    else:
        result.set(value)


def _all_pools() -> list[ThreadPool]:
    """Return every pool there is. Any thread."""
    pools = [ref() for ref in tuple(_pools.values())]
    return [pool for pool in pools if pool is not None]


def _after_fork_in_child() -> None:
    for pool in _all_pools():
        pool._after_fork_in_child()


_fork.in_child(_after_fork_in_child)
