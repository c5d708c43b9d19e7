"""The main job: the program of `make demo` indexes a tree, beside a ticker of 1 ms.

A sample indexes the same files once: each file is read, hashed and compressed in a pool, and
recorded in an SQLite database by a pool of one thread.
"""

from __future__ import annotations

import functools
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from measure import Row, Sample
from ticker import percentile

sys.path.append(str(Path(__file__).parents[1] / "examples"))

import index_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from measure import Sampler

SECTION = "The main job: a tree is indexed (`make demo`), beside a 1 ms ticker"
THREADS = (2, 10, 50)
#: The main job indexes one file of this number, so a sample takes a second or two.
EVERY = 8


@functools.cache
def tree() -> index_tree.Tree:
    """List some files of the standard library, and have the kernel keep them in memory."""
    found = index_tree.list_tree(sysconfig.get_path("stdlib"), frozenset({"site-packages"}))
    files = found.files[::EVERY]
    for path in files:
        index_tree.read_through(found.root, path)
    return index_tree.Tree(found.root, files)


def indexing(side: str, threads: int) -> Sampler:
    """Make what samples the seconds of a file, and how late the ticker runs."""

    def sample(_seconds: float) -> Sample:
        whole = tree()
        with tempfile.TemporaryDirectory(prefix="hubpool-bench-") as folder:
            database = Path(folder, "index.db")
            run = index_tree.index_tree(
                whole, index_tree.POOLS[side], threads, database, lambda _files: None
            )
        assert run.files + len(run.unreadable) == len(whole.files)
        late = {
            "p99 lateness": percentile(run.lateness, 0.99),
            "worst lateness": max(run.lateness),
        }
        return Sample(run.wall / run.files, run.cpu / run.files, late)

    return sample


def rows() -> Iterator[Row]:
    """List the numbers of threads."""
    for threads in THREADS:
        ours, peer = (indexing(side, threads) for side in ("hubpool", "gevent"))
        yield Row(
            SECTION,
            "index",
            ours,
            peer,
            threads,
            unit="s/file",
            shown="both",
            told="files",
            libuv=threads == 10,
            pairs=5,
        )
