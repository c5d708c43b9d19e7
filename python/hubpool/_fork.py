"""What a forked child does before it uses a pool.

The threads of the parent are gone there, and whatever they had locked is locked for ever.
Python calls hooks in a child, in the order in which they were registered: older ones may
use a pool before those here have run. So whatever takes tasks looks at `under_way`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: Whether a fork has begun and its child, if this is it, may not have settled in yet.
under_way = False

_pid = os.getpid()
_hooks: list[Callable[[], object]] = []


def in_child(hook: Callable[[], object]) -> None:
    """Have the hook called in each forked child, after those that came before."""
    _hooks.append(hook)


def settle() -> None:
    """Call the hooks, if this is a child in which that has not been done."""
    global _pid  # noqa: PLW0603 - the process has only one
    if _pid != os.getpid():
        _pid = os.getpid()
        for hook in _hooks:
            hook()


def _begin() -> None:
    global under_way  # noqa: PLW0603 - as above
    under_way = True


def _end() -> None:
    global under_way  # noqa: PLW0603 - as above
    settle()
    under_way = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_begin, after_in_parent=_end, after_in_child=_end)
