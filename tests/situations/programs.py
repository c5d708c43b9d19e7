"""The programs, and what comes of them on the one pool or the other.

A program finds ``ThreadPool`` and ``ThreadPoolExecutor``, and what `prelude.py` has, and
prints ``right`` if all is as it should be. What else may come of it: it ends with an
error, it says what is wrong, or it does not end.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import defects
import exits
import fork
import resources
import signals
import tasks
import waiters

LOOPS = ("libev-cext", "libuv-cffi")

#: Where the classes come from, by whose they are.
MODULES = {"gevent": "gevent.threadpool", "hubpool": "hubpool"}

#: The most seconds that a program may take, by whose classes it uses. Those that hang
#: on gevent's do so at once.
LIMITS = {"gevent": 10, "hubpool": 60}

#: By what they are about, in the order of the tables.
GROUPS = {
    "What goes wrong on gevent's pool": defects.PROGRAMS,
    "Forks": fork.PROGRAMS,
    "Exits": exits.PROGRAMS,
    "Signals": signals.PROGRAMS,
    "Waiters that go away": waiters.PROGRAMS,
    "Tasks that misbehave": tasks.PROGRAMS,
    "Resources": resources.PROGRAMS,
}
PROGRAMS = {name: program for group in GROUPS.values() for name, program in group.items()}
DEFECTS = tuple(defects.PROGRAMS)
#: Each program with each loop that it is for.
RUNS = [
    (name, loop)
    for name in PROGRAMS
    for loop in LOOPS
    if loop == LOOPS[0] or name not in signals.ON_LIBEV_ALONE
]

#: The most of what a program says that goes into a table.
_LONGEST = 100

PRELUDE = (Path(__file__).parent / "prelude.py").read_text(encoding="utf-8")


def outcome(whose: str, name: str, loop: str) -> str:
    """Run a program; return ``right`` or what became of it."""
    imports = f"from {MODULES[whose]} import ThreadPool, ThreadPoolExecutor\n"
    try:
        done = subprocess.run(
            [
                sys.executable,
                # Python warns of a fork beneath threads, which is what some are about.
                "-Wignore::DeprecationWarning",
                "-c",
                PRELUDE + imports + PROGRAMS[name] + "print('right')",
            ],
            env={**os.environ, "GEVENT_LOOP": loop},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMITS[whose],
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "hangs"
    if done.stdout == "right\n" and done.returncode == 0:
        return "right" if not done.stderr else "prints a traceback"
    said = done.stdout.strip() or (done.stderr.strip().splitlines() or ["nothing"])[-1]
    # What differs from run to run is of no interest.
    said = re.sub(r"0x[0-9a-f]+", "0x...", said)[:_LONGEST]
    return said if not said.startswith("right") else f"status {done.returncode}"
