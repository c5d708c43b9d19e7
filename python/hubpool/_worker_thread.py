"""A worker's thread as :mod:`threading` knows it."""

from __future__ import annotations

import math
import threading
import time
import weakref
from typing import TYPE_CHECKING

from hubpool import _cpython, _fork, _gevent

if TYPE_CHECKING:
    from threading import Thread

    from hubpool._native import Worker
else:
    # gevent's own class expects a greenlet of gevent's in each thread.
    Thread = _gevent.native_thread_class

#: The list of the threads that run something, by their numbers.
_active: dict[int | None, Thread] = _cpython.active_threads  # type: ignore[assignment] # none is missing

#: The shortest time, in seconds, that the libuv loop can wait for.
_TICK = 0.001


class WorkerThread(Thread):
    """The thread of a worker, which :mod:`threading` lists while the worker runs a task.

    It is alive as long as it is listed: an idle worker keeps no program waiting that joins all
    threads. It is the same object for all tasks of the thread. The worker makes it, in its
    greenlet; the worker's native place enters it into the list and takes it out again.
    """

    #: What the worker leaves to the joiners, until it leaves the thread.
    _place: Worker | None = None

    def __init__(self, name: str, daemon: bool) -> None:
        super().__init__(name=name, daemon=daemon)
        self._started.set()  # type: ignore[attr-defined] # private names
        self._set_ident()  # type: ignore[attr-defined]
        self._set_native_id()  # type: ignore[attr-defined]
        for handle in ("_handle", "_os_thread_handle"):
            if hasattr(self, handle):  # CPython 3.13 has the one, later versions have the other.
                setattr(self, handle, _Handle(self))
        _active[self.ident] = self

    def attach(self, place: Worker) -> None:
        """Let joiners ask the worker, at its place, to tell them when it rests."""
        self._place = place

    def end(self) -> None:
        """Take the thread out of the list for good, and refer to nothing of the worker's."""
        # Or what has come in its place while the worker was idle.
        _active.pop(self.ident, None)
        self._place = None
        self.rested()

    def abandon(self) -> None:
        """In a forked child, take a thread of the parent's out of the list."""
        _active.pop(self.ident, None)
        self._leave_to_parent()

    def _leave_to_parent(self) -> None:
        self._place = None
        rest = self.__dict__.pop("_rest", None)
        if rest is not None:
            rest.forsake()

    def rested(self) -> None:
        """Tell the joiners that the worker has no task any more."""
        rest = self.__dict__.pop("_rest", None)
        if rest is not None:
            rest.set_result(None)

    def is_alive(self) -> bool:
        """Whether the worker runs a task."""
        _fork.settle()
        return _active.get(self.ident) is self

    def join(self, timeout: float | None = None) -> None:
        """Wait, at most *timeout* seconds, until the worker runs no task, and is about to run none.

        Other greenlets run meanwhile where the calling thread has a hub.

        :raises RuntimeError: in a task of the thread itself.
        """
        if self.is_alive() and self.ident == threading.get_ident():
            raise RuntimeError("cannot join current thread")
        from hubpool._future import Future  # noqa: PLC0415 - it takes long to import

        deadline = math.inf if timeout is None else time.monotonic() + timeout
        while True:
            rest: Future[None] = self.__dict__.setdefault("_rest", Future())
            place = self._place
            if place is not None:
                place.call_when_resting()
            busy = self.is_alive()
            left = deadline - time.monotonic()
            if left <= 0 or not (busy or (place is not None and place.seeks)):
                return
            if busy:
                rest.wait(None if timeout is None else max(left, _TICK))
            else:
                Future().wait(_TICK)

    def _reset_internal_locks(self, is_alive: bool) -> None:
        # What CPython up to 3.12 calls in a forked child.
        super()._reset_internal_locks(is_alive)  # type: ignore[misc] # a private name
        self._become_the_childs(is_alive)
        if is_alive:
            # The interpreter gives it back as the child exits.
            self._tstate_lock = _gevent.new_lock()
            self._tstate_lock.acquire()

    def _after_fork(self, new_ident: int | None = None) -> None:
        # What CPython from 3.13 on calls in a forked child.
        super()._after_fork(new_ident=new_ident)  # type: ignore[misc] # a private name
        self._become_the_childs(new_ident is not None)

    def _become_the_childs(self, is_alive: bool) -> None:
        """In a forked child, leave the worker to the parent; be the main thread, if alive."""
        self._leave_to_parent()
        if is_alive:
            # The child waits for the threads that its main thread starts.
            self._daemonic = False
            self._set_native_id()  # type: ignore[attr-defined] # a private name

    def __repr__(self) -> str:
        """Return what a thread's description says, of one that may be idle, too."""
        status = "started" if self.is_alive() else "stopped" if self._place is None else "idle"
        daemon = " daemon" if self.daemon else ""
        return f"<{type(self).__name__}({self.name}, {status}{daemon} {self.ident})>"


class _Handle:
    """What CPython, from 3.13 on, and gevent ask about a thread's end."""

    def __init__(self, thread: WorkerThread) -> None:
        self.ident = thread.ident
        self._thread = weakref.ref(thread)

    def is_done(self) -> bool:
        """Whether the worker runs no task."""
        thread = self._thread()
        return thread is None or not thread.is_alive()

    def join(self, timeout: float | None = None) -> None:
        """Wait as :meth:`WorkerThread.join` does."""
        thread = self._thread()
        if thread is not None:
            thread.join(None if timeout is None or timeout < 0 else timeout)

    def _set_done(self, enter_hub: bool = True) -> None:
        """Do nothing, where a forked child ends or begins: the thread's list says it all."""
