"""Whether the interpreter has begun to exit.

From then on it may refuse to start threads (CPython 3.12 does), and executors take
nothing more. What is submitted to a pool that has no thread then runs where it is.
"""

from __future__ import annotations

begun = False


def begin() -> None:
    """Say so."""
    global begun  # noqa: PLW0603 - it is said once
    begun = True
