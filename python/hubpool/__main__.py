"""``python -m hubpool program.py args...``: run a program on hubpool.

``python -m hubpool -m module args...`` runs a module.
"""

from __future__ import annotations

import os
import sys
import types
from importlib.machinery import SourceFileLoader
from typing import TYPE_CHECKING

from hubpool import _cpython, patch

if TYPE_CHECKING:
    from types import TracebackType

_USAGE = "usage: python -m hubpool [-m module | program.py] [args...]"


def main() -> None:
    """Patch gevent, then run what the command line names as ``__main__``."""
    arguments = sys.argv[1:]
    if arguments[:1] in (["-h"], ["--help"]):
        print(_USAGE)
        return
    if arguments in ([], ["-m"]) or (arguments[0].startswith("-") and arguments[0] != "-m"):
        print(_USAGE, file=sys.stderr)
        raise SystemExit(2)
    patch()
    try:
        if arguments[0] == "-m":
            sys.argv = arguments[1:]
            _run_module(arguments[1], True)
        else:
            sys.argv = arguments
            run_script(arguments[0])
    except BaseException as error:
        _leave_frames_out(error)
        raise


def _leave_frames_out(error: BaseException) -> None:
    """Have the interpreter, or the program's own hook, show the error as `python` does."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_frame.f_globals is globals():
        traceback = traceback.tb_next
    show = sys.excepthook

    def show_trimmed(
        kind: type[BaseException], value: BaseException, whole: TracebackType | None
    ) -> None:
        if value is error:
            value, whole = value.with_traceback(traceback), traceback
        show(kind, value, whole)

    sys.excepthook = show_trimmed


def run_script(path: str) -> None:
    """Run a program as ``python program.py`` does."""
    safe = getattr(sys.flags, "safe_path", False)
    if not safe:
        del sys.path[0]  # The current directory, for -m.
    file = _absolute(path)
    if os.path.isdir(path) or (os.path.exists(path) and path.endswith((".zip", ".pyz"))):
        sys.path.insert(0, file)
        _run_module("__main__", False)
        return
    if not safe:
        sys.path.insert(0, os.path.dirname(os.path.realpath(path)))
    # The module stays: threads and exit handlers of the program may outlive its last line.
    module = _new_main()
    module.__file__ = file
    loader = SourceFileLoader("__main__", file)
    module.__loader__ = loader
    try:
        source = loader.get_data(file)
    except OSError as error:
        reason = f"[Errno {error.errno}] {error.strerror}"
        print(f"{sys.orig_argv[0]}: can't open file {file!r}: {reason}", file=sys.stderr)
        raise SystemExit(2) from None
    try:
        code = loader.source_to_code(source, file)
    except (SyntaxError, ValueError) as error:
        raise error.with_traceback(None) from None  # The program has not begun.
    sys.modules["__main__"] = module
    exec(code, vars(module))


def _run_module(name: str, by_name: bool) -> None:
    """Run a module, or what a directory or archive has in its place, as the interpreter does."""
    sys.modules["__main__"] = _new_main()
    _cpython.run_module_as_main(name, by_name)


def _new_main() -> types.ModuleType:
    module = types.ModuleType("__main__")
    vars(module)["__builtins__"] = __builtins__
    return module


def _absolute(path: str) -> str:
    """Return the path as `python` shows it, which only joins it to the current directory."""
    try:
        return os.path.join(os.getcwd(), path)
    except FileNotFoundError:
        return path  # That directory is gone.


if __name__ == "__main__":
    main()
