"""s3transfer uploads and downloads files, in whole and in parts."""

from __future__ import annotations

import random
import sys
from typing import TYPE_CHECKING

import pytest
from processes import LIBEV, LIBUV, PROGRAMS, environment, run
from s3_stub import S3Stub

if TYPE_CHECKING:
    from pathlib import Path

#: Bytes in each file; those from six MiB on are transferred in parts of five MiB.
SIZES = [0, 1, 1000, 100_000, 1 << 20, 3 << 20, 6 << 20, (11 << 20) + 7, 100, 200, 300, 400]


@pytest.mark.parametrize(
    ("peer", "way", "loop"),
    [
        # s3transfer submits from its tasks, which is an error in gevent's executor.
        ("hubpool", "class", LIBEV),
        ("hubpool", "class", LIBUV),
        ("stdlib", "class", LIBEV),
        ("hubpool", "setting", LIBEV),
        ("hubpool", "setting", LIBUV),
        ("gevent", "setting", LIBEV),
        ("gevent", "setting", LIBUV),
    ],
)
def test_what_is_downloaded_was_uploaded(peer: str, way: str, loop: str, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    files = {f"file{number}": random.Random(number).randbytes(s) for number, s in enumerate(SIZES)}
    for name, data in files.items():
        (source / name).write_bytes(data)
    with S3Stub() as stub:
        endpoint = f"http://127.0.0.1:{stub.server_port}"
        program = [sys.executable, PROGRAMS / "transfer.py", endpoint, source, target, way]
        done = run(program, environment(peer, loop, HOME=str(tmp_path)))
    assert (done.returncode, done.stdout, done.stderr) == (0, f"transferred {len(files)}\n", "")
    assert stub.objects == {f"/bucket/{name}": data for name, data in files.items()}
    assert {path.name: path.read_bytes() for path in target.iterdir()} == files
    assert (stub.requests["PUT part"], stub.requests["GET part"]) == (5, 5)
