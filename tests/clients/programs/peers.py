"""The pool and the executor of the peer that the environment names."""

import os

__all__ = ["ThreadPool", "ThreadPoolExecutor"]

PEER = os.environ["PEER"]

if PEER == "hubpool":
    from hubpool import ThreadPool, ThreadPoolExecutor
elif PEER == "gevent":
    from gevent.threadpool import ThreadPool, ThreadPoolExecutor
else:
    from concurrent.futures import ThreadPoolExecutor

    ThreadPool = None  # The standard library has none.
