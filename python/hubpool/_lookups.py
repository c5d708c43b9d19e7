"""What gevent's resolver asks the hub's pool for: it gets threads of its own.

Else a name would be looked up only after all that is queued in the pool, and a program whose
tasks fill it could not even open a connection.
"""

from __future__ import annotations

import _socket
from types import BuiltinFunctionType as Builtin

LOOKUPS = frozenset(
    {
        _socket.getaddrinfo,
        _socket.gethostbyaddr,
        _socket.gethostbyname,
        _socket.gethostbyname_ex,
        _socket.getnameinfo,
    }
)

__all__ = ["LOOKUPS", "Builtin"]
