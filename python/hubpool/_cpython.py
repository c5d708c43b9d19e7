"""What hubpool uses of CPython beyond its documented interface.

No other module of the package touches a private name of the standard library, so what a new
version of CPython can break stands here, in a table: `NAMES` says what each name is needed for,
and what happens where CPython lacks it. A test looks for each of them. The modules that take long
to import are imported when a name of theirs is first asked for.
"""

from __future__ import annotations

import sys
import threading
from functools import cache
from importlib import import_module
from types import CodeType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    #: The states of a future, and where :mod:`concurrent.futures` logs.
    PENDING: str
    RUNNING: str
    CANCELLED: str
    CANCELLED_AND_NOTIFIED: str
    FINISHED: str
    LOGGER: logging.Logger

    #: Every thread that :mod:`threading` knows, by its number.
    active_threads: dict[int, threading.Thread]
    #: Has a function called when the interpreter begins to exit.
    register_atexit: Callable[[Callable[[], object]], object]
    #: Does what ``python -m`` does.
    run_module_as_main: Callable[[str, bool], object]


_VERSION = ".".join(map(str, sys.version_info[:3]))


class Name(NamedTuple):
    """A private name of CPython's, and what happens on a CPython that lacks it."""

    module: str
    #: Below the module. ``Class()`` stands for an instance that is made without arguments.
    path: str
    without: str

    def find(self) -> Any:
        """Return what the name stands for.

        :raises ImportError: if CPython lacks it; the message says what that means.
        """
        try:
            value: Any = import_module(self.module)
            for part in self.path.split("."):
                value = getattr(value, part.removesuffix("()"))
                if part.endswith("()"):
                    value = value()
        except (ImportError, AttributeError) as error:
            raise ImportError(
                f"hubpool uses {self}, which CPython {_VERSION} lacks: {self.without}"
            ) from error
        return value

    def __str__(self) -> str:
        return f"{self.module}.{self.path}"


_EXECUTOR = "the import of hubpool.ThreadPoolExecutor fails"
_STATE = f"{_EXECUTOR}: a future has its states in common with concurrent.futures.wait()"
_HOOKS = "the import of hubpool fails: a worker could not see that a hook was set"
_LOOKUP = "a lookup of a name waits for its turn in the hub's pool, behind the pool's tasks"

#: What each name of this module stands for.
FOUND = {
    "active_threads": Name(
        "threading",
        "_active",
        "the import of hubpool fails: threading.enumerate() could not show workers",
    ),
    "register_atexit": Name(
        "threading",
        "_register_atexit",
        "the import of hubpool fails: nothing would run an executor's queue at exit",
    ),
    "run_module_as_main": Name(
        "runpy", "_run_module_as_main", "`python -m hubpool -m module` fails"
    ),
    "LOGGER": Name("concurrent.futures._base", "LOGGER", f"{_EXECUTOR}: errors would be silent"),
    "PENDING": Name("concurrent.futures._base", "PENDING", _STATE),
    "RUNNING": Name("concurrent.futures._base", "RUNNING", _STATE),
    "CANCELLED": Name("concurrent.futures._base", "CANCELLED", _STATE),
    "CANCELLED_AND_NOTIFIED": Name("concurrent.futures._base", "CANCELLED_AND_NOTIFIED", _STATE),
    "FINISHED": Name("concurrent.futures._base", "FINISHED", _STATE),
}

#: The hooks of :func:`threading.setprofile` and :func:`threading.settrace`. To call the documented
#: :func:`threading.getprofile` for each task would take several times as long.
_PROFILE_HOOK = Name("threading", "_profile_hook", _HOOKS)
_TRACE_HOOK = Name("threading", "_trace_hook", _HOOKS)

#: The module of the C functions that look names up, which gevent's resolver hands to the hub's
#: pool, and their names.
LOOKUP_MODULE = "_socket"
LOOKUPS = frozenset(
    {"getaddrinfo", "gethostbyaddr", "gethostbyname", "gethostbyname_ex", "getnameinfo"}
)

#: What a worker's thread, in `_worker_thread`, sets and overrides of its base class.
_THREAD = "no worker starts, or a forked child takes a worker of its parent for one of its own"
_OF_THREADS: tuple[str, ...] = ("_started", "_set_ident", "_set_native_id", "_daemonic")
if sys.version_info >= (3, 14):
    _OF_THREADS += ("_after_fork", "_os_thread_handle")
elif sys.version_info >= (3, 13):
    _OF_THREADS += ("_after_fork", "_handle")
else:
    _OF_THREADS += ("_reset_internal_locks", "_tstate_lock")

_LOGGING = "in a patched program, tasks that log may hang"

_TRACED = "where a tracer wraps the standard library's executor, a submission to hubpool's fails"

_NEW_EXECUTOR = "hubpool.ThreadPoolExecutor() raises AttributeError"

#: Every private name that hubpool uses on each CPython from 3.10 on.
NAMES: tuple[Name, ...] = (
    *FOUND.values(),
    _PROFILE_HOOK,
    _TRACE_HOOK,
    *(Name(LOOKUP_MODULE, name, _LOOKUP) for name in sorted(LOOKUPS)),
    *(Name("threading", f"Thread().{name}", _THREAD) for name in _OF_THREADS),
    *(
        Name("logging", name, _LOGGING)
        for name in ("_lock", "_handlerList", "_at_fork_reinit_lock_weakset")
    ),
    Name("threading", "_PyRLock()._block", _LOGGING),
    *(
        Name("threading", f"Condition().{name}", _LOGGING)
        for name in ("_lock", "_is_owned", "_release_save", "_acquire_restore")
    ),
    *(
        Name("concurrent.futures.thread", path, _TRACED)
        for path in (
            "_global_shutdown_lock",
            "ThreadPoolExecutor()._shutdown_lock",
            "ThreadPoolExecutor()._broken",
            "ThreadPoolExecutor()._shutdown",
            "ThreadPoolExecutor()._work_queue",
            "ThreadPoolExecutor._adjust_thread_count",
        )
    ),
    Name("concurrent.futures.thread", "ThreadPoolExecutor()._max_workers", _NEW_EXECUTOR),
    Name("concurrent.futures.thread", "ThreadPoolExecutor()._thread_name_prefix", _NEW_EXECUTOR),
)

#: The same of what CPython has from 3.14 on.
NAMES_SINCE_3_14: tuple[Name, ...] = tuple(
    Name(
        "concurrent.futures.thread",
        path,
        "what a subclass of hubpool.ThreadPoolExecutor says by BROKEN or prepare_context() is lost",
    )
    for path in (
        "ThreadPoolExecutor.BROKEN",
        "ThreadPoolExecutor.prepare_context",
        "ThreadPoolExecutor()._create_worker_context",
        "ThreadPoolExecutor()._resolve_work_item_task",
    )
)

#: Where the hooks of :mod:`threading` are. The loop over a map's items alone reads them there by
#: their names: a function to call in between takes 30 ns an item.
hooks: Any = threading

#: For the native part: where the hooks of :mod:`threading` are, and their names there.
thread_hooks: tuple[dict[str, Any], str, str] = (
    vars(threading),
    _PROFILE_HOOK.path,
    _TRACE_HOOK.path,
)


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        private = FOUND.get(name)
        if private is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = private.find()
        return value


def has_no_thread_hooks() -> bool:
    """Whether no hook of :func:`threading.setprofile` or :func:`threading.settrace` is set."""
    return threading._profile_hook is None and threading._trace_hook is None  # type: ignore[attr-defined]


def name_prefix(executor: Any) -> str:
    """Return the prefix of names of threads that the standard library chose for an executor."""
    prefix: str = executor._thread_name_prefix
    return prefix


def worker_contexts(executor: Any) -> tuple[Callable[[], Any], Callable[..., Any]] | None:
    """Return what an executor's own ``prepare_context`` has made; ``None`` if it has none.

    On CPython 3.14 and later that is a function that makes a worker's context, and one that makes a
    task of a function and its arguments; the context runs the task.
    """
    if sys.version_info < (3, 14):
        return None
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - it takes long to import

    prepare = type(executor).prepare_context
    standard: Any = ThreadPoolExecutor
    if getattr(prepare, "__func__", prepare) is standard.prepare_context.__func__:
        return None
    return executor._create_worker_context, executor._resolve_work_item_task


def executors_lock() -> Any:
    """Return the lock that the standard library's ``submit`` takes for all executors."""
    return _executors()._global_shutdown_lock


def set_executors_lock(lock: Any) -> None:
    """Have the standard library's executors use this lock."""
    _executors()._global_shutdown_lock = lock


def _executors() -> Any:
    return import_module("concurrent.futures.thread")


@cache
def code_of_submit() -> CodeType:
    """Return the bytecode of ``ThreadPoolExecutor.submit`` as the interpreter has compiled it."""
    spec = _executors().__spec__
    code: CodeType = spec.loader.get_code(spec.name)
    for name in ("ThreadPoolExecutor", "submit"):
        code = next(
            each for each in code.co_consts if isinstance(each, CodeType) and each.co_name == name
        )
    return code


def work_of(item: Any) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """Return the function, arguments and keywords that the standard library's ``submit`` queues."""
    if sys.version_info >= (3, 14):
        work: tuple[Any, tuple[Any, ...], dict[str, Any]] = item.task
        return work
    return item.fn, item.args, item.kwargs


def logging_lock() -> Any:
    """Return the lock of the module :mod:`logging`."""
    return _logging()._lock


def set_logging_lock(lock: Any) -> None:
    """Have :mod:`logging` use this lock."""
    _logging()._lock = lock


def logging_handlers() -> set[Any]:
    """Return all handlers that there are: programs use those on that a configuration has closed."""
    module = _logging()
    known = {ref() for ref in tuple(module._handlerList)}
    while True:
        try:
            known.update(module._at_fork_reinit_lock_weakset)
        except RuntimeError:
            continue  # Another thread has just made one.
        return known - {None}


def _logging() -> Any:
    return import_module("logging")


def condition_lock(condition: threading.Condition) -> Any:
    """Return the lock of a condition."""
    return condition._lock  # type: ignore[attr-defined] # a private name


def set_condition_lock(condition: Any, lock: Any) -> None:
    """Have a condition use this lock, which must have all that :class:`threading.RLock` has."""
    condition._lock = lock
    condition.acquire, condition.release = lock.acquire, lock.release
    condition._is_owned = lock._is_owned
    condition._release_save, condition._acquire_restore = lock._release_save, lock._acquire_restore


# What every worker needs of `threading` is looked for at once, and not in the first worker.
for _private in (_PROFILE_HOOK, _TRACE_HOOK, FOUND["active_threads"], FOUND["register_atexit"]):
    _private.find()
