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
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_USAGE, file=sys.stdout if arguments else sys.stderr)
        raise SystemExit(0 if arguments else 2)
    patch()
    if arguments[0] == "-m":
        if len(arguments) == 1:
            raise SystemExit(2)
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        sys.path[0] = os.path.dirname(os.path.abspath(arguments[0]))
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    main()
