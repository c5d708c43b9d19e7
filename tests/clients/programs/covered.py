"""Lines that only tasks run: in each function one branch is taken, and one is not.

usage: covered.py [patched]
"""

import sys

if "patched" in sys.argv:
    from gevent import monkey

    monkey.patch_all()
import gevent
from peers import ThreadPool, ThreadPoolExecutor


def applied(number):
    """Be called by `apply`."""
    if number:
        return number + 1
    return 0


def spawned(number):
    """Be called by `spawn`."""
    if number:
        return number + 2
    return 0


def mapped(number):
    """Be called by `map`."""
    if number < 50:
        return number + 3
    return 0


def mapped_lazily(number):
    """Be called by `imap_unordered`."""
    if number < 50:
        return number + 4
    return 0


def submitted(number):
    """Be called by the executor's `submit`."""
    if number:
        return number + 5
    return 0


def mapped_by_executor(number):
    """Be called by the executor's `map`."""
    if number < 50:
        return number + 6
    return 0


def of_the_hub(number):
    """Be called by the hub's own pool."""
    if number:
        return number + 7
    return 0


def nested(number):
    """Be called by a greenlet beside the tasks."""
    gevent.sleep(0.001)
    if number:
        return number + 8
    return 0


pool, executor = ThreadPool(2), ThreadPoolExecutor(2)
greenlet = gevent.spawn(nested, 1)
pool.apply(applied, (1,))
pool.spawn(spawned, 1).get()
pool.map(mapped, range(40))
list(pool.imap_unordered(mapped_lazily, range(40)))
executor.submit(submitted, 1).result()
list(executor.map(mapped_by_executor, range(40)))
gevent.get_hub().threadpool.apply(of_the_hub, (1,))
greenlet.join()
