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
#: How long, in seconds, a lock that was handed to a waiter waits for it. Its hub may be busy.
_OFFER = 0.01
#: How long, in seconds, those that wait for a lock of gevent's come before those that come later.
_LONGEST_LINE = 1.0
#: The shortest wait, in seconds: how long a caller pauses before it looks at a lock of gevent's.
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


#: What a claim to a lock consists of: the number of the caller and that of its thread, until when a
#: lock that was handed to it waits for the caller to come, and which claim has won it by then. For
#: each time that its holder takes the lock again, something more.
_CALLER, _THREAD, _UNTIL, _WINNER, _LENGTH = range(5)


class _Waiter(NamedTuple):
    """A caller that waits for a lock."""

    #: The number of the hub where it waits, if it does not block.
    hub: int | None
    claim: list[Any]
    #: Whether the caller has found that others were faster.
    was_late: bool


def _wins(claim: list[Any], held: list[Any]) -> bool:
    """Whether a claim wins a lock that was handed to the claim that holds it. It stays so."""
    return held[_WINNER].setdefault(None, claim) is claim


def _holds(claim: list[Any], held: list[Any]) -> bool:
    """Whether a claim holds a lock that this one holds, or has won it."""
    if held is claim:
        return not held[_UNTIL] or _wins(claim, held)
    return held[_WINNER] is not None and held[_WINNER].get(None) is claim


class Lock:
    """A reentrant lock, with the interface of :class:`threading.RLock`.

    It belongs to a greenlet, or to a thread that has no other. A greenlet waits cooperatively; a
    thread without a hub, and a hub's own greenlet, block. It may be used wherever a signal handler
    or a finalizer runs: the step that takes it also notes the holder. It goes to the waiter that
    comes first. A waiter that has come too late before is handed the lock. Others take that soon
    if the waiter's hub does not run, so a hub that runs no more keeps nobody from it.

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
        #: Empty if the lock is free, else the claim that holds it.
        self._held: dict[None, list[Any]] = {}
        #: The waiters. Of each hub's one is told, and of those that block.
        self._waiting: dict[Future[None], _Waiter] = {}
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
        claim: list[Any] = [_caller(), _get_thread_ident(), 0, None]
        try:
            held = self._held.setdefault(None, claim)
            if held is claim:
                return True
            if held[_CALLER] == claim[_CALLER] and (not held[_UNTIL] or _wins(held, held)):
                held.append(claim)
                return True
            return blocking and self._wait(timeout)
        except BaseException:
            self._take_back(claim)
            raise

    def _take_back(self, claim: list[Any]) -> None:
        """Undo what a call has done that was broken off, and let another waiter have its turn."""
        held = self._held.get(None)
        if held is not None and held[-1] is claim:
            held.pop()
        elif held is not None and _holds(claim, held):
            del self._held[None]
        self._tell_waiters()

    def _wait(self, timeout: float) -> bool:
        deadline = math.inf if timeout < 0 else time.monotonic() + timeout
        was_late = False
        while True:
            # One claim to take the lock by, and one that it may be handed to, which is used once.
            claim: list[Any] = [_caller(), _get_thread_ident(), 0, None]
            handed: list[Any] = [*claim[:_WINNER], {}]
            try:
                hub = self._hub_to_wait_on(claim)
                turn: Future[None] = Future()
                self._waiting[turn] = _Waiter(None if hub is None else id(hub), handed, was_late)
                try:
                    if self._take(claim):
                        return True
                    left = min(deadline - time.monotonic(), self._patience())
                    if left > 0:
                        left = max(left, _PAUSE)  # The libuv loop has no shorter timers.
                        turn.wait(left) if hub is not None else _block(turn, left)
                finally:
                    self._waiting.pop(turn, None)
                if self._held.get(None) is handed and _wins(handed, handed):
                    return True
            except BaseException:
                self._take_back(claim)
                self._take_back(handed)
                raise
            if time.monotonic() >= deadline:
                self._tell_waiters()  # Nobody else may have been told instead.
                return False
            was_late = True

    def _take(self, claim: list[Any]) -> bool:
        """Take the lock if it is free, or was handed to a claim that does not come for it."""
        held = self._held.setdefault(None, claim)
        if held is claim:
            return True
        if not held[_UNTIL] or time.monotonic() < held[_UNTIL] or not _wins(claim, held):
            return False
        self._held[None] = claim
        return True

    def _patience(self) -> float:
        """Return after how many seconds a waiter looks again."""
        held = self._held.get(None)
        left = 0 if held is None or not held[_UNTIL] else held[_UNTIL] - time.monotonic()
        return left if left > 0 else _LOOK_AGAIN

    def _hub_to_wait_on(self, claim: list[Any]) -> Any:
        """Return the hub that others run on while the caller waits; ``None`` if it must block."""
        hub = _gevent.get_hub_if_exists()
        if hub is None or may_wait(hub):
            return hub
        held = self._held.get(None)
        if (
            held is not None
            and held[_THREAD] == claim[_THREAD]
            and not (held[_UNTIL] and not held[_WINNER])
        ):
            raise BlockingSwitchOutError("a hub cannot wait for a greenlet of its own")
        return None

    def release(self) -> None:
        """Let the lock go, once for each time that the caller has taken it.

        :raises RuntimeError: if the caller does not have it.
        """
        held = self._held.get(None)
        if held is None or held[_CALLER] != _caller():
            self._release_before()
        elif len(held) > _LENGTH:
            held.pop()
        elif not self._waiting or not self._hand_over():
            del self._held[None]
            if self._waiting:
                self._tell_waiters()

    def _hand_over(self) -> bool:
        """Hand the lock to the first waiter that was late; return whether there was one."""
        for turn, waiter in self._waiting.copy().items():
            if waiter.was_late and self._waiting.pop(turn, None) is not None:
                waiter.claim[_UNTIL] = time.monotonic() + _OFFER
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
        return held is not None and held[_CALLER] == _caller()

    def _release_save(self) -> int:
        # For conditions: let go however often it was taken, and take it as often again.
        held = self._held.get(None)
        if held is None or held[_CALLER] != _caller():
            raise RuntimeError("cannot release un-acquired lock")
        times = len(held) - _LENGTH + 1
        del held[_LENGTH:]
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
        if held is not None and held[_THREAD] != _get_thread_ident():
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
        # A thread that lets the other lock go while greenlets wait for it makes gevent forget them.
        # Those that gevent has forgotten before never come.
        end_of_line = time.monotonic() + _LONGEST_LINE
        taken = False
        try:
            while not (taken := self._is_free(end_of_line) and bool(before.acquire(False))):
                if not blocking or time.monotonic() > deadline:
                    break
                _pause()
        finally:
            if not taken:
                super().release()
        return taken

    __enter__ = acquire

    def _is_free(self, end_of_line: float) -> bool:
        """Whether the other lock is free, and its waiters have had their turn."""
        block = self._before._block
        return not block.locked() and (not block.linkcount() or time.monotonic() > end_of_line)

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
