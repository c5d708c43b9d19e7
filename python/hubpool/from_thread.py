"""Calls from a task, in its thread, back into its hub's.

The name is that of the same module of trio and anyio.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from gevent.greenlet import Greenlet
from greenlet import GreenletExit

from hubpool import _fork, _gevent
from hubpool._check import check_callable
from hubpool._hub import hub_wake

if TYPE_CHECKING:
    from contextvars import Context

    from hubpool._future import Future

_T = TypeVar("_T")
_P = ParamSpec("_P")

#: Seconds between two looks at whether the hub is still there.
_LOOK_EVERY = 1.0

#: The hub whose pool the thread belongs to.
_of_thread: Any = _gevent.new_local()


def run(func: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Return ``func(*args, **kwargs)``, called on the hub of the calling task's pool.

    For a task of a :class:`hubpool.ThreadPool`, in its thread. The function runs
    there in a new greenlet, in a copy of the caller's context, and may wait as any
    greenlet may; the task waits for it, and raises what it raises.

    :raises TypeError: if *func* cannot be called.
    :raises RuntimeError: in any other thread, or if the hub has been, or is meanwhile, destroyed.

    >>> import gevent, hubpool
    >>> from hubpool import from_thread
    >>> hub = gevent.get_hub()
    >>> pool = hubpool.ThreadPool(1)
    >>> pool.apply(lambda: from_thread.run(gevent.get_hub) is hub)
    True
    """
    check_callable("func", func)
    _fork.settle()
    hub = getattr(_of_thread, "hub", None)
    if hub is None:
        raise RuntimeError(
            "hubpool.from_thread.run() is for the tasks of a hubpool.ThreadPool, in their threads"
        )
    if hub.loop is None:
        raise _destroyed(hub)
    from hubpool._future import Future  # noqa: PLC0415 - it takes long to import

    future: Future[_T] = Future((func, args, kwargs))
    hub_wake(hub).call(partial(_start, copy_context(), future))
    try:
        # Nobody tells it that the hub has been destroyed.
        while not future.done():
            if hub.loop is None:
                raise _destroyed(hub)
            future.wait(_LOOK_EVERY)
        return future.result()
    finally:
        # The exception's traceback refers to this frame.
        del future


def _destroyed(hub: Any) -> RuntimeError:
    text = f"hubpool.from_thread.run(): the hub has been destroyed: {_gevent.format_hub(hub)}"
    return RuntimeError(text)


def belongs_to(hub: Any) -> None:
    """Say whose pool the calling thread belongs to."""
    _of_thread.hub = hub


# The hub of a task that has forked runs in the parent.
_fork.in_child(partial(belongs_to, None))


def _start(context: Context, future: Future[Any]) -> None:
    greenlet = Greenlet(future.run)
    greenlet.gr_context = context
    # It may be killed before it begins.
    greenlet.rawlink(lambda _: future.fail(GreenletExit()))
    greenlet.start()
