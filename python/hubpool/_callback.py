"""Done-callbacks that greenlets add to futures: their hub calls them, as gevent's does.

A program's callback may use what belongs to its hub: put into a patched queue, set an event,
spawn a greenlet. A worker's thread is no place for that. But a hub runs only while
its thread waits cooperatively. In a program that is not monkey-patched the thread may wait for the
callback itself, natively, so a native thread of its own looks after such hubs.
"""

from __future__ import annotations

import itertools
import math
import sys
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

from gevent.greenlet import Greenlet
from gevent.hub import sleep
from greenlet import GreenletExit

from hubpool import _fork, _gevent
from hubpool._cpython import LOGGER
from hubpool._hub import in_worker_thread, mark_worker_thread, may_wait
from hubpool._link import HubLink
from hubpool._native import TaskHold

if TYPE_CHECKING:
    from collections.abc import Callable

    from hubpool._future import Future
    from hubpool._hub import Hold
    from hubpool._native import Wake

#: Seconds between two looks at hubs that have callbacks to call. A thread whose clock
#: stands still from one look to the next is blocked: one that waits for the interpreter wakes
#: up every few milliseconds to ask for it.
_LOOK_EVERY = 0.1
#: Seconds after which a callback is called in the place of a hub whose thread sleeps most of the
#: time, as one that asks again and again does; and of any hub.
_IF_IT_SLEEPS = 1.0
_AT_THE_LATEST = 10.0

#: Seconds between two looks of a joiner.
_PAUSE = 0.001

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


def join_callbacks(timeout: float | None = None) -> None:
    """Wait, at most *timeout* seconds, as a joiner of the standard library's workers does.

    The calling thread's hub has begun to call all that it has been told to call, and the native
    thread has ended the call that it makes in that hub's place. Callbacks of other hubs may wait
    for the caller.
    """
    if _gevent.get_hub_if_exists() is None:
        return
    _wait_while(
        lambda: _lookout.calls_here() or any(link.is_here() for link in tuple(_told)), timeout
    )


def _wait_while(condition: Callable[[], bool], timeout: float | None = None) -> None:
    hub = _gevent.get_hub_if_exists()
    if hub is not None and not may_wait(hub):
        return
    pause = _gevent.native_sleep if hub is None else sleep
    deadline = math.inf if timeout is None else time.monotonic() + timeout
    while condition() and time.monotonic() < deadline:
        pause(_PAUSE)


def call_all() -> None:
    """Call in the calling thread all that hubs have been told to call: no hub runs any more.

    The native thread ends with the interpreter, so the calling thread waits for what it calls.
    """
    _wait_while(_lookout.calls_for_others)
    for link in sorted(_told, key=lambda link: link.number):
        link.call_here()
    _wait_while(_lookout.calls_for_others)


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
        if wake.is_here() or (
            (wake.is_stuck or not wake.is_alive()) and not self._follows_one_that_was_told()
        ):
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

    def _follows_one_that_was_told(self) -> bool:
        """Whether the hub has yet to call an earlier callback of the future."""
        future = self._future
        earlier = None if future is None else future._callback_links
        return any(link in _told and link._wake is self._wake for link in earlier or ())

    def is_here(self) -> bool:
        """Whether the calling thread's hub is the one that calls the callback."""
        return self._tell is not None and self._wake.is_here()

    def is_for_this_hub(self) -> bool:
        """Return whether the calling thread's hub is the one that was told to call the callback."""
        return self._wake.is_here()

    def call_here(self) -> None:
        """Call the callback in the calling thread, unless another has."""
        tell, future = self._tell, self._argument
        if tell is None:
            return
        if self._wake.abandoned:
            # A greenlet that was about to call it is in a child that C code has forked.
            self.begin_anew()
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
            # Another greenlet calls it if this one is killed before it begins.
            Greenlet.spawn(self._call_in_greenlet).rawlink(self._call_again)

    def _call_again(self, _greenlet: object) -> None:
        self.deliver(None, None, None)

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
        """Whether the hub cannot call the callback, or nothing is left to look after."""
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
            or (waited >= _IF_IT_SLEEPS and before is not None and ran < since / 2)
            or waited >= _AT_THE_LATEST
        )
        if stuck:
            wake.is_stuck = True
        return stuck

    def task_hold(self) -> TaskHold:
        """Return what keeps the hub's loop as long as it is referred to. The link keeps it now."""
        return TaskHold(self._wake.native)


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
        #: In a forked child another object has its place.
        self._process = _fork.process
        #: The number of the thread, and the link while the thread calls its callback.
        self._thread: int | None = None
        self._calling: CallbackLink | None = None
        #: What keeps the loops of the hubs for which it has called callbacks, until their greenlets
        #: have ended, too: one for each hub.
        self._holds: dict[Wake, TaskHold] = {}
        #: The last of them.
        self._hold: TaskHold | None = None

    def calls_for_others(self) -> bool:
        """Return whether another thread than the caller's is calling a callback. Any thread."""
        return self._calling is not None and self._thread != _gevent.get_thread_ident()

    def calls_here(self) -> bool:
        """Return whether a callback is being called in the place of the calling thread's hub."""
        calling = self._calling
        return calling is not None and calling.is_for_this_hub()

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
        self._thread = _gevent.get_thread_ident()
        mark_worker_thread(weakref.WeakMethod(self._hold_of_callback))
        while not self._has_ended():
            hub = _gevent.get_hub_if_exists()
            if hub is None:
                _gevent.native_sleep(_LOOK_EVERY)
            else:
                sleep(_LOOK_EVERY)
            now = time.monotonic()
            for _ in range(len(self._links)):
                if self._process.forked():
                    return  # The child of a callback that forks ends with the callback.
                link = self._links.popleft()
                if link.is_over(now):
                    self._call(link)
                else:
                    self._links.append(link)
                del link

    def _call(self, link: CallbackLink) -> None:
        """Call the callback of a link, unless another thread has."""
        self._hold = self._holds.get(link.native) or link.task_hold()
        self._holds[link.native] = self._hold
        self._calling = link
        try:
            link.call_here()
        except BaseException:  # noqa: BLE001 - it is logged, as a worker logs it
            LOGGER.critical("Exception in a callback", exc_info=True)
        finally:
            self._calling = None

    def _hold_of_callback(self) -> Hold:
        """Return what the callback that runs keeps a loop by: what it submits does, too."""
        return self._hold

    def _has_ended(self) -> bool:
        """Whether nothing is left to look after; the hub of the thread is destroyed then."""
        if self._process.forked():
            return True
        hub = _gevent.get_hub_if_exists()
        is_idle = hub is None or hub.join(timeout=0.001)  # libuv has no turn in less time.
        if is_idle:
            self._holds.clear()
            self._hold = None
        with self._lock:
            if self._links or not is_idle:
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
