"""A pool of native worker threads for gevent programs.

``hubpool.ThreadPool`` does what ``gevent.threadpool.ThreadPool`` does, with the
queue, the workers and the hand-off in Rust. There are three ways in::

    GEVENT_THREADPOOL=hubpool.ThreadPool python program.py   # gevent's own setting
    from hubpool import ThreadPool                           # by name
    python -m hubpool program.py                             # unchanged programs
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hubpool import from_thread

# Names of gevent.threadpool's that its tests need.
from hubpool._gevent import get_thread_profile as _get_thread_profile  # noqa: F401
from hubpool._gevent import get_thread_trace as _get_thread_trace  # noqa: F401
from hubpool._limit import set_thread_limit
from hubpool._map import IMap, IMapUnordered
from hubpool._patch import patch
from hubpool._worker import _WorkerGreenlet  # noqa: F401 - as above
from hubpool.exceptions import TaskCancelledError
from hubpool.threadpool import ThreadPool

if TYPE_CHECKING:
    from gevent.threadpool import ThreadResult

    from hubpool.executor import ThreadPoolExecutor

    __version__: str

__all__ = [
    "IMap",
    "IMapUnordered",
    "TaskCancelledError",
    "ThreadPool",
    "ThreadPoolExecutor",
    "ThreadResult",
    "from_thread",
    "patch",
    "set_thread_limit",
]


#: They need what takes as long to import as all else: concurrent.futures, and more.
_LAZY = {"ThreadPoolExecutor": "hubpool.executor", "ThreadResult": "gevent.threadpool"}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value = import_module("importlib.metadata").version("hubpool")
    elif name in _LAZY:
        value = getattr(import_module(_LAZY[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
