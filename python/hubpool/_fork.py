"""What a forked child does before it uses a pool.

The threads of the parent are gone there, and no thread lets go of the locks that they held. C code
that forks calls no hook of Python's, so each entry that a program may come to first asks whether
the process is still the one that has settled in. The C library tells that, whatever has forked.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from hubpool import _gevent
from hubpool._native import Process

if TYPE_CHECKING:
    from collections.abc import Callable

#: This process: what is made from now on is its own.
process = Process()
#: The process that has settled in.
_settled = process

_hooks: list[Callable[[], object]] = []

#: By the numbers of processes, the lock that the thread holds that settles in: others that come
#: then wait until all is made anew. A child that is forked at that time needs a lock of its own.
_locks: dict[int, Any] = {}
#: The number of the process whose hooks are called.
_settling: int | None = None


def in_child(hook: Callable[[], object]) -> None:
    """Have the hook called in each forked child, after those that came before."""
    _hooks.append(hook)


def settle() -> bool:
    """Call the hooks, if this is a child in which that has not been done; return whether it is."""
    global process, _settled, _settling  # noqa: PLW0603 - there is one at a time
    if not _settled.forked():
        return False
    here = os.getpid()
    with _locks.setdefault(here, _gevent.new_rlock()):
        if _settling == here:
            return False  # A hook asks.
        if _settled.forked():
            _settling = here
            process = Process()
            try:
                for hook in _hooks:
                    hook()
            finally:
                _settled = process
                _settling = None
    return True


if hasattr(os, "register_at_fork"):
    # Greenlets that wait for the parent's work need not wait until a program uses a pool.
    os.register_at_fork(after_in_child=settle)
