"""Repeats hubpool's side of one row for some seconds, for a profiler to look at.

The row is named by its section and its work, and by its number of threads::

    taskset -c 0 perf record python benches/repeat.py "Calls: apply" 1
    perf report --sort comm,dso
"""

from __future__ import annotations

import sys

import cases

SECONDS = 5.0


def main() -> None:
    """Repeat the row that the command line names."""
    _, name, threads = sys.argv
    for row in cases.rows():
        if f"{row.section}: {row.work}" == name and row.threads == int(threads):
            sample = row.ours(SECONDS)
            print(f"{sample.value * 1e6:.3f} us a task")
            return
    sys.exit(f"there is no row {name!r} with {threads} threads")


if __name__ == "__main__":
    main()
