"""``python -m hubpool program.py args...``: run a program on hubpool.

``python -m hubpool -m module args...`` runs a module.
"""

from __future__ import annotations

import os
import runpy
import sys

from hubpool import patch

_USAGE = "usage: python -m hubpool [-m module | program.py] [args...]"


def main() -> None:
    """Patch gevent, then run what the command line names as ``__main__``."""
    arguments = sys.argv[1:]
    if arguments[:1] in (["-h"], ["--help"]):
        print(_USAGE)
        return
    if arguments in ([], ["-m"]):
        print(_USAGE, file=sys.stderr)
        raise SystemExit(2)
    patch()
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        sys.path[0] = os.path.dirname(os.path.abspath(arguments[0]))
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    main()
