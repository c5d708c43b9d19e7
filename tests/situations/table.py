"""Runs each program on both pools and both loops, and writes what came of it as tables."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gevent
from programs import GROUPS, LOOPS, MODULES, RUNS, outcome
from rich.console import Console

HEAD = """# Hard situations

`make situations` has run each program of `tests/situations` in a process of its own, on libev and
on libuv, with gevent {gevent} on CPython {python}, and written this: what became of it on gevent's
pool, and on hubpool's. `make test` runs them, too: each must go right on hubpool, and those of the
first table wrong on gevent's pool. Where gevent has no such thing at all, the error says so.
Signal handlers that wait are tried on libev alone, since gevent's libuv loop does not bear them.
"""

TABLE = """
## {group}

| situation | gevent | hubpool |
|---|---|---|
"""


def main() -> int:
    """Write the tables to the file that is named."""
    runs = [(whose, *run) for run in RUNS for whose in MODULES]
    with ThreadPoolExecutor(2) as threads:
        outcomes = dict(zip(runs, threads.map(lambda run: outcome(*run), runs), strict=True))
    text = HEAD.format(gevent=gevent.__version__, python=sys.version.split()[0])
    for group, programs in GROUPS.items():
        text += TABLE.format(group=group)
        for name in programs:
            cells = [name]
            for whose in MODULES:
                each = [
                    outcomes.get((whose, name, loop), "not tried").replace("|", "\\|")
                    for loop in LOOPS
                ]
                same = len(set(each)) == 1
                cells.append(each[0] if same else f"libev: {each[0]}; libuv: {each[1]}")
            text += f"| {' | '.join(cells)} |\n"
    Path(sys.argv[1]).write_text(text, encoding="utf-8")
    wrong = [run for run in runs if run[0] == "hubpool" and outcomes[run] != "right"]
    for run in wrong:
        Console().print(": ".join([*run, outcomes[run]]))
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
