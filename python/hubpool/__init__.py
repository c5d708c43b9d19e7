"""A pool of native worker threads for gevent programs.

``hubpool.ThreadPool`` does what ``gevent.threadpool.ThreadPool`` does, with the
queue, the workers and the hand-off in Rust. There are three ways in::

    GEVENT_THREADPOOL=hubpool.ThreadPool python program.py   # gevent's own setting
    from hubpool import ThreadPool                           # by name
    python -m hubpool program.py                             # unchanged programs
"""

from gevent.threadpool import ThreadResult

from hubpool import from_thread
from hubpool._gevent import get_thread_profile as _get_thread_profile
from hubpool._gevent import get_thread_trace as _get_thread_trace
from hubpool._limit import set_thread_limit
from hubpool._patch import patch
from hubpool._worker import _WorkerGreenlet
from hubpool.exceptions import TaskCancelledError
from hubpool.executor import ThreadPoolExecutor
from hubpool.threadpool import ThreadPool

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
