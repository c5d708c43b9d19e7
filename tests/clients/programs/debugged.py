"""A program whose tasks have a breakpoint, which `python -m debugpy` runs.

usage: debugged.py ThreadPool|ThreadPoolExecutor [patched]
"""

import sys

if "patched" in sys.argv:
    from gevent import monkey

    monkey.patch_all()
import peers


def task(number):
    """Stop at the breakpoint."""
    value = number + 1  # BREAK
    return value  # noqa: RET504 - a line of its own for the breakpoint


if sys.argv[1] == "ThreadPool":
    pool = peers.ThreadPool(1)
    results = [pool.apply(task, (number,)) for number in range(4)] + pool.map(task, range(4, 6))
else:
    with peers.ThreadPoolExecutor(1) as executor:
        results = [executor.submit(task, number).result() for number in range(4)]
        results += executor.map(task, range(4, 6))
print("results", results)
