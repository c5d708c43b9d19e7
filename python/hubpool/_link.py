"""Who is told that a future is done, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gevent.hub import get_hub
from greenlet import getcurrent

from hubpool._cpython import FINISHED
from hubpool._hub import hub_wake

if TYPE_CHECKING:
    from collections.abc import Callable

    from hubpool._future import Future
    from hubpool._hub import HubWake
    from hubpool._native import Wake


class Link:
    """Somebody who is told, in the thread that ends the task, that a future is done."""

    __slots__ = ("_argument", "_tell")

    def __init__(self, tell: Callable[[Any], object], argument: Any) -> None:
        self._tell: Callable[[Any], object] | None = tell
        self._argument = argument

    def announce(self) -> None:
        """Say that the future is done. Any thread."""
        tell = self._tell
        if tell is not None:
            tell(self._argument)

    def drop(self) -> None:
        """Say that nobody wants to know any more; being told late harms nobody."""

    def tells(self, callback: object) -> bool:
        """Whether this is the caller's link to that callback."""
        return self._tell == callback


class HubLink(Link):
    """Somebody who is told on a hub. Made and dropped on the hub's thread only."""

    __slots__ = ("_future", "_wake", "native")

    #: What it tells may be a callback of the program's, which is for the hub's greenlet.
    anywhere = False

    def __init__(
        self, hub: Any, tell: Callable[[Any], object], argument: Any, future: Future[Any]
    ) -> None:
        super().__init__(tell, argument)
        self._future: Future[Any] | None = future
        self._hold(hub_wake(hub))

    def _hold(self, wake: HubWake) -> None:
        self._wake = wake
        self.native: Wake = wake.native
        wake.hold()
        wake.links.add(self)

    def begin_anew(self) -> None:
        """In a forked child, go over from the parent's wake to the hub's own. Hub's thread only.

        The parent's wake tells nothing in a child. A future that is done, or that only the parent
        would have ended, tells now.
        """
        future = self._future
        if future is not None:
            self._wake.links.discard(self)
            self._hold(hub_wake(get_hub()))
            if not future.will_tell(self):
                del future
                self.deliver(None, None, None)

    def announce(self) -> None:
        """Say that the future is done. Any thread."""
        if self.is_told_by_message():
            self.native.post(self.message())

    def is_told_by_message(self) -> bool:
        """Whether the caller, in any thread, must post the :meth:`message`."""
        return not self._wake.abandoned

    def message(self) -> Any:
        """Return what the hub must get for it."""
        return (self, None, None, None)

    def again(self) -> bool:
        """Whether it must be told again, if something was raised meanwhile."""
        return self._tell is not None

    def deliver(self, _result: Any, _value: Any, _error: Any) -> None:
        """Tell, unless nobody wants to know any more."""
        tell, argument = self._tell, self._argument
        if tell is not None:
            self.drop()
            tell(argument)

    def tells(self, callback: object) -> bool:
        """Whether this is the calling thread's link to that callback."""
        return super().tells(callback) and self._wake.is_here()

    def drop(self) -> None:
        """Make sure that nobody is told."""
        if self._tell is not None:
            self._tell = self._argument = self._future = None
            self._wake.links.discard(self)
            self._wake.release_anywhere()


class WaitLink(HubLink):
    """A greenlet that waits on its hub, or is about to: a :class:`gevent.hub.Waiter` is told."""

    __slots__ = ()

    anywhere = True

    def stand_in(self) -> None:
        """Look out in the hub's place, for who is about to wait."""
        self._wake.stand_in()

    def deliver(self, _result: Any, _value: Any, _error: Any) -> None:
        """Tell: only the hub may switch to who waits by now."""
        waiter: Any = getattr(self._tell, "__self__", None)
        if waiter is None or waiter.greenlet is None or getcurrent() is waiter.hub:
            super().deliver(None, None, None)
        else:
            waiter.hub.loop.run_callback(super().deliver, None, None, None)


class Notice:
    """What one waiter of :func:`concurrent.futures.wait` is told by."""

    __slots__ = ("waiter",)

    def __init__(self, waiter: Any) -> None:
        self.waiter = waiter

    def __call__(self, future: Future[Any]) -> None:
        if future._state != FINISHED:
            self.waiter.add_cancelled(future)
        elif future._exception is None:
            self.waiter.add_result(future)
        else:
            self.waiter.add_exception(future)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Notice) and other.waiter is self.waiter

    __hash__ = None  # type: ignore[assignment] # as Python does for what is not hashable
