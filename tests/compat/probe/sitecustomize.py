"""Notes which pools a test's process makes, without changing what it does.

``run.py`` puts this directory on ``PYTHONPATH``, so that Python imports this
module at start, also in the processes that a test starts. Each pool that is
made adds a line to the file that ``HUBPOOL_COMPAT_RECORD`` names: the module of its
class, the process, and the module that made it.
"""

from __future__ import annotations

import functools
import importlib.machinery
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

_RECORD = os.environ.get("HUBPOOL_COMPAT_RECORD")
_MODULES = {"gevent.threadpool", "hubpool.threadpool"}


def _record(cls: type[Any]) -> None:
    make = cls.__init__

    @functools.wraps(make)
    def noted(self: Any, *args: Any, **kwargs: Any) -> None:
        with open(str(_RECORD), "a", encoding="utf-8") as record:
            maker = sys._getframe(1).f_globals.get("__name__")
            record.write(f"{cls.__module__} {os.getpid()} {maker}\n")
        make(self, *args, **kwargs)

    cls.__init__ = noted


class _Finder:
    """Finds the two modules as usual, and wraps their pools once they have been run."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in _MODULES:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            execute = loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                _record(module.ThreadPool)

            loader.exec_module = exec_module
        return spec


if _RECORD:
    sys.meta_path.insert(0, _Finder())
