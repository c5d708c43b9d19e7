"""How others reach a hub: one list of messages, and the watchers that tell the hub of it."""

from __future__ import annotations

import sys
import time
import weakref
from typing import TYPE_CHECKING, Any

from gevent.hub import get_hub, sleep
from greenlet import getcurrent, gettrace

from hubpool import _fork, _gevent
from hubpool._native import Guard, TaskHold, Wake, share_hold

if TYPE_CHECKING:
    from collections.abc import Callable

    from hubpool._link import HubLink

#: What a task refers to: what keeps the loop of its submitter's hub; if that is the hub of a worker
#: with a task of its own, then also what keeps the loop that this task keeps.
Hold = TaskHold | tuple[TaskHold, TaskHold] | None

_READ = 1
#: For how long, in seconds, the hub resumes greenlets before its loop looks at all else.
_DELIVERY_TIME = 0.0005
_WAKE_ATTRIBUTE = "_hubpool_wake"


def _nothing() -> None:
    """Stand for a reference to nothing."""


def _nothing_more() -> bool:
    """Take no messages."""
    return False


class HubWake:
    """One hub's message list, and the watchers that tell the hub of it.

    One watches the list's descriptor. The loop counts it only between the first
    :meth:`hold` and the last :meth:`release`, and while a :class:`TaskHold` is left: an idle
    pool keeps no loop alive, and a pending task keeps one from ending. The other, while that
    pays, looks out for messages when the hub has nothing else to do and would go to sleep. A
    greenlet that is about to wait may do that in the hub's place, which spares a turn of the loop.
    """

    __slots__ = (
        "__weakref__",
        "_changing",
        "_counted",
        "_hub",
        "_lookout",
        "_watcher",
        "clock",
        "fileno",
        "in_worker",
        "is_stuck",
        "links",
        "native",
    )

    def __init__(self, hub: Any) -> None:
        self._watcher: Any = None
        self._lookout: Any = None
        #: The clock of the hub's thread, as :mod:`time` numbers clocks, if it is known.
        self.clock = _clock_of(hub)
        self.native = Wake(self.clock)
        #: Whether the hub is a worker's, which runs while a task waits.
        self.in_worker = in_worker_thread()
        #: Whether the hub's thread was found blocked, and has delivered nothing since.
        self.is_stuck = False
        #: The links that hold it: a forked child tells those of its own greenlets.
        self.links: set[HubLink] = set()
        #: Kept here for a forked child, which may not ask the native part.
        self.fileno = self.native.fileno()
        self._hub: Callable[[], Any] = weakref.ref(hub)
        #: Whether the loop counts the watcher; nobody knows while that is being changed.
        self._counted: bool | None = False
        #: Whether watchers are just being made, started or stopped.
        self._changing = False

    def __del__(self, _is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        if not _is_finalizing():
            self._leave_loop()

    @property
    def abandoned(self) -> bool:
        """Whether this is a forked child's: the parent's messages are left alone there."""
        return self.native.inherited

    def hold(self) -> None:
        """Watch for messages. Hub's thread only."""
        if self.native.hold():
            try:
                self.watch()
            except BaseException:
                self.native.release()
                raise

    def release(self) -> None:
        """Take back one :meth:`hold`. Hub's thread only."""
        # Who looks out finds soon that nobody waits, and has the loop not count the watcher.
        if self.native.release():
            self.adjust()

    def watch(self) -> None:
        """Do what the native part wants when it is held. Hub's thread only."""
        if not self._counted:
            self.adjust()
        self.look_out()

    def adjust(self) -> None:
        """Have the loop count the watcher if somebody waits, and else not. Hub's thread only."""
        # A signal handler may come between any two instructions, hold or release, and
        # even wait. It finds that nobody knows, and does all that it needs itself.
        while self.native.keeps_loop is not self._counted and not self.abandoned:
            hub = self._hub()
            if hub is None or hub.loop is None:
                self._leave_loop()
                return
            if self._watcher is None:
                if self._changing:
                    return  # Who is about to enter the loop goes on from there.
                self.enter_loop()
            # To stop a watcher and start it anew costs more on libuv than a whole task.
            counted = self.native.keeps_loop
            self._counted = None
            self.native.counted = False
            _gevent.count_watcher(self._watcher, counted)
            self._counted = self.native.counted = counted

    def enter_loop(self) -> None:
        """Have the loop watch for messages, but not count the watcher. Hub's thread only."""
        self._change_watchers(self._make_watchers, self._hub().loop)

    def _make_watchers(self, loop: Any) -> None:
        # The loop keeps its watchers, which must not keep this.
        this = weakref.ref(self)

        def drain() -> None:
            wake = this()
            if wake is not None:
                wake.drain()

        def report(error: BaseException) -> None:
            hub = get_hub()
            args = (drain, type(error), error, error.__traceback__)
            hub.loop.run_callback(hub.handle_error, *args)

        lookout = loop.idle(ref=False, priority=loop.MINPRI)
        watcher = loop.io(self.fileno, _READ)
        watcher.start(Guard(drain, report))
        _gevent.count_watcher(watcher, False)
        self._watcher, self._lookout = watcher, lookout
        self.note_poller(loop)

    def note_poller(self, loop: Any) -> None:
        """Tell the handler of forks what the loop polls by, while it watches for messages."""
        poller = loop.fileno()
        self.native.set_poller(-1 if poller is None or self._watcher is None else poller)

    def sweep(self) -> None:
        """Deliver what came too late for any watcher: it would stay, and keep its pool alive.

        Hub's thread only. Nobody waits for such a message.
        """
        if not self.native.holds:
            self.drain()

    def release_anywhere(self) -> None:
        """Take back one :meth:`hold`, from any thread."""
        hub = self._hub()
        if hub is None or hub.loop is None or self.is_here():
            self.release()
        else:
            self.call(self.release)

    def call(self, function: Callable[[], object]) -> None:
        """Call a function on the hub's thread; on a dead hub, do nothing. Any thread.

        gevent's own way to do that from another thread may stop libuv's loop for ever.
        """
        hub = self._hub()
        if hub is None or hub.loop is None or self.abandoned:
            return
        if self.is_here():
            hub.loop.run_callback(function)
        else:
            self.native.post(_call(function))

    def is_here(self) -> bool:
        """Whether this is the calling thread's hub."""
        return _gevent.get_hub_if_exists() is self._hub()

    def is_alive(self) -> bool:
        """Whether the hub has not been destroyed. Any thread."""
        hub = self._hub()
        return hub is not None and hub.loop is not None

    def is_main(self) -> bool:
        """Whether the hub is the main thread's."""
        hub = self._hub()
        return hub is not None and _gevent.is_main_hub(hub)

    def thread_time(self) -> int | None:
        """Return the nanoseconds that the hub's thread has run, if that is known. Any thread."""
        if self.clock is None:
            return None
        try:
            return time.clock_gettime_ns(self.clock)
        except OSError:
            return None  # The thread has ended.

    def close(self) -> None:
        """Take the watchers out of the loop, and give them up. Hub's thread only."""
        _close(*self._give_up_watchers())

    def _give_up_watchers(self) -> tuple[Any, ...]:
        watchers = self._watcher, self._lookout
        self._watcher = self._lookout = None
        self.native.set_poller(-1)
        self._counted = self.native.counted = self.native.looks_out = False
        return watchers

    def leave_destroyed_hub(self) -> None:
        """Close the descriptor if the hub was destroyed: nothing else may ever do it."""
        hub = self._hub()
        if hub is not None and hub.loop is None:
            hub.__dict__.pop(_WAKE_ATTRIBUTE, None)
            if not self._leave_loop():
                self.native.close()

    def _leave_loop(self) -> bool:
        # A loop that outlives its hub keeps watchers until they are closed, in its
        # thread, and before the descriptor is: libuv would let go of whatever had
        # its number by then.
        if self._lookout is None:
            return False  # It has made none, or there was no descriptor for it.
        watchers = self._give_up_watchers()
        loop = watchers[1].loop
        if loop is None or not loop.ptr:
            return False
        native = self.native

        def close() -> None:
            _close(*watchers)
            native.close()

        loop.run_callback_threadsafe(close)
        return True

    def look_out(self) -> None:
        """Look out for messages, if that pays, as soon as the hub is idle. Hub's thread only."""
        if (
            not self.native.looks_out
            and not self._changing
            and self._lookout is not None
            and self.native.look_out_pays()
        ):
            self._change_watchers(self._lookout.start, self._when_idle())
            self.native.looks_out = True

    def _stop_looking_out(self) -> None:
        self.native.looks_out = False
        if self._lookout is not None:
            self._change_watchers(self._lookout.stop)
        # While it looks out, what nobody waits for any more is left to it.
        self.adjust()

    def _change_watchers(self, change: Callable[..., object], *args: Any) -> None:
        # A signal handler that comes meanwhile leaves them alone.
        self._changing = True
        try:
            change(*args)
        finally:
            self._changing = False

    def _when_idle(self) -> Callable[[], None]:
        this = weakref.ref(self)

        def look() -> None:
            wake = this()
            if wake is not None:
                wake._on_idle()

        return look

    def _on_idle(self) -> None:
        hub = self._hub()
        if not self.native.holds or hub is None or hub.loop is None or self.abandoned:
            # Nobody has anything to wait for, or the hub was destroyed, and its loop was not.
            self._stop_looking_out()
            return
        if _gevent.would_sleep(hub) and not (
            self._deliver(self.native.look_out) and self.native.look_out_paid
        ):
            self._stop_looking_out()

    def stand_in(self) -> bool:
        """Look out in the hub's place, and deliver what any greenlet may.

        Return whether something came and was delivered, all of it. For a greenlet that is about to
        wait, in the hub's thread: nothing is done if others would run now, if the hub needs its
        turn, or if a tool watches the switches of greenlets.
        """
        native = self.native
        if native.looks_out:
            hub = self._hub()
            if hub is None or getcurrent() is hub or not _gevent.would_sleep(hub):
                return False
            if gettrace() is not None:
                return False  # The tool takes a wait without a switch for one that blocks the hub.
            try:
                if native.stand_in():
                    return True
            except BaseException:
                self._leave_to_the_hub()
                raise
            if native.found() is None:
                return False  # What is left to deliver is the hub's, which looks at all else first.
            found = self._deliver(native.found, elsewhere=hub)
            if found is not None and not (found and native.look_out_paid):
                self._stop_looking_out()
            return bool(found)
        return False

    def drain(self) -> None:
        """Deliver what has been posted by now. Hub's thread only."""
        if self.abandoned:
            # The loop of a forked child finds the descriptor ready. To settle in closes this
            # watcher, which it must not do to itself.
            get_hub().loop.run_callback(self._settle_in)
        else:
            self._deliver(self.native.drain)

    def _settle_in(self) -> None:
        """In a forked child, have the calling thread's hub begin anew, and leave this wake."""
        _fork.settle()
        make_loop_anew(get_hub())
        # A hub that was destroyed since the fork has left it to the loop.
        self.close()

    def defer(self, function: Callable[[], object]) -> None:
        """Call a function after all messages that have been posted by now.

        For who is delivered one: to deliver them there would nest as deep as there are some.
        """
        self.native.defer((_Deferred(function), None, None, None))

    def _deliver(
        self, take: Callable[[], bool | None] = _nothing_more, elsewhere: Any = None
    ) -> bool | None:
        """Take messages, and deliver what there is; return what *take* has, if that was all."""
        # Every message is delivered, whatever the ones before it raise. An
        # error of the system's kind switches to the main greenlet in between;
        # the rest is delivered when the hub runs again. So is what only the hub's
        # greenlet may be told, if this is another, since it runs code of the program's, and
        # what this one has no stack for.
        native = self.native
        self.is_stuck = False
        end = time.perf_counter() + _DELIVERY_TIME
        try:
            found = take()
            # A greenlet that is resumed in between may fork, and the child's hub come back here: it
            # finds nothing, since the messages are the parent's.
            while True:
                target: Any = None
                message: Any = None
                try:
                    message = native.deliver_values()
                    if message is None:
                        if native.counts_in_vain:
                            self.adjust()  # A task of an executor's has ended.
                        return found
                    target, result, value, error = message
                    if elsewhere is not None and not target.anywhere:
                        native.put_back(message)
                        elsewhere.loop.run_callback(self._deliver)
                        return None
                    target.deliver(result, value, error)
                    if elsewhere is None and time.perf_counter() > end and self._go_on_later():
                        return found
                except BaseException:
                    # A signal handler may have come before it was delivered.
                    if target is None:
                        native.take_back()
                    elif message is not None and (elsewhere is not None or target.again()):
                        native.put_back(message)
                    if elsewhere is not None:
                        raise
                    self.report(target, *sys.exc_info())
        except BaseException:
            self._leave_to_the_hub()
            raise

    def _go_on_later(self) -> bool:
        """Leave the other messages to the loop's next turn; return whether there are any."""
        hub = self._hub()
        if hub is None or hub.loop is None or not self.native.undelivered:
            return False
        # A callback of the loop's might have its turn before the loop polls.
        self.native.post(_call(_wake_up))
        return True

    def _leave_to_the_hub(self) -> None:
        """Have the hub deliver what is left: something has been raised between two of them."""
        if self.native.undelivered:
            self.native.post(_call(_wake_up))
        # Or the hub is being destroyed: libuv's loop goes on until it counts nothing.
        self.adjust()

    def report(self, context: Any, *exc_info: Any) -> None:
        """Have the hub handle an error. Hub's thread only."""
        hub = self._hub()
        if hub is not None:
            hub.handle_error(context, *exc_info)


def _clock_of(hub: Any) -> int | None:
    """Return the clock that shows for how long the hub's thread has run, if this is it."""
    here = _gevent.get_thread_ident()
    # Not every system has such clocks. To ask for that of a thread that may be gone is not safe.
    clock_of_thread = getattr(time, "pthread_getcpuclockid", None)
    if clock_of_thread is None or hub.thread_ident != here:
        return None
    clock: int = clock_of_thread(here)
    return clock


def _close(*watchers: Any) -> None:
    for watcher in watchers:
        if watcher is not None:
            watcher.stop()
            watcher.close()


class _Call:
    """The target of a message that is a function to call."""

    __slots__ = ("_begun", "_function")

    #: Whether any greenlet of the hub's thread may deliver it, or the hub alone.
    anywhere = False

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function
        self._begun = False

    def again(self) -> bool:
        """Whether it must be delivered again, if something was raised meanwhile."""
        return not self._begun

    def deliver(self, _result: None, _value: None, _error: None) -> None:
        self._begun = True
        self._function()


class _Deferred(_Call):
    """The target of a message that is a function to call after others, until it returns once."""

    __slots__ = ("_returned",)

    anywhere = True

    def __init__(self, function: Callable[[], object]) -> None:
        super().__init__(function)
        self._returned = False

    def again(self) -> bool:
        """Whether it must be delivered again, if something was raised meanwhile."""
        return not self._returned

    def deliver(self, _result: None, _value: None, _error: None) -> None:
        self._function()
        self._returned = True


def _call(function: Callable[[], object]) -> tuple[_Call, None, None, None]:
    return _Call(function), None, None, None


def _wake_up() -> None:
    """Do nothing: the message has done it."""


#: Every wake, since a destroyed hub may never be collected.
_wakes: dict[int, weakref.ref[HubWake]] = {}


def hub_wake(hub: Any) -> HubWake:
    """Return the hub's :class:`HubWake`, made when it is first asked for."""
    wake: HubWake | None = hub.__dict__.get(_WAKE_ATTRIBUTE)
    if wake is not None and wake.native.inherited:
        _fork.settle()
        wake = hub.__dict__.get(_WAKE_ATTRIBUTE)
    if wake is None:
        for other in all_wakes():
            other.leave_destroyed_hub()
        make_loop_anew(hub)
        wake = HubWake(hub)
        key = id(wake)
        _wakes[key] = weakref.ref(wake, lambda _: _wakes.pop(key, None))
        hub.__dict__[_WAKE_ATTRIBUTE] = wake
        if wake.is_here():
            wake.enter_loop()
    return wake


def stand_in() -> None:
    """Look out in the place of the calling thread's hub, if it has a wake."""
    hub = _gevent.get_hub_if_exists()
    wake = None if hub is None else hub.__dict__.get(_WAKE_ATTRIBUTE)
    if wake is not None:
        wake.stand_in()


def hold_loops() -> Hold:
    """Return what a task must refer to until it has ended, if the calling thread submits it.

    It keeps the loop of the thread's hub from ending. The main thread gets a hub: its greenlets
    will wait there. In a worker it keeps also the loop that the worker's own task keeps, if any: a
    greenlet that waits for that task may wait for what the task submits, too.
    """
    hub = _gevent.get_hub_if_exists()
    if hub is None and _gevent.is_main_thread():
        hub = get_hub()
    if hub is None or hub.loop is None:
        return _outer_hold()
    wake: HubWake = hub.__dict__.get(_WAKE_ATTRIBUTE) or hub_wake(hub)
    hold = TaskHold(wake.native)
    if not wake._counted:
        wake.adjust()
    if not wake.in_worker:
        share_hold(hub, hold)
        return hold
    outer = _outer_hold()
    return hold if outer is None else (hold, outer)


def _outer_hold() -> TaskHold | None:
    """Return what keeps the loop that the task in the calling worker keeps."""
    hold_of_task: Any = getattr(_threads, "hold_of_task", _nothing)()
    hold: Hold = None if hold_of_task is None else hold_of_task()
    return hold[-1] if isinstance(hold, tuple) else hold


def pass_by_hub() -> None:
    """Switch to the hub and back, if the caller can wait.

    A caller that has a result without a wait does so where :func:`greenlet.gettrace` shows a tool
    that takes a switch for the sign that nothing blocks: gevent's monitoring thread, or
    :class:`gevent.util.assert_switches`.
    """
    hub = _gevent.get_hub_if_exists()
    if hub is not None and may_wait(hub):
        sleep(0)


def all_wakes() -> list[HubWake]:
    """Return every wake there is. Any thread."""
    wakes = [ref() for ref in list(_wakes.values())]
    return [wake for wake in wakes if wake is not None]


#: In a forked child: wakes of the parent whose watchers are in a loop.
_inherited: list[HubWake] = []


def abandon_wakes() -> None:
    """In a forked child, leave the hubs' wakes alone: the parent reads them.

    A watcher stays until the loop has been made anew. It does not take the parent's wake-ups, since
    the descriptor has been another one since the fork.
    """
    for wake in all_wakes():
        if not wake.abandoned:
            continue
        wake.native.looks_out = False
        hub = wake._hub()
        if hub is not None and hub.__dict__.get(_WAKE_ATTRIBUTE) is wake:
            del hub.__dict__[_WAKE_ATTRIBUTE]
            _inherited.append(wake)
    global _made_anew  # noqa: PLW0603 - a child forgets its parent's
    _made_anew = weakref.WeakSet()
    hub = _gevent.get_hub_if_exists()
    if hub is not None:
        make_loop_anew(hub)


#: The hubs of a forked child whose loops are made anew; nothing in a process that nobody forked.
_made_anew: weakref.WeakSet[Any] | None = None


def make_loop_anew(hub: Any) -> None:
    """In a forked child, have the hub give up all that its parent uses, too. Any thread.

    The hub does so once, before it polls again: a greenlet may be here while the loop goes
    through what its last poll has found.
    """
    if _made_anew is None or hub.loop is None or hub in _made_anew:
        return
    _made_anew.add(hub)
    is_here = _gevent.get_hub_if_exists() is hub
    run = hub.loop.run_callback if is_here else hub.loop.run_callback_threadsafe
    run(_begin_anew, hub)


def close_inherited() -> list[HubWake]:
    """Close what :func:`abandon_wakes` kept for the calling thread, and return it.

    Another thread's loop runs no more, and must not be touched: that thread may have been
    changing it as the process was forked.
    """
    inherited = [wake for wake in _inherited if wake.is_here()]
    for wake in inherited:
        _inherited.remove(wake)
        wake.close()
    return inherited


def _begin_anew(hub: Any) -> None:
    """In a forked child, have the calling thread's hub give up all that its parent uses, too.

    The loop gets a set of descriptors of its own and counts the parent's wakes no more, and
    greenlets that wait for the parent's tasks go on.
    """
    inherited = close_inherited()
    _gevent.reinit_loop(hub.loop)
    wake = hub.__dict__.get(_WAKE_ATTRIBUTE)
    if wake is not None:
        wake.note_poller(hub.loop)
    for wake in inherited:
        for link in tuple(wake.links):
            hub.loop.run_callback(link.begin_anew)


#: Marks the threads that are workers.
_threads: Any = _gevent.new_local()


def mark_worker_thread(
    hold_of_task: Callable[[], Callable[[], Hold] | None] = _nothing,
) -> None:
    """Say that the calling thread is a worker. A hub there runs only while a task waits.

    The argument is a weak reference to a function: it returns what the task that runs keeps loops
    from ending by. By default the thread's work keeps none.
    """
    _threads.hold_of_task = hold_of_task


def in_worker_thread() -> bool:
    """Whether the calling thread is a worker."""
    return hasattr(_threads, "hold_of_task")


def may_wait_here() -> bool:
    """Whether the caller can wait: only a hub's own greenlet cannot."""
    hub = _gevent.get_hub_if_exists()
    return hub is None or getcurrent() is not hub


def may_wait(hub: Any) -> bool:
    """Whether the caller can wait: a hub's own greenlet, or a dead hub, cannot."""
    return hub.loop is not None and getcurrent() is not hub


_fork.in_child(abandon_wakes)
