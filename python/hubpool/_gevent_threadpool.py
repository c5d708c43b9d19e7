"""The two methods that run in a worker around each task, as gevent's worker has them.

The name of this file is an interface. pydevd, the debugger of debugpy and PyCharm, replaces
:func:`sys.settrace` by a function that looks at the file of its caller. pydevd ignores a call that
clears the hook, and prints no warning, where the name of the file ends in "threadpool" and its path
contains "gevent". All calls that set a hook in a worker stand in this file.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from hubpool import _gevent

if TYPE_CHECKING:
    from collections.abc import Callable


class TaskHooks:
    """The hooks of :mod:`threading` and of :mod:`sys` around the tasks of one worker."""

    #: The worker's place in the core, which notes the thread's own hooks. Each task has one.
    _place: Any

    def _before_run_task(
        self,
        func: Any,
        args: Any,
        kwargs: Any,
        thread_result: Any,
        _sys: Any = sys,
        _get_thread_profile: Any = _gevent.get_thread_profile,
        _get_thread_trace: Any = _gevent.get_thread_trace,
    ) -> None:
        """Install the hooks of :mod:`threading`, if any, for this task."""
        profile = _get_thread_profile()
        if profile is not None:
            _sys.setprofile(profile)
        trace = _get_thread_trace()
        if trace is not None:
            _sys.settrace(trace)

    def _after_run_task(
        self, func: Any, args: Any, kwargs: Any, thread_result: Any, _sys: Any = sys
    ) -> None:
        """Clear the hooks that this task left, and bring back the thread's own beneath them."""
        place = self._place
        profile, trace = place.hooks
        _bring_back(profile, _sys.getprofile, _sys.setprofile)
        _bring_back(trace, _sys.gettrace, _sys.settrace)
        # A task may have taken the thread's hook away, and a debugger may have refused the call.
        place.learn_hooks()


def _bring_back(own: Any, get: Callable[[], Any], set_hook: Callable[[Any], object]) -> None:
    """Put the thread's own hook in the place of another one, but not in an empty place."""
    left = get()
    if left is None or left is own:
        return
    set_hook(None)
    # A profiler written in C keeps an object here that is no hook for Python.
    if callable(own) and get() is None:
        set_hook(own)
