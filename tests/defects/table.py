"""Runs each program on both pools and both loops, and writes what came of it as a table."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gevent
from programs import LOOPS, MODULES, PROGRAMS, outcome
from rich.console import Console

HEAD = """# What goes wrong on gevent's pool

`make defects` has run each program of `tests/defects/programs.py` in a process of its own, on
libev and on libuv, with gevent {gevent} on CPython {python}, and written this. `make test` runs
them too: each must go right on hubpool, and wrong on gevent's pool. Where gevent has no such thing
at all, the error says so.

| situation | gevent | hubpool |
|---|---|---|
"""


def main() -> int:
    """Write the table to the file that is named."""
    runs = [(whose, name, loop) for name in PROGRAMS for whose in MODULES for loop in LOOPS]
    with ThreadPoolExecutor(2) as threads:
        outcomes = dict(zip(runs, threads.map(lambda run: outcome(*run), runs), strict=True))
    lines = []
    for name in PROGRAMS:
        cells = [name]
        for whose in MODULES:
            each = [outcomes[whose, name, loop].replace("|", "\\|") for loop in LOOPS]
            same = len(set(each)) == 1
            cells.append(each[0] if same else f"libev: {each[0]}; libuv: {each[1]}")
        lines.append(f"| {' | '.join(cells)} |\n")
    text = HEAD.format(gevent=gevent.__version__, python=sys.version.split()[0]) + "".join(lines)
    Path(sys.argv[1]).write_text(text, encoding="utf-8")
    wrong = [run for run in runs if run[0] == "hubpool" and outcomes[run] != "right"]
    for run in wrong:
        Console().print(": ".join([*run, outcomes[run]]))
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
