"""The locks of :mod:`logging` in a patched program, for tasks that log.

A patched program's :mod:`logging` has locks of gevent's, which a pool's native threads share with
the greenlets of all hubs. gevent's lock does not bear that: see :mod:`hubpool._lock`. So hubpool
puts its own in their places as the first worker of a patched program starts.
"""

from __future__ import annotations

import logging
import sys
from importlib import import_module
from threading import Condition
from typing import Any

from hubpool import _cpython, _gevent
from hubpool._lock import Lock, LockInUse

#: What a patched :class:`threading.Lock` is.
_lock_type = import_module("gevent.thread").LockType
_create_lock = logging.Handler.createLock
_guard = _gevent.new_rlock()
_is_installed = False


class _ModuleLock(Lock):
    """What :mod:`logging` takes before each fork, and makes anew in the child to let it go."""

    __slots__ = ()

    def _at_fork_reinit(self) -> None:
        super()._at_fork_reinit()
        if self._is_owned():
            self.release()


class _ModuleLockInUse(_ModuleLock, LockInUse):
    """A module's lock in the place of one that somebody holds."""

    __slots__ = ()


def install() -> None:
    """Give all that :mod:`logging` locks a lock of hubpool's. Again, it does nothing."""
    global _is_installed  # noqa: PLW0603 - it is done once
    with _guard:
        if _is_installed:
            return
        logging.Handler.createLock = _create_own_lock  # type: ignore[method-assign, assignment]
        module = _cpython.logging_lock()
        _cpython.set_logging_lock(_successor(module, _ModuleLock, _ModuleLockInUse))
        for handler in _cpython.logging_handlers():
            handler.lock = _successor(handler.lock)
        _watch_queues()
        _is_installed = True


def _successor(lock: Any, kind: type[Lock] = Lock, kind_in_use: type[LockInUse] = LockInUse) -> Any:
    """Return the lock that comes in the place of another one. An unknown kind of lock stays."""
    block: Any = getattr(lock, "_block", None)
    if isinstance(lock, Lock) or not hasattr(block, "linkcount"):
        return lock
    return (kind_in_use if block.locked() or block.linkcount() else kind)(lock)


def _create_own_lock(handler: Any) -> None:
    """Do what ``Handler.createLock`` does, with a lock of hubpool's."""
    _create_lock(handler)
    handler.lock = Lock()
    _watch_queues()


class _Queue:
    """The attribute ``queue`` of a handler: a queue whose lock is hubpool's.

    Tasks put records into it, and a greenlet takes them out.
    """

    def __get__(self, handler: Any, _kind: Any) -> Any:
        if handler is None:
            return self
        try:
            queue = vars(handler)["queue"]
        except KeyError:
            raise AttributeError("queue") from None
        if type(getattr(queue, "mutex", None)) is _lock_type:
            _make_queue_safe(queue)
        return queue

    def __set__(self, handler: Any, queue: Any) -> None:
        vars(handler)["queue"] = queue

    def __delete__(self, handler: Any) -> None:
        del vars(handler)["queue"]


def _watch_queues() -> None:
    """Look after the queues of handlers, once there is such a kind of handlers."""
    handlers: Any = sys.modules.get("logging.handlers")
    kind: Any = getattr(handlers, "QueueHandler", None)
    if kind is not None and "queue" not in vars(kind):
        kind.queue = _Queue()


def _make_queue_safe(queue: Any) -> None:
    """Give a queue a lock of hubpool's, unless its lock is held just now."""
    mutex = queue.mutex
    if mutex.locked() or mutex.linkcount():
        return
    own = Lock(mutex)
    queue.mutex = own
    for condition in vars(queue).values():
        if isinstance(condition, Condition) and _cpython.condition_lock(condition) is mutex:
            # Those that wait for the condition go on with the new lock.
            _cpython.set_condition_lock(condition, own)
