"""Compute a graph by dask's threaded scheduler on an executor; say whether the result is right.

usage: scheduled.py [patched]
"""

import sys

if "patched" in sys.argv:
    from gevent import monkey

    monkey.patch_all()
import dask
import dask.bag
from peers import ThreadPoolExecutor


@dask.delayed
def square(number):
    """Return the number's square."""
    return number * number


@dask.delayed
def add(*numbers):
    """Return the sum of the numbers."""
    return sum(numbers)


squares = [square(number) for number in range(200)]
sums = [add(*squares[first : first + 10]) for first in range(0, 200, 10)]
bag = dask.bag.range(1000, npartitions=100).map(lambda n: n % 7).frequencies(split_every=4)


def results(**how):
    """Compute the graphs; the order of the bag's items is not promised."""
    return dask.compute(add(*sums), squares, **how), sorted(bag.compute(**how))


right = results(scheduler="synchronous")
with ThreadPoolExecutor(4) as executor:
    found = [results(scheduler="threads", pool=executor) for _ in range(3)]
    with dask.config.set(pool=executor):
        found.append(results(scheduler="threads"))
print("right" if found == [right] * 4 else (found, right))
