"""Index a directory tree through the pool that gevent's setting names, and check the index.

    GEVENT_THREADPOOL=hubpool.ThreadPool python tools/smoke.py [DIR]

This is the main job of `examples/index_tree.py`, without the comparison of pools. It proves that
an installed hubpool works: see `make wheels` and `make ways-in`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import sqlite3
import sys
import sysconfig
import tempfile
from pathlib import Path

import gevent

import hubpool

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

import index_tree

#: Pools that live until the interpreter has ended.
pools: list[hubpool.ThreadPool] = []


def main() -> None:
    """Index the tree, compare the index with the files, and print what was done."""
    root = sys.argv[1] if len(sys.argv) > 1 else sysconfig.get_path("stdlib")
    hub_pool = gevent.get_hub().threadpool
    assert type(hub_pool) is hubpool.ThreadPool, "GEVENT_THREADPOOL is not set, or does nothing"
    tree: index_tree.Tree = hub_pool.apply(
        index_tree.list_tree, (root, frozenset({"site-packages", "test"}))
    )
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder, "index.db")
        run = index_tree.index_tree(tree, type(hub_pool), 4, database, lambda _files: None)
        with contextlib.closing(sqlite3.connect(database)) as connection:
            found = dict(connection.execute("SELECT path, sha256 FROM files"))
    expected = {
        os.fsencode(path): hashlib.sha256(Path(tree.root, path).read_bytes()).hexdigest()
        for path in tree.files
    }
    assert found == expected, f"{len(found)} files in the index, {len(expected)} in the tree"
    assert not run.unreadable, run.unreadable
    # Its threads are idle as the interpreter exits, which must not crash.
    pools.append(hubpool.ThreadPool(4))
    assert pools[0].map(abs, range(-100, 0)) == list(range(100, 0, -1))
    print(
        f"hubpool {hubpool.__version__}, CPython {platform.python_version()}, "
        f"{platform.machine()}: {run.files:,} files, {run.size / 1e6:.1f} MB indexed"
    )


if __name__ == "__main__":
    main()
