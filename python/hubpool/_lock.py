"""A reentrant lock that native threads and the greenlets of several hubs may share.

gevent's lock, which a patched :mod:`threading` makes, belongs to the hub that was the last to wait
for it. A native thread without a hub that lets it go can not tell a greenlet of a hub, and forgets
it. Here each caller waits where it is, and a waiter is told as the waiters of a future are.
"""

from __future__ import annotations

import math
import time
import weakref
from typing import Any, NamedTuple

from gevent.exceptions import BlockingSwitchOutError
from gevent.hub import sleep
from greenlet import getcurrent

from hubpool import _fork, _gevent
from hubpool._future import Future
from hubpool._hub import may_wait, may_wait_here

#: After how long, in seconds, a waiter looks again although nothing has told it: a signal handler
#: may have broken off the release that was about to tell it, or C code may have forked.
_LOOK_AGAIN = 0.1
#: How long, in seconds, a lock that was handed to a waiter waits for it to come. Its hub may be busy.
_OFFER = 0.01
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


class _Waiter(NamedTuple):
    """A caller that waits for a lock."""

    #: The number of the hub where it waits, if it does not block.
    hub: int | None
    claim: list[Any]
    #: Whether it has found that others were faster.
    was_late: bool


class Lock:
    """A reentrant lock, with the interface of :class:`threading.RLock`.

    It belongs to a greenlet, or to a thread that has no other. A greenlet waits cooperatively; a
    thread without a hub, and a hub's own greenlet, block. It may be used wherever a signal handler
    or a finalizer runs: the step that takes it also says who has it. It goes to the waiter that
    comes first. A waiter that has come too late before is handed the lock; but others take that soon
    if the waiter's hub does not run, so a hub that runs no more keeps nobody from it.

    Any thread may use it. In a forked child it is free if another thread of the parent held it.

    >>> lock = Lock()
    >>> with lock, lock:
    ...     lock.locked()
    True
    >>> lock.locked()
    False
    """

    __slots__ = ("__weakref__", "_before", "_held", "_offer", "_waiting")

    def __init__(self, before: Any = None) -> None:
        #: Empty if the lock is free. Else one list: the holder's number, that of its thread, and
        #: something for each time that the holder has taken the lock again.
        self._held: dict[None, list[Any]] = {}
        #: The waiters. Of each hub's one is told, and of those that block.
        self._waiting: dict[Future[None], _Waiter] = {}
        #: Empty, or what was handed to a waiter that has not come for it, and until when it may.
        self._offer: dict[None, tuple[list[Any], float]] = {}
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
            self._offer.pop(None, None)
            del self._held[None]
        elif held is not None and held[-1] is claim:
            held.pop()
        self._tell_waiters()

    def _wait(self, claim: list[Any], timeout: float) -> bool:
        deadline = math.inf if timeout < 0 else time.monotonic() + timeout
        was_late = False
        while True:
            hub = self._hub_to_wait_on(claim)
            turn: Future[None] = Future()
            self._waiting[turn] = _Waiter(None if hub is None else id(hub), claim, was_late)
            try:
                if self._take(claim):
                    return True
                left = min(deadline - time.monotonic(), _OFFER if self._offer else _LOOK_AGAIN)
                if left <= 0:
                    break
                if hub is None:
                    _block(turn, left)
                else:
                    turn.wait(left)
            finally:
                self._waiting.pop(turn, None)
            if self._take(claim):
                return True
            was_late = True
        self._take_back(claim)
        return False

    def _take(self, claim: list[Any]) -> bool:
        """Take the lock if it is free, was handed to the caller, or to a waiter that does not come."""
        if self._held.setdefault(None, claim) is claim:
            offer = self._offer.get(None)
            if offer is None or offer[0] is not claim:
                return True
            # Another waiter that found this one late may be first.
            return self._offer.pop(None, None) is offer
        offer = self._offer.get(None)
        if offer is None or time.monotonic() < offer[1]:
            return False
        if self._offer.pop(None, None) is not offer:
            return False
        self._held[None] = claim
        return True

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
        elif not self._waiting or not self._hand_over():
            del self._held[None]
            if self._waiting:
                self._tell_waiters()

    def _hand_over(self) -> bool:
        """Hand the lock to the first waiter that has come too late before; ``False`` if none has."""
        for turn, waiter in self._waiting.copy().items():
            if waiter.was_late and self._waiting.pop(turn, None) is not None:
                self._offer[None] = waiter.claim, time.monotonic() + _OFFER
                self._held[None] = waiter.claim
                turn.settle(None, None)
                return True
        return False

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
        for turn, waiter in self._waiting.copy().items():
            if waiter.hub not in told and self._waiting.pop(turn, None) is not None:
                told.add(waiter.hub)
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
        # What threads and handlers call for a lock that they made.
        self.leave_to_parent()

    def leave_to_parent(self) -> None:
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

    def leave_to_parent(self) -> None:
        """Do as :meth:`Lock.leave_to_parent`."""
        super().leave_to_parent()
        if not self._before._is_owned():
            self._before._at_fork_reinit()


def _owns(lock: Any) -> bool:
    """Whether the caller may let another lock go; a lock without an owner does not tell."""
    is_owned = getattr(lock, "_is_owned", None)
    return bool(lock.locked() if is_owned is None else is_owned())


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
        lock.leave_to_parent()


_fork.in_child(_after_fork_in_child)
