"""A reentrant lock that native threads and the greenlets of several hubs may share.

gevent's lock, which a patched :mod:`threading` makes, belongs to the hub that was the last to wait
for it. A native thread without a hub that lets it go can not tell a greenlet of a hub, and forgets
it. Here each caller waits where it is, and a waiter is told as the waiters of a future are.
"""

from __future__ import annotations

import math
import time
import weakref
from typing import Any

from gevent.exceptions import BlockingSwitchOutError
from gevent.hub import sleep
from greenlet import getcurrent

from hubpool import _fork, _gevent
from hubpool._future import Future
from hubpool._hub import may_wait, may_wait_here

#: After how long, in seconds, a waiter looks again although nothing has told it: a signal handler
#: may have broken off the release that was about to tell it, or C code may have forked.
_LOOK_AGAIN = 0.1
#: How long a caller pauses, in seconds, before it looks again at a lock of gevent's.
_PAUSE = 0.001

_get_thread_ident = _gevent.get_thread_ident
_new_lock = _gevent.new_lock

#: Every lock, for the hook that runs in a forked child.
_locks: weakref.WeakSet[Lock] = weakref.WeakSet()


def _caller() -> int:
    """Return the number of the calling greenlet; a thread without greenlets has one, too."""
    try:
        return id(getcurrent())
    except RuntimeError:
        return 0  # The interpreter is about to end.


class Lock:
    """A reentrant lock, with the interface of :class:`threading.RLock`.

    It belongs to a greenlet, or to a thread that has no other. A greenlet waits cooperatively; a
    thread without a hub, and a hub's own greenlet, block. It may be used wherever a signal handler
    or a finalizer runs: the step that takes it also says who has it. It goes to the waiter that
    comes first, so a hub that runs no more keeps nobody else from it.

    Any thread may use it. In a forked child it is free if another thread of the parent held it.

    >>> lock = Lock()
    >>> with lock, lock:
    ...     lock.locked()
    True
    >>> lock.locked()
    False
    """

    __slots__ = ("__weakref__", "_before", "_held", "_waiting")

    def __init__(self, before: Any = None) -> None:
        #: Empty if the lock is free. Else one list: the holder's number, that of its thread, and
        #: something for each time that the holder has taken the lock again.
        self._held: dict[None, list[Any]] = {}
        #: The waiters, and the hub where each waits: one is told for each hub, one that blocks.
        self._waiting: dict[Future[None], int | None] = {}
        #: The lock in whose place this is. A thread may just be about to take it, and let go here.
        self._before = before
        _locks.add(self)

    def __repr__(self) -> str:
        state = "locked" if self._held else "unlocked"
        return f"<{type(self).__name__} at 0x{id(self):x} {state} waiting={len(self._waiting)}>"

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take the lock; return whether the caller has it.

        With *blocking* wait for it, at most *timeout* seconds if that is not -1.

        :raises BlockingSwitchOutError: in a hub's own greenlet, which can not wait, if a greenlet
            of that hub has the lock.
        """
        claim: list[Any] = [_caller(), _get_thread_ident()]
        try:
            held = self._held.setdefault(None, claim)
            if held is claim:
                return True
            if held[0] == claim[0]:
                held.append(claim)
                return True
            return blocking and self._wait(claim, timeout)
        except BaseException:
            self._take_back(claim)
            raise

    def _take_back(self, claim: list[Any]) -> None:
        """Undo what an interrupted call has done, and let another waiter have its turn."""
        held = self._held.get(None)
        if held is claim:
            del self._held[None]
        elif held is not None and held[-1] is claim:
            held.pop()
        self._tell_waiters()

    def _wait(self, claim: list[Any], timeout: float) -> bool:
        deadline = math.inf if timeout < 0 else time.monotonic() + timeout
        while True:
            hub = self._hub_to_wait_on(claim)
            turn: Future[None] = Future()
            self._waiting[turn] = None if hub is None else id(hub)
            try:
                if self._held.setdefault(None, claim) is claim:
                    return True
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                if hub is None:
                    _block(turn, min(left, _LOOK_AGAIN))
                else:
                    turn.wait(min(left, _LOOK_AGAIN))
            finally:
                self._waiting.pop(turn, None)
            if self._held.setdefault(None, claim) is claim:
                return True
        self._tell_waiters()  # Nobody else may have been told instead.
        return False

    def _hub_to_wait_on(self, claim: list[Any]) -> Any:
        """Return the hub that others run on while the caller waits; ``None`` if it must block."""
        hub = _gevent.get_hub_if_exists()
        if hub is None or may_wait(hub):
            return hub
        held = self._held.get(None)
        if held is not None and held[1] == claim[1]:
            raise BlockingSwitchOutError("a hub cannot wait for a greenlet of its own")
        return None

    def release(self) -> None:
        """Let the lock go, once for each time that the caller has taken it.

        :raises RuntimeError: if the caller does not have it.
        """
        held = self._held.get(None)
        if held is None or held[0] != _caller():
            self._release_before()
        elif len(held) > 2:
            held.pop()
        else:
            del self._held[None]
            if self._waiting:
                self._tell_waiters()

    def _release_before(self) -> None:
        before = self._before
        if before is None or not _owns(before):
            raise RuntimeError("cannot release un-acquired lock")
        before.release()

    def _tell_waiters(self) -> None:
        """Have one waiter of each hub, and one that blocks, look at a lock that is free."""
        if self._held:
            return
        told = set()
        for turn, hub in self._waiting.copy().items():
            if hub not in told and self._waiting.pop(turn, turn) is not turn:
                told.add(hub)
                turn.settle(None, None)

    __enter__ = acquire

    def __exit__(self, *_: object) -> None:
        self.release()

    def locked(self) -> bool:
        """Whether somebody has the lock."""
        return bool(self._held)

    def _is_owned(self) -> bool:
        held = self._held.get(None)
        return held is not None and held[0] == _caller()

    def _release_save(self) -> int:
        # For conditions: let go however often it was taken, and take it as often again.
        held = self._held.get(None)
        if held is None or held[0] != _caller():
            raise RuntimeError("cannot release un-acquired lock")
        times = len(held) - 1
        del held[2:]
        self.release()
        return times

    def _acquire_restore(self, times: int | None) -> None:
        # A condition that another lock was swapped in while it waited knows no number.
        for _ in range(times or 1):
            self.acquire()

    def _at_fork_reinit(self) -> None:
        """In a forked child, let the lock go if a thread of the parent's held it."""
        held = self._held.get(None)
        if held is not None and held[1] != _get_thread_ident():
            del self._held[None]
        # The hub's greenlets go on in the child, and look again.
        while self._waiting:
            self._waiting.popitem()[0].forsake()


class LockInUse(Lock):
    """A lock in the place of one that somebody holds: each holder has both until it lets go.

    So a caller that has taken the other one, and lets this one go, does so rightly, and so does one
    that lets the other one go.
    """

    __slots__ = ()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Do as :meth:`Lock.acquire`."""
        before = self._before
        if before._is_owned():
            return bool(before.acquire())
        deadline = math.inf if timeout < 0 else time.monotonic() + timeout
        if not super().acquire(blocking, timeout):
            return False
        taken = False
        try:
            while not (taken := not before._block.locked() and bool(before.acquire(False))):
                if not blocking or time.monotonic() > deadline:
                    break
                _pause()
        finally:
            if not taken:
                super().release()
        return taken

    __enter__ = acquire

    def release(self) -> None:
        """Do as :meth:`Lock.release`."""
        before = self._before
        if not before._is_owned():
            raise RuntimeError("cannot release un-acquired lock")
        before.release()
        if not before._is_owned():
            while super()._is_owned():
                super().release()

    def locked(self) -> bool:
        """Whether somebody has the lock, or the other one."""
        return super().locked() or bool(self._before._block.locked())

    def _is_owned(self) -> bool:
        return bool(self._before._is_owned())

    def _at_fork_reinit(self) -> None:
        super()._at_fork_reinit()
        if not self._before._is_owned():
            self._before._at_fork_reinit()


def _owns(lock: Any) -> bool:
    """Whether the caller may let another lock go; a lock without an owner does not tell."""
    is_owned = getattr(lock, "_is_owned", lock.locked)
    return bool(is_owned())


def _block(turn: Future[None], seconds: float) -> None:
    """Wait until the turn has come, at most so long, and let no greenlet run."""
    bell = _new_lock()
    bell.acquire()
    link = turn._link(None, lambda _: bell.release(), None)
    if link is not None:
        try:
            bell.acquire(timeout=seconds)
        finally:
            turn._drop(link)


def _pause() -> None:
    """Let others run for a moment."""
    if _gevent.get_hub_if_exists() is None:
        _gevent.native_sleep(_PAUSE)
    elif may_wait_here():
        sleep(_PAUSE)
    else:
        raise BlockingSwitchOutError("a hub cannot wait for a lock of gevent's")


def _after_fork_in_child() -> None:
    for lock in tuple(_locks):
        lock._at_fork_reinit()


_fork.in_child(_after_fork_in_child)
