"""Done-callbacks that greenlets add to futures: their hub calls them, as gevent's does.

A program's callback may use what belongs to its hub: put into a patched queue, set an event,
spawn a greenlet. A worker's thread is no place for that. But a hub runs only while
its thread waits cooperatively. In a program that is not monkey-patched the thread may wait for the
callback itself, natively, so a native thread of its own looks after such hubs.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from gevent.greenlet import Greenlet
from greenlet import GreenletExit

from hubpool import _fork, _gevent
from hubpool._cpython import LOGGER
from hubpool._hub import in_worker_thread
from hubpool._link import HubLink

if TYPE_CHECKING:
    from collections.abc import Callable

    from hubpool._future import Future

#: Seconds between two looks at hubs that have callbacks to call. A thread whose clock
#: stands still from one look to the next is blocked: one that waits for the interpreter wakes
#: up every few milliseconds to ask for it.
_LOOK_EVERY = 0.1
#: Seconds after which a callback is called in the place of a hub whose thread runs all the time.
_AT_THE_LATEST = 1.0


def hub_for_callback(fn: Callable[..., object]) -> Any:
    """Return the hub that must call *fn*: the calling thread's. ``None``: any thread may."""
    hub = _gevent.get_hub_if_exists()
    if hub is None or hub.loop is None or in_worker_thread() or _is_asyncios(fn):
        return None
    return hub


def _is_asyncios(fn: Callable[..., object]) -> bool:
    """Whether asyncio has made the callback, or its loop runs in the calling thread."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    if str(getattr(fn, "__module__", "")).startswith("asyncio."):
        return True
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def call_callback(fn: Callable[[Future[Any]], object], future: Future[Any]) -> None:
    """Call a done-callback; log the :exc:`Exception` that it raises."""
    try:
        fn(future)
    except Exception:  # noqa: BLE001 - it is logged
        LOGGER.exception("exception calling callback for %r", future)


class CallbackLink(HubLink):
    """A done-callback of a greenlet's: its hub calls it, or a native thread if the hub cannot."""

    __slots__ = ("_clock", "_posted")

    def __init__(self, hub: Any, fn: Callable[[Future[Any]], object], future: Future[Any]) -> None:
        # Whichever thread takes the callback out of the list calls it.
        super().__init__(hub, [fn].pop, future)
        self._posted = 0.0
        #: What the clock of the hub's thread has shown at the last look.
        self._clock: int | None = None

    def is_told_by_message(self) -> bool:
        """Whether the caller must post the message; the callback is called if no hub can."""
        wake = self._wake
        if wake.abandoned:
            return False
        if wake.is_here() or wake.is_stuck or not wake.is_alive():
            self.call_here()
            return False
        if _gevent.is_threading_patched():
            return True
        self._posted = time.monotonic()
        try:
            _lookout.watch(self)
        except RuntimeError:
            # No thread can be started.
            self.call_here()
            return False
        return True

    def call_here(self) -> None:
        """Call the callback in the calling thread, unless another has."""
        tell, future = self._tell, self._argument
        if tell is None:
            return
        fn = _take(tell)
        if fn is not None:
            self.drop()
            call_callback(fn, future)

    def deliver(self, _result: Any, _value: Any, _error: Any) -> None:
        """Have a greenlet of its own call the callback, unless another thread has."""
        if self._tell is not None:
            Greenlet.spawn(self._call_in_greenlet)

    def _call_in_greenlet(self) -> None:
        try:
            self.call_here()
        except (KeyboardInterrupt, GreenletExit):
            raise  # A signal handler's, or the greenlet was killed.
        except BaseException:  # noqa: BLE001 - it is logged, as a worker logs it
            LOGGER.critical("Exception in a callback", exc_info=True)

    def tells(self, _callback: object) -> bool:
        """Whether :meth:`Future.unlink` takes this link for its caller's: never."""
        return False

    def is_over(self, now: float) -> bool:
        """Call the callback if the hub cannot; return whether nothing is left to look after."""
        if self._tell is None:
            return True
        wake = self._wake
        clock = wake.thread_time()
        stuck = (
            not wake.is_alive()
            or (clock is not None and clock == self._clock)
            or now - self._posted >= _AT_THE_LATEST
        )
        self._clock = clock
        if stuck:
            wake.is_stuck = True
            try:
                self.call_here()
            except BaseException:  # noqa: BLE001 - it is logged, as a worker logs it
                LOGGER.critical("Exception in a callback", exc_info=True)
        return stuck


def _take(pop: Any) -> Any:
    try:
        return pop()
    except IndexError:
        return None


class _Lookout:
    """The native thread that looks after callbacks which hubs have been told to call."""

    def __init__(self) -> None:
        self._lock = _gevent.new_lock()
        self._links: deque[CallbackLink] = deque()
        self._runs = False

    def watch(self, link: CallbackLink) -> None:
        """See that the callback is called. Any thread."""
        self._links.append(link)
        if not self._runs:
            with self._lock:
                if not self._runs:
                    _gevent.start_new_thread(self._run, ())
                    self._runs = True

    def _run(self) -> None:
        while True:
            _gevent.native_sleep(_LOOK_EVERY)
            now = time.monotonic()
            for _ in range(len(self._links)):
                link = self._links.popleft()
                if not link.is_over(now):
                    self._links.append(link)
            del link
            with self._lock:
                if not self._links:
                    self._runs = False
                    return


_lookout = _Lookout()


def _after_fork_in_child() -> None:
    global _lookout  # noqa: PLW0603 - the thread is the parent's
    _lookout = _Lookout()


_fork.in_child(_after_fork_in_child)
