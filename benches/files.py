"""A small file and a small database, for the rows that read them."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from pathlib import Path

from gevent import monkey


class Files:
    """A small file and a small database, in a directory that goes with the process."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="hubpool-bench-")
        self.path = str(Path(self._folder.name, "file"))
        Path(self.path).write_bytes(os.urandom(4096))
        self._database = str(Path(self._folder.name, "database"))
        # In a patched program it would be a greenlet's.
        self._local = monkey.get_original("threading", "local")()
        with sqlite3.connect(self._database) as connection:
            connection.execute("CREATE TABLE pairs (key INTEGER PRIMARY KEY, value TEXT)")
            connection.executemany(
                "INSERT INTO pairs VALUES (?, ?)", ((key, str(key)) for key in range(1000))
            )
        connection.close()

    def query(self, key: int) -> str:
        """Look a row up, on a connection of this thread's own."""
        if not hasattr(self._local, "connection"):
            self._local.connection = sqlite3.connect(self._database)
        value: str
        (value,) = self._local.connection.execute(
            "SELECT value FROM pairs WHERE key = ?", (key,)
        ).fetchone()
        return value


def read(path: str) -> bytes:
    """Read a file."""
    with open(path, "rb") as file:
        return file.read()
