"""Run at the start of each process of a test of the executor: see ``run_stdlib.py``."""

import os

use_hubpool, use_gevent = (flag == "1" for flag in os.environ["HUBPOOL_COMPAT_USE"])

if use_gevent:
    from gevent import monkey

    monkey.patch_all()

# Where the interpreter comes without the tests, they are elsewhere.
import test  # noqa: E402 - after the patching

test.__path__.append(os.environ["HUBPOOL_COMPAT_TESTS"])

if use_hubpool:
    import concurrent.futures
    import concurrent.futures._base
    import concurrent.futures.thread

    import hubpool
    import hubpool._future

    for module in (concurrent.futures, concurrent.futures.thread):
        module.ThreadPoolExecutor = hubpool.ThreadPoolExecutor
    for module in (concurrent.futures, concurrent.futures._base):
        module.Future = hubpool._future.Future
