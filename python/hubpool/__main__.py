"""``python -m hubpool program.py args...``: run a program on hubpool.

``python -m hubpool -m module args...`` runs a module.
"""

from __future__ import annotations

import os
import runpy
import sys
import types
from importlib.machinery import SourceFileLoader

from hubpool import patch

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
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        # What `python -m` itself calls.
        runpy._run_module_as_main(arguments[1])  # type: ignore[attr-defined] # a private name
    else:
        sys.argv = arguments
        run_script(arguments[0])


def run_script(path: str) -> None:
    """Run a program as ``python program.py`` does."""
    safe = getattr(sys.flags, "safe_path", False)
    if not safe:
        del sys.path[0]  # The current directory, for -m.
    if os.path.isdir(path) or path.endswith((".zip", ".pyz")):
        runpy.run_path(path, run_name="__main__")
        return
    if not safe:
        sys.path.insert(0, os.path.dirname(os.path.realpath(path)))
    # The module stays: threads and exit handlers of the program may outlive its last line.
    module = types.ModuleType("__main__")
    module.__file__ = path
    loader = SourceFileLoader("__main__", path)
    module.__loader__ = loader
    vars(module)["__builtins__"] = __builtins__
    code = loader.source_to_code(loader.get_data(path), path)
    sys.modules["__main__"] = module
    exec(code, vars(module))


if __name__ == "__main__":
    main()
