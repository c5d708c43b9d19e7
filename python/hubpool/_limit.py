"""One limit on the worker threads of a whole process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hubpool import _fork, _gevent
from hubpool._check import whole_number

if TYPE_CHECKING:
    from collections.abc import Callable

    from hubpool._native import Core, Registration


class ThreadLimit:
    """Who has how many threads, and who waits for one.

    A core that can have no thread, has none and has jobs waits its turn: it gets the
    first that ends anywhere. Meanwhile others let one end: an idle one, or
    else whichever is the first to finish its job. One that has some gets what nobody
    else needs. Any thread.
    """

    #: ``None``: there is no limit.
    limit: int | None = None

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Know of no threads: in the beginning, and in a forked child."""
        self._lock = _gevent.new_rlock()
        self._threads: dict[Core, int] = {}
        #: How those who wait start their thread, first come, first served.
        self._waiting: dict[Core, Callable[[], object]] = {}
        #: The same of those who have threads, and could use more.
        self._wanting: dict[Core, Callable[[], object]] = {}

    def set(self, limit: int | None) -> None:
        """Change the limit."""
        _fork.settle()
        with self._lock:
            self.limit = limit
        self._pass_on()

    def take(self, core: Core, start: Callable[[], object], registration: Registration) -> bool:
        """Count one more thread, and note that; ``False`` if there can be none now.

        Then *start* is called, in any thread, when it can have one: at once when another
        ends, if the core has none at all, or else when nobody needs that more.
        """
        _fork.settle()
        with self._lock:
            if self._has_room(core):
                self._waiting.pop(core, None)
                self._threads[core] = self._threads.get(core, 0) + 1
                registration.count()  # Before any signal handler may come.
                return True
            line = self._wanting if core.workers else self._waiting
            line[core] = start
            self._press()
            return False

    def give_back(self, core: Core) -> None:
        """Count one thread less."""
        with self._lock:
            count = self._threads.pop(core, 0)
            if count > 1:
                self._threads[core] = count - 1
            else:
                self._wanting.pop(core, None)
                # Nobody of it is left to retire, and who comes next is not meant.
                core.retire_to(None)
        self._pass_on()

    def _has_room(self, core: Core) -> bool:
        if self.limit is None:
            return True
        # Who has come before has the first claim.
        before = list(self._waiting).index(core) if core in self._waiting else len(self._waiting)
        return sum(self._threads.values()) + before < self.limit

    def _pass_on(self) -> None:
        """Let those who wait start what there is room for."""
        while True:
            with self._lock:
                line = self._waiting or self._wanting
                core = next(iter(line), None)
                if core is None or not self._has_room(core):
                    self._press()
                    return
                start = line[core]
                if line is self._wanting:
                    del line[core]  # If it can not have all that it wants, it comes again.
            start()
            with self._lock:
                # It may have no jobs any more.
                if self._waiting.get(core) is start:
                    del self._waiting[core]

    def _press(self) -> None:
        """Ask for as many threads to end as are missing, and for idle ones that others want."""
        missing = welcome = 0
        if self.limit is not None:
            missing = sum(self._threads.values()) - self.limit + bool(self._waiting)
            others = any(core.queued for core in self._wanting)
            welcome = missing + (others and not self._waiting)
        asked = {}
        for core, count in self._threads.items():
            # Those who are about to park among them.
            idle = max(count - core.unfinished, 0)
            asked[core] = min(idle, max(welcome, 0))
            missing -= asked[core]
            welcome -= asked[core]
        for core, count in self._threads.items():
            ends = min(count, asked[core] + max(missing, 0))
            core.retire_to(count - ends if ends else None)


thread_limit = ThreadLimit()


def set_thread_limit(limit: int | None) -> None:
    """Let the pools and executors of this process have at most *limit* threads in all.

    ``None``, which is the default, sets no limit. A pool at the limit goes on with the threads
    that it has. One that has none, and has work, gets the first thread
    that another gives up: an idle one, or, if all are busy, the first that
    finishes its task; so each pool comes to its turn. One that has some gets what nobody
    else needs: a thread that is idle elsewhere as a task is submitted, one that ends, or
    what a higher limit allows. If there are more threads already, they end as they
    finish. Any thread may call it; it does not wait.

    :raises TypeError: if *limit* is not an integer.
    :raises ValueError: if it is below 1.

    >>> import hubpool
    >>> hubpool.set_thread_limit(1)
    >>> first, second = hubpool.ThreadPool(5), hubpool.ThreadPool(5)
    >>> first.map(abs, [-1, -2]), second.map(abs, [-3, -4])
    ([1, 2], [3, 4])
    >>> first.size + second.size
    1
    >>> hubpool.set_thread_limit(None)
    """
    if limit is not None:
        limit = whole_number("limit", limit)
        if limit < 1:
            raise ValueError(f"limit must be at least 1, or None: {limit!r}")
    thread_limit.set(limit)


_fork.in_child(thread_limit.forget)
