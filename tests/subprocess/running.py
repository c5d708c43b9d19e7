"""How the tests here run a program."""

from __future__ import annotations

import os
import subprocess
import sys

LOOPS = ["libev-cext", "libuv-cffi"]


def run(
    *arguments: str, loop: str, timeout: float = 60, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run the interpreter with these arguments, this loop, and these settings of gevent's."""
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "GEVENT_LOOP": loop, **settings},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
