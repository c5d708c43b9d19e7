"""Arguments that are refused at once, by name; and how objects name their class."""

from __future__ import annotations

import math
import operator
from typing import Any

#: The most threads that a pool may have: no system has more, and a semaphore counts in 32 bits.
MOST_WORKERS = 2**30


def check_seconds(
    name: str, seconds: Any, *, may_be_none: bool = True, may_be_nan: bool = False
) -> None:
    """Raise :exc:`TypeError` for what is no number, :exc:`ValueError` for NaN.

    The standard library takes NaN for a time limit that is over.
    """
    if seconds is None and may_be_none:
        return
    what = "seconds or None" if may_be_none else "seconds"
    try:
        is_nan = math.isnan(seconds)
    except TypeError:
        raise TypeError(f"{name} must be a number of {what}: {seconds!r}") from None
    except OverflowError:
        raise OverflowError(f"{name} is too large to be a number of {what}") from None
    if is_nan and not may_be_nan:
        raise ValueError(f"{name} must be a number of {what}: {seconds!r}")


def check_callable(name: str, function: Any) -> None:
    """Raise :exc:`TypeError` for what cannot be called."""
    if not callable(function):
        raise TypeError(f"{name} must be callable: {function!r}")


def check_maxsize(maxsize: Any) -> None:
    """Raise an error for what is no number of workers, or of results."""
    if not isinstance(maxsize, int):
        raise TypeError(f"maxsize must be integer: {maxsize!r}")
    if maxsize < 0:
        raise ValueError(f"maxsize must not be negative: {maxsize!r}")
    if maxsize > MOST_WORKERS:
        raise OverflowError(f"maxsize must not be above {MOST_WORKERS}: {maxsize!r}")


def whole_number(name: str, number: Any) -> int:
    """Return what an integer stands for; :exc:`TypeError` for what is none."""
    try:
        return operator.index(number)
    except TypeError:
        raise TypeError(f"{name} must be an integer: {number!r}") from None


def class_name(thing: object) -> str:
    """Return the name of an object's class with its package, or its module elsewhere."""
    kind = type(thing)
    module = kind.__module__
    package = "hubpool" if module.startswith("hubpool.") else module
    return f"{package}.{kind.__qualname__}"
