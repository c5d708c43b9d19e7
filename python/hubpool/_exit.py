"""Whether the interpreter has begun to exit.

From then on it may refuse to start threads (CPython 3.12 does), and executors take
nothing more. What is submitted to a pool that has no thread then runs where it is.
"""

from __future__ import annotations

from hubpool import _fork
from hubpool._cpython import register_atexit
from hubpool._limit import thread_limit

begun = False


def begin() -> None:
    """Say so."""
    global begun  # noqa: PLW0603 - it is said once
    _fork.settle()  # A child joins none of its parent's threads.
    begun = True
    thread_limit.set(None)  # Nobody has to wait for a turn any more.


# What is registered later is called before: the executor begins the exit itself.
register_atexit(begin)
