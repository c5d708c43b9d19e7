"""A pool of native worker threads for gevent programs.

``hubpool.ThreadPool`` does what ``gevent.threadpool.ThreadPool`` does, with the
queue, the workers and the hand-off in Rust. There are three ways in::

    GEVENT_THREADPOOL=hubpool.ThreadPool python program.py   # gevent's own setting
    from hubpool import ThreadPool                           # by name
    python -m hubpool program.py                             # unchanged programs
"""

from typing import TYPE_CHECKING, Any

from hubpool import from_thread
from hubpool._gevent import get_thread_profile as _get_thread_profile
from hubpool._gevent import get_thread_trace as _get_thread_trace
from hubpool._limit import set_thread_limit
from hubpool._patch import patch
from hubpool._worker import _WorkerGreenlet
from hubpool.exceptions import TaskCancelledError
from hubpool.threadpool import ThreadPool

if TYPE_CHECKING:
    from gevent.threadpool import ThreadResult

    from hubpool.executor import ThreadPoolExecutor

__all__ = [
    "TaskCancelledError",
    "ThreadPool",
    "ThreadPoolExecutor",
    "ThreadResult",
    "_WorkerGreenlet",
    "_get_thread_profile",
    "_get_thread_trace",
    "from_thread",
    "patch",
    "set_thread_limit",
]


def __getattr__(name: str) -> Any:
    # They need concurrent.futures and what belongs to it, which takes as long to import as all else.
    value: Any
    if name == "ThreadPoolExecutor":
        from hubpool.executor import ThreadPoolExecutor as value  # noqa: PLC0415
    elif name == "ThreadResult":
        from gevent.threadpool import ThreadResult as value  # noqa: PLC0415
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
