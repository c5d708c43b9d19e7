"""What gevent's resolver asks the hub's pool for: it gets threads of its own.

Else a name would be looked up only after all that is queued in the pool, and a program whose
tasks fill it could not even open a connection.
"""

from __future__ import annotations

from types import BuiltinFunctionType
from typing import Any

from hubpool._cpython import LOOKUP_MODULE, LOOKUPS


def is_lookup(func: Any) -> bool:
    """Whether the function is one that looks a name up."""
    return (
        type(func) is BuiltinFunctionType
        and func.__module__ == LOOKUP_MODULE
        and func.__name__ in LOOKUPS
    )
