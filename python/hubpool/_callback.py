"""Done-callbacks that greenlets add to futures: their hub calls them, as gevent's does.

A program's callback may use what belongs to its hub: put into a patched queue, set an event,
spawn a greenlet. A worker's thread is no place for that. But a hub runs only while
its thread waits cooperatively. In a program that is not monkey-patched the thread may wait for the
callback itself, natively, so a native thread of its own looks after such hubs.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from gevent.greenlet import Greenlet
from gevent.hub import sleep
from greenlet import GreenletExit

from hubpool import _fork, _gevent
from hubpool._cpython import LOGGER
from hubpool._hub import in_worker_thread, mark_worker_thread, may_wait
from hubpool._link import HubLink

if TYPE_CHECKING:
    from collections.abc import Callable

    from hubpool._future import Future

#: Seconds between two looks at hubs that have callbacks to call. A thread whose clock
#: stands still from one look to the next is blocked: one that waits for the interpreter wakes
#: up every few milliseconds to ask for it.
_LOOK_EVERY = 0.1
#: Seconds after which a callback is called in the place of a hub whose thread sleeps most of the
#: time, as one that asks again and again does; and of any hub.
_IF_IT_SLEEPS = 1.0
_AT_THE_LATEST = 10.0

_numbers = itertools.count()

#: What hubs have been told to call, and have not begun to call.
_told: set[CallbackLink] = set()


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


def begin_callbacks() -> None:
    """Have the calling thread's hub begin to call all that it has been told to call.

    The standard library's workers have called them when a program has joined the workers.
    """
    hub = _gevent.get_hub_if_exists()
    if hub is not None and may_wait(hub):
        while any(link.is_here() for link in tuple(_told)):
            sleep(0.001)


def call_all() -> None:
    """Call in the calling thread all that hubs have been told to call: no hub runs any more."""
    for link in sorted(_told, key=lambda link: link.number):
        link.call_here()


def call_callback(fn: Callable[[Future[Any]], object], future: Future[Any]) -> None:
    """Call a done-callback; log the :exc:`Exception` that it raises."""
    try:
        fn(future)
    except Exception:  # noqa: BLE001 - it is logged
        LOGGER.exception("exception calling callback for %r", future)


class CallbackLink(HubLink):
    """A done-callback of a greenlet's: its hub calls it, or a native thread if the hub cannot."""

    __slots__ = ("_clock", "_looked", "_posted", "number")

    def __init__(
        self, hub: Any, fn: Callable[[Future[Any]], object], argument: Any, future: Future[Any]
    ) -> None:
        # Whichever thread takes the callback out of the list calls it.
        super().__init__(hub, [fn].pop, argument, future)
        #: When the hub was told, and when the native thread has had its last look.
        self._posted = self._looked = 0.0
        #: What the clock of the hub's thread has shown then.
        self._clock: int | None = None
        #: Callbacks are called in the order of their numbers.
        self.number = next(_numbers)

    def is_told_by_message(self) -> bool:
        """Whether the caller must post the message; the callback is called if no hub can."""
        wake = self._wake
        if wake.abandoned:
            return False
        if wake.is_here() or wake.is_stuck or not wake.is_alive():
            self.call_here()
            return False
        _told.add(self)
        # In a patched program the main thread lets its hub run while it waits.
        if not (_gevent.is_threading_patched() and wake.is_main()):
            self._posted = time.monotonic()
            try:
                _lookout.watch(self)
            except RuntimeError:
                # No thread can be started.
                self.call_here()
                return False
        return True

    def is_here(self) -> bool:
        """Whether the calling thread's hub is the one that calls the callback."""
        return self._tell is not None and self._wake.is_here()

    def call_here(self) -> None:
        """Call the callback in the calling thread, unless another has."""
        tell, future = self._tell, self._argument
        if tell is None:
            return
        fn = _take(tell)
        if fn is not None:
            _told.discard(self)
            self.drop()
            call_callback(fn, future)

    def begin_anew(self) -> None:
        """In a forked child, call nothing: the callback is the parent's."""
        tell = self._tell
        if tell is not None:
            _take(tell)
            self.drop()

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
        before, since = self._clock, now - self._looked
        self._clock, self._looked = clock, now
        ran = 0.0 if clock is None or before is None else (clock - before) / 1e9
        waited = now - self._posted
        stuck = (
            not wake.is_alive()
            or (clock is None and wake.clock is not None)  # The thread has ended.
            or (clock is not None and clock == before)
            or (waited >= _IF_IT_SLEEPS and ran < since / 2)
            or waited >= _AT_THE_LATEST
        )
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
    """The native thread that looks after callbacks which hubs have been told to call.

    It calls those that their hub cannot call. Greenlets that such a callback spawns run on a hub
    of this thread's own.
    """

    def __init__(self) -> None:
        #: A signal handler may come while the thread is started.
        self._lock = _gevent.new_rlock()
        self._links: deque[CallbackLink] = deque()
        self._runs = False

    def watch(self, link: CallbackLink) -> None:
        """See that the callback is called. Any thread."""
        with self._lock:
            self._links.append(link)
            if not self._runs:
                self._runs = True
                try:
                    _gevent.start_new_thread(self._run, ())
                except BaseException:
                    self._runs = False
                    raise

    def _run(self) -> None:
        mark_worker_thread()
        while not self._has_ended():
            hub = _gevent.get_hub_if_exists()
            if hub is None:
                _gevent.native_sleep(_LOOK_EVERY)
            else:
                sleep(_LOOK_EVERY)
            now = time.monotonic()
            for _ in range(len(self._links)):
                link = self._links.popleft()
                if not link.is_over(now):
                    self._links.append(link)
                del link

    def _has_ended(self) -> bool:
        """Whether nothing is left to look after; the hub of the thread is destroyed then."""
        with self._lock:
            hub = _gevent.get_hub_if_exists()
            if self._links or not (hub is None or hub.join(timeout=0)):
                return False
            if hub is not None:
                _gevent.destroy_hub(hub)
            self._runs = False
            return True


_lookout = _Lookout()


def _after_fork_in_child() -> None:
    global _lookout  # noqa: PLW0603 - the thread is the parent's
    _lookout = _Lookout()
    for link in tuple(_told):
        link.begin_anew()
    _told.clear()


_fork.in_child(_after_fork_in_child)
