"""The application of the rows in web.py: each path is one kind of request.

gunicorn loads it in its worker, once gevent has patched that process. The environment names the
pool.
"""

from __future__ import annotations

import functools
import hashlib
import os
from typing import TYPE_CHECKING, Any

import sides
from files import Files, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

pool = sides.POOLS[os.environ["POOL"]](int(os.environ["THREADS"]))
files = Files()
DATA = os.urandom(64 << 10)


def queries(number: int) -> str:
    """Make queries one after the other."""
    return "".join(pool.apply(files.query, (key,)) for key in range(number))


def mapped(number: int) -> str:
    """Make queries at once."""
    return "".join(pool.map(files.query, range(number)))


def from_file() -> str:
    """Read a file of 4 KiB."""
    return str(len(pool.apply(read, (files.path,))))


def hashed() -> str:
    """Hash 64 KiB."""
    digest: str = pool.apply(hashlib.sha256, (DATA,)).hexdigest()
    return digest


REQUESTS: dict[str, Callable[[], str]] = {
    "/query": functools.partial(queries, 1),
    "/queries": functools.partial(queries, 5),
    "/file": from_file,
    "/hash": hashed,
    "/map": functools.partial(mapped, 20),
}


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer a request."""
    body = REQUESTS[environ["PATH_INFO"]]().encode()
    length = str(len(body))
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", length)])
    return [body]
