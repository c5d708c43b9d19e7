"""What hubpool uses of gevent beyond its documented interface.

Nothing else in the package touches gevent's private names, so what a new
version of gevent can break stands here.
"""

from __future__ import annotations

import threading
from importlib import import_module
from traceback import clear_frames
from typing import TYPE_CHECKING, Any

import gevent._threading
import gevent.hub
from gevent import monkey
from gevent._hub_local import get_hub_if_exists
from gevent.exceptions import HubDestroyed

if TYPE_CHECKING:
    from collections.abc import Callable

    from gevent.lock import Semaphore

__all__ = [
    "call_after_patch",
    "destroy_hub",
    "format_hub",
    "get_hub_if_exists",
    "get_thread_ident",
    "get_thread_profile",
    "get_thread_trace",
    "is_main_hub",
    "is_main_thread",
    "is_threading_patched",
    "native_sleep",
    "native_thread_class",
    "new_local",
    "new_lock",
    "new_rlock",
    "reinit_loop",
    "resize_semaphore",
    "start_new_thread",
    "would_sleep",
]

_threading: Any = gevent._threading
_hub_module: Any = gevent.hub
_main_thread_ident: int = _hub_module.MAIN_THREAD_IDENT

#: The functions of :mod:`_thread`, whatever has been monkey-patched.
get_thread_ident: Callable[[], int] = _threading.get_thread_ident
start_new_thread: Callable[..., int] = _threading.start_new_thread
new_local: Callable[[], Any] = monkey.get_original("threading", "local")
native_sleep: Callable[[float], None] = monkey.get_original("time", "sleep")
new_lock: Callable[[], Any] = _threading.Lock
new_rlock: Callable[[], Any] = monkey.get_original("_thread", "RLock")
#: The class :class:`threading.Thread`, whatever has been monkey-patched.
native_thread_class: Any = monkey.get_original("threading", "Thread")


def destroy_hub(hub: Any) -> None:
    """Destroy the calling thread's hub and its loop, and leave nothing that refers to its parent.

    gevent leaves a hub's greenlet that has run in the midst of telling its parent that the loop has
    ended. Once its thread has ended, nothing would ever free that greenlet, nor its parent. And
    frames of the traceback of the error that ends the loop refer to the error, and to the parent.
    """
    handle_error = hub.handle_error
    noted: list[tuple[Any, Any]] = []

    def note(context: Any, kind: Any, error: Any, traceback: Any) -> None:
        if kind is HubDestroyed:
            noted.append((error, traceback))
        handle_error(context, kind, error, traceback)

    hub.handle_error = note
    try:
        hub.destroy(True)
        if not hub.dead:
            hub.throw()
    finally:
        del hub.handle_error
        for error, traceback in noted:
            clear_frames(traceback)
            clear_frames(error.__traceback__)
            error.__traceback__ = None
        noted.clear()


#: What :func:`threading.setprofile` and :func:`threading.settrace` have set, by the names that
#: :mod:`gevent.threadpool` has for the functions.
get_thread_profile: Callable[[], Any] = threading.getprofile
get_thread_trace: Callable[[], Any] = threading.gettrace


def format_hub(hub: Any) -> str:
    """Return what the pool's and its workers' descriptions say of a hub."""
    if hub is None:
        return "<missing>"
    return f"<{type(hub).__name__} at 0x{id(hub):x} thread_ident=0x{hub.thread_ident:x}>"


def is_main_thread() -> bool:
    """Whether the calling thread is the main thread: for gevent, the one that imported it."""
    return get_thread_ident() == _main_thread_ident


def is_main_hub(hub: Any) -> bool:
    """Whether a hub is the main thread's."""
    return bool(hub.thread_ident == _main_thread_ident)


def reinit_loop(loop: Any) -> None:
    """Make a loop anew in a forked child. It may have been made anew before.

    libuv forgets what the watchers of forks have been told, so they are told again.
    """
    loop.reinit()
    for watcher in tuple(getattr(loop, "_fork_watchers", ())):
        watcher._on_fork()


def is_threading_patched() -> bool:
    """Whether :mod:`threading` makes gevent's locks."""
    return monkey.is_module_patched("threading")


def call_after_patch(function: Callable[[Any], object]) -> None:
    """Have the function called with each event of gevent's, such as that a module was patched."""
    # Where gevent.events has them from, which takes long to import.
    import_module("zope.event").subscribers.append(function)


def would_sleep(hub: Any) -> bool:
    """Whether a hub that gets its turn would wait: it lives, and has no callbacks to run.

    To resume a greenlet is a callback, too.
    """
    loop = hub.loop
    return loop is not None and not loop._callbacks and not hub.dead


def resize_semaphore(semaphore: Semaphore, more: int) -> None:
    """Add to a semaphore's counter, and let those who wait look again."""
    semaphore.counter += more
    notify: Any = semaphore
    notify._start_notify()


def count_watcher(watcher: Any, counted: bool) -> None:
    """Let a descriptor's watcher keep its loop from ending, or not."""
    # libuv's loop hands out parts of one watcher for each descriptor, which know nothing of it.
    getattr(watcher, "_watcher_ref", watcher).ref = counted


def pool_of(hub: Any) -> Any:
    """Return the pool that the hub has made for itself, or ``None`` if it has not needed one."""
    return hub._threadpool
