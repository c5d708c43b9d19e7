"""Index a directory tree through a thread pool, and see how late the event loop runs meanwhile.

Every regular file of the tree is read, hashed, compressed and recorded in an SQLite database.
All of that blocks, so all of it goes through a pool: first hubpool's, then gevent's own. The
program checks that both made the same database and prints both runs side by side::

    python examples/index_tree.py                       # the standard library
    python examples/index_tree.py ~/src --threads 4 --database src.db
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import hashlib
import os
import shutil
import sqlite3
import statistics
import sys
import sysconfig
import tempfile
import time
import zlib
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gevent
import gevent.threadpool
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

import hubpool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TypeAlias

    PoolClass: TypeAlias = type[hubpool.ThreadPool] | type[gevent.threadpool.ThreadPool]

POOLS: dict[str, PoolClass] = {
    "hubpool": hubpool.ThreadPool,
    "gevent": gevent.threadpool.ThreadPool,
}
TICK = 0.001
CHUNK = 1 << 20
BATCH = 64
#: Larger trees are indexed once by each pool, smaller ones several times.
SMALL_TREE = 256 << 20
ROUNDS = 3
SHOWN_FAILURES = 5

SCHEMA = """
CREATE TABLE files (
    path BLOB PRIMARY KEY,  -- a file's name is bytes, and need not be UTF-8
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    compressed INTEGER NOT NULL
) WITHOUT ROWID
"""


class IndexTreeError(Exception):
    """What the user is told in one line."""


# What blocks: these functions run in worker threads.


@dataclass
class Tree:
    """The files under a directory, by their path relative to it."""

    root: str
    files: list[str] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    #: Symbolic links, sockets and the like.
    not_regular: int = 0


@dataclass(frozen=True)
class Entry:
    """One row of the database."""

    path: str
    size: int
    sha256: str
    compressed: int


@dataclass(frozen=True)
class Unreadable:
    """A file or directory that could not be read, and why."""

    path: str
    reason: str


def list_tree(root: str, excluded: frozenset[str]) -> Tree:
    """Find the regular files under *root*; follow no symbolic links."""
    tree = Tree(root)
    pending = [""]
    while pending:
        directory = pending.pop()
        try:
            with os.scandir(os.path.join(root, directory)) as entries:
                for entry in entries:
                    path = os.path.join(directory, entry.name)
                    if entry.is_dir(follow_symlinks=False):
                        if entry.name not in excluded:
                            pending.append(path)
                    elif entry.is_file(follow_symlinks=False):
                        tree.files.append(path)
                    else:
                        tree.not_regular += 1
        except OSError as error:
            tree.unreadable.append(Unreadable(directory or ".", describe(error)))
    tree.files.sort()
    return tree


def chunks(path: str) -> Iterator[bytes]:
    """Read a file piece by piece, so that a large one does not fill the memory."""
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def read_through(root: str, path: str) -> int:
    """Read a file and forget it; return its size, 0 if it cannot be read."""
    try:
        return sum(map(len, chunks(os.path.join(root, path))))
    except OSError:
        return 0  # index_file() says why.


def index_file(root: str, path: str) -> Entry | Unreadable:
    """Read, hash and compress a file."""
    # An error is a result here: raised, it would end the loop over all files.
    digest = hashlib.sha256()
    compressor = zlib.compressobj()
    size = compressed = 0
    try:
        for chunk in chunks(os.path.join(root, path)):
            digest.update(chunk)
            size += len(chunk)
            compressed += len(compressor.compress(chunk))
    except OSError as error:
        return Unreadable(path, describe(error))
    compressed += len(compressor.flush())
    return Entry(path, size, digest.hexdigest(), compressed)


def describe(error: OSError) -> str:
    """Say what went wrong, without the path."""
    return error.strerror or type(error).__name__


class Database:
    """An SQLite database in a thread of its own.

    SQLite wants a connection to be used by the thread that made it. A pool of one thread keeps
    that promise, and the other greenlets run while a statement does.
    """

    def __init__(self, pool_class: PoolClass, path: Path) -> None:
        self._pool = pool_class(1)
        self._connection: sqlite3.Connection = self._pool.apply(sqlite3.connect, (path,))
        self._pool.apply(self._connection.execute, (SCHEMA,))

    def add(self, entries: list[Entry]) -> None:
        """Add rows; wait cooperatively until they have been added."""
        self._pool.apply(self._insert, (entries,))

    def _insert(self, entries: list[Entry]) -> None:
        self._connection.executemany(
            "INSERT INTO files VALUES (?, ?, ?, ?)",
            ((os.fsencode(e.path), e.size, e.sha256, e.compressed) for e in entries),
        )

    def commit(self) -> None:
        """Keep what was added: an index is whole or empty."""
        self._pool.apply(self._connection.commit)

    def close(self) -> None:
        """Close the connection and end the thread."""
        self._pool.apply(self._connection.close)
        self._pool.kill()


def different_paths(one: Path, other: Path) -> list[str]:
    """Return the paths whose rows are not in both databases alike."""
    with contextlib.closing(sqlite3.connect(one)) as connection:
        connection.execute("ATTACH ? AS other", (str(other),))
        rows = connection.execute(
            "SELECT path FROM (SELECT * FROM main.files EXCEPT SELECT * FROM other.files)"
            " UNION "
            "SELECT path FROM (SELECT * FROM other.files EXCEPT SELECT * FROM main.files)"
        )
        return [os.fsdecode(path) for (path,) in rows]


# What waits: from here on everything runs in greenlets of the main thread.


class Ticker:
    """A greenlet that wants to run every millisecond, and notes how late it did.

    It stands for all the other greenlets of a program: what it waits, they wait.
    """

    def __init__(self) -> None:
        self.lateness: list[float] = []
        self._due = 0.0

    def __enter__(self) -> Ticker:
        self._greenlet = gevent.spawn(self._tick)
        gevent.sleep(0)
        return self

    def __exit__(self, *_exc_info: object) -> None:
        overdue = time.perf_counter() - self._due
        self._greenlet.kill()
        if overdue > 0:
            self.lateness.append(overdue)

    def _tick(self) -> None:
        while True:
            self._due = time.perf_counter() + TICK
            gevent.sleep(TICK)
            # A loop's clock is coarser than this one, so a tick can seem early.
            self.lateness.append(max(0.0, time.perf_counter() - self._due))


@dataclass
class Run:
    """What one pass over the tree took, and what it could not read."""

    wall: float
    cpu: float
    files: int
    size: int
    lateness: list[float]
    unreadable: list[Unreadable]


def index_tree(
    tree: Tree, pool_class: PoolClass, threads: int, path: Path, advance: Callable[[int], None]
) -> Run:
    """Index the tree into a new database at *path*."""
    unreadable: list[Unreadable] = []
    files = size = 0
    wall, cpu = time.perf_counter(), time.process_time()
    pool = pool_class(threads)
    database = Database(pool_class, path)
    try:
        with Ticker() as ticker:
            # `maxsize` bounds how far the threads run ahead of the database.
            outcomes = pool.imap_unordered(
                functools.partial(index_file, tree.root), tree.files, maxsize=2 * BATCH
            )
            # Counted, since who asks gevent's iterator again after its end waits for ever.
            for batch in batches(islice(outcomes, len(tree.files)), BATCH):
                entries = [outcome for outcome in batch if isinstance(outcome, Entry)]
                unreadable += [outcome for outcome in batch if isinstance(outcome, Unreadable)]
                database.add(entries)
                files += len(entries)
                size += sum(entry.size for entry in entries)
                advance(len(batch))
            database.commit()
    finally:
        database.close()
        pool.kill()
    return Run(
        wall=time.perf_counter() - wall,
        cpu=time.process_time() - cpu,
        files=files,
        size=size,
        lateness=ticker.lateness,
        unreadable=unreadable,
    )


def batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Cut an iterable into lists of *size* items."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def find_files(pool: hubpool.ThreadPool, directory: str | None) -> Tree:
    """List the files of the directory that the user named, or of the standard library."""
    if directory is None:
        root, excluded = sysconfig.get_path("stdlib"), frozenset({"site-packages"})
    else:
        root, excluded = directory, frozenset[str]()
    if not pool.apply(os.path.isdir, (root,)):
        problem = "is not a directory" if pool.apply(os.path.lexists, (root,)) else "does not exist"
        raise IndexTreeError(f"{printable(root)} {problem}")
    tree = pool.apply(list_tree, (root, excluded))
    if not tree.files:
        reasons = "".join(f"; {printable(u.path)}: {u.reason}" for u in tree.unreadable[:1])
        raise IndexTreeError(f"there are no regular files under {printable(root)}{reasons}")
    return tree


def compare_pools(tree: Tree, threads: int, keep: Path | None, console: Console) -> bool:
    """Index the tree with each pool in turn, print the figures, and say if all indexes agree."""
    with (
        tempfile.TemporaryDirectory(prefix="index-tree-") as folder,
        # Drawn by hand after each batch: a thread that draws would disturb what is measured.
        Progress(
            TextColumn("{task.description:<18}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            auto_refresh=False,
            transient=True,
            disable=not console.is_terminal,
        ) as progress,
    ):

        def bar(description: str) -> Callable[[int], None]:
            task = progress.add_task(description, total=len(tree.files))

            def advance(files: int) -> None:
                progress.advance(task, files)
                progress.refresh()

            return advance

        size = warm_file_cache(tree, threads, bar("reading once"))
        rounds = ROUNDS if size <= SMALL_TREE else 1
        runs: dict[str, list[Run]] = {name: [] for name in POOLS}
        databases: list[Path] = []
        for number in range(rounds):
            # Whoever comes first in one round comes last in the next.
            for name in list(POOLS)[:: -1 if number % 2 else 1]:
                database = Path(folder, f"{name}-{number}.db")
                advance = bar(f"{name} {number + 1}/{rounds}")
                runs[name].append(index_tree(tree, POOLS[name], threads, database, advance))
                databases.append(database)
        pool = hubpool.ThreadPool(1)
        different: set[str] = set()
        for database in databases[1:]:
            different.update(pool.apply(different_paths, (databases[0], database)))
        if keep is not None:
            pool.apply(shutil.move, (databases[0], keep))
        pool.kill()
    report(tree, runs, threads, size, console)
    if keep is not None:
        say(console, f"The index is in {printable(str(keep))}.")
    unreadable = [
        each for pool_runs in runs.values() for run in pool_runs for each in run.unreadable
    ]
    report_omissions(tree, unreadable, console)
    return verdict(runs, different, console)


def warm_file_cache(tree: Tree, threads: int, advance: Callable[[int], None]) -> int:
    """Read everything once, so that the first pool does not pay for the disk; return the size."""
    pool = hubpool.ThreadPool(threads)
    size = 0
    sizes = pool.imap_unordered(
        functools.partial(read_through, tree.root), tree.files, maxsize=2 * BATCH
    )
    for batch in batches(sizes, BATCH):
        size += sum(batch)
        advance(len(batch))
    pool.kill()
    return size


# What the user sees.


def say(console: Console, text: str) -> None:
    """Print a line as it is: a file's name can look like markup."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def printable(path: str) -> str:
    """Show a file's name, whatever bytes it consists of."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def percentile(samples: list[float], share: float) -> float:
    """Return the sample below which *share* of all lie."""
    ordered = sorted(samples)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def figures(runs: list[Run]) -> list[float]:
    """Return one pool's columns of the table: medians, and lateness over all rounds."""
    wall = statistics.median(run.wall for run in runs)
    lateness = [late * 1000 for run in runs for late in run.lateness] or [0.0]
    return [
        statistics.median(run.files / run.wall for run in runs),
        statistics.median(run.size / run.wall / 1e6 for run in runs),
        percentile(lateness, 0.5),
        percentile(lateness, 0.99),
        max(lateness),
        statistics.median(run.cpu for run in runs),
        wall,
    ]


def report(
    tree: Tree, runs: dict[str, list[Run]], threads: int, size: int, console: Console
) -> None:
    """Print what was done, and both pools side by side."""
    rounds = len(runs["hubpool"])
    say(console, f"{printable(tree.root)}: {len(tree.files):,} files, {size / 1e6:,.1f} MB")
    table = Table()
    for heading in ("", "files/s", "MB/s", "p50 ms", "p99 ms", "max ms", "CPU s", "wall s"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    rows = {name: figures(runs[name]) for name in POOLS}
    for name, row in rows.items():
        table.add_row(name, f"{row[0]:,.0f}", f"{row[1]:.1f}", *(f"{x:.2f}" for x in row[2:]))
    ratios = zip(rows["hubpool"], rows["gevent"], strict=True)
    table.add_section()
    table.add_row("better", *["more"] * 2, *["less"] * 5)
    table.add_row(
        "ratio",
        *(f"{mine / theirs:.2f}x" if theirs else "-" for mine, theirs in ratios),
    )
    console.print(table)
    times = f"the median of {rounds} rounds in turn" if rounds > 1 else "one round (a large tree)"
    say(
        console,
        f"{threads} threads, {type(gevent.get_hub().loop).__module__}, "
        f"Python {sys.version.split()[0]}; {times}, after all files had been read once.\n"
        "p50, p99, max: how late a greenlet ran that sleeps 1 ms, over all rounds.",
    )


def verdict(runs: dict[str, list[Run]], different: set[str], console: Console) -> bool:
    """Say whether all databases are the same, and not empty."""
    rows = [run.files for pool_runs in runs.values() for run in pool_runs]
    if different:
        say(console, f"The databases differ in {len(different):,} rows:")
        for path in sorted(different)[:SHOWN_FAILURES]:
            say(console, f"  {printable(path)}")
        return False
    if not all(rows):
        say(console, "No file could be read.")
        return False
    say(console, f"All {len(rows)} databases are equal: {rows[0]:,} rows each.")
    return True


def report_omissions(tree: Tree, unreadable: list[Unreadable], console: Console) -> None:
    """Say what is in the tree and not in the index."""
    if tree.not_regular:
        say(console, f"Left out: {tree.not_regular:,} symbolic links or other special files.")
    unique = sorted({*tree.unreadable, *unreadable}, key=lambda each: each.path)
    if unique:
        say(console, f"Could not be read: {len(unique):,} files or directories.")
        for each in unique[:SHOWN_FAILURES]:
            say(console, f"  {printable(each.path)}: {each.reason}")
        if len(unique) > SHOWN_FAILURES:
            say(console, "  ...")


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Index a directory tree through hubpool and through gevent's own pool.",
        epilog="Status 0: both made the same index; 1: they did not; 2: there was nothing to do.",
    )
    parser.add_argument(
        "directory", nargs="?", metavar="DIR", help="default: the standard library of this Python"
    )
    parser.add_argument(
        "--database", type=Path, metavar="FILE", help="a new file that keeps the index"
    )
    parser.add_argument(
        "--threads", type=int, default=10, metavar="N", help="threads of each pool (%(default)s)"
    )
    options = parser.parse_args(arguments)
    if options.threads < 1:
        parser.error("--threads must be 1 or more")
    if options.database is not None:
        if os.path.lexists(options.database):
            parser.error(f"{printable(str(options.database))} exists already; name a new file")
        if not os.access(options.database.absolute().parent, os.W_OK | os.X_OK):
            parser.error(f"no file can be made at {printable(str(options.database))}")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run the program; return its exit status."""
    options = parse_arguments(arguments)
    console = Console()
    try:
        if issubclass(POOLS["gevent"], hubpool.ThreadPool):
            raise IndexTreeError("gevent.threadpool is patched: there is nothing to compare with")
        pool = hubpool.ThreadPool(1)
        tree = find_files(pool, options.directory)
        pool.kill()
        equal = compare_pools(tree, options.threads, options.database, console)
    except IndexTreeError as error:
        print(f"index_tree: {error}", file=sys.stderr)
        return 2
    except (OSError, sqlite3.Error) as error:
        print(f"index_tree: the database cannot be written: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
