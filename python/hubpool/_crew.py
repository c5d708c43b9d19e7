"""The threads of one pool or executor, and how more of them are started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hubpool._limit import thread_limit
from hubpool._native import Registration

if TYPE_CHECKING:
    from collections.abc import Callable

    from hubpool._account import Account
    from hubpool._native import Core
    from hubpool._worker import _WorkerGreenlet


#: How long to wait, in seconds, where the system lets no thread start.
_PAUSE = 0.01


class Crew:
    """A core's worker threads.

    Workers refer to it and not to their pool or executor, which can be dropped while they
    live, and with work in its queue: it is here that somebody is found for that. Any thread.
    """

    __slots__ = ("__weakref__", "core", "workers")

    def __init__(self, core: Core) -> None:
        self.core = core
        #: Whoever starts a worker adds it.
        self.workers: set[Any] = set()

    def adjust(self) -> None:
        """Start threads that the outstanding tasks call for."""
        while self.core.wants_worker(0) and self.add_if_needed():
            pass

    def rescue(self) -> None:
        """Do as :meth:`adjust`, for what nobody else comes for, and never fail."""
        try:
            self.adjust()
        except RuntimeError as error:
            self._cannot_start(error)

    def _cannot_start(self, error: RuntimeError) -> None:
        """See to what is queued, though there is no thread and none can be started."""
        raise NotImplementedError

    def add_if_needed(self, first_job: Any = None) -> bool:
        """Do as :meth:`add`; if none can be started, that is an error only if there is none."""
        try:
            return self.add(first_job)
        except RuntimeError:
            if not self.core.workers:
                raise
            return False

    def add(self, first_job: Any = None) -> bool:
        """Start a thread; ``False`` if the process may have no more of them now."""
        registration = Registration(self.core)
        started = False
        try:
            if thread_limit.take(self.core, self.rescue, registration):
                started = self._start(first_job, registration)
        finally:
            if not started and registration.revoke() and registration.within_limit:
                thread_limit.give_back(self.core)
        return started

    def _start(self, first_job: Any, registration: Registration) -> bool:
        """Register a worker and start its thread, unless none is wanted any more."""
        raise NotImplementedError


class PoolCrew(Crew):
    """The threads of a :class:`ThreadPool`, and what they need to know of it."""

    __slots__ = ("account", "hub", "idle_task_timeout", "initializer", "kind", "maps")

    def __init__(
        self,
        core: Core,
        account: Account,
        kind: type[_WorkerGreenlet],
        idle_task_timeout: float,
        initializer: Callable[[], object] | None,
    ) -> None:
        super().__init__(core)
        self.account = account
        self.hub = account.hub
        self.kind = kind
        #: The pool's maps that are at work.
        self.maps: set[Any] = set()
        self.idle_task_timeout = idle_task_timeout
        #: What each thread calls before its first task.
        self.initializer = initializer

    def _start(self, _first_job: Any, registration: Registration) -> bool:
        worker = self.kind(self)
        registration.register()
        worker.start(registration)
        return True

    def _cannot_start(self, _error: RuntimeError) -> None:
        self.account.wake.call(self._try_later)

    def fail_queue(self, error: RuntimeError) -> None:
        """End what is queued with an error, if there is no worker. Hub's thread only."""
        if self.core.workers:
            return
        for running in tuple(self.maps):
            running.drop(error)
        # A greenlet that gets the error runs at once, and may start a worker for a new task.
        while not self.core.workers and self.account.withdraw_newest(self.core, error):
            pass

    def _try_later(self) -> None:
        timer = self.hub.loop.timer(_PAUSE)

        def try_again() -> None:
            timer.close()
            self.rescue()

        timer.start(try_again)
