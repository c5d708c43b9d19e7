"""No test runs an older build than the sources beside it."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

import hubpool
from hubpool import _native

ROOT = Path(__file__).parent
REMEDY = "Build and install it with `make build`, or with `make check` in less time."


def pytest_configure() -> None:
    """Refuse to test a package that was built from other sources."""
    different = different_files(ROOT / "python/hubpool", Path(hubpool.__file__).parent)
    if different:
        raise pytest.UsageError(
            f"The installed hubpool differs from python/hubpool in {', '.join(different)}. {REMEDY}"
        )
    if checksum(ROOT / "crates") != _native.SOURCES:
        raise pytest.UsageError(
            f"The installed hubpool was compiled from other sources than crates/hubpool*/src. "
            f"{REMEDY}"
        )


def different_files(sources: Path, installed: Path) -> list[str]:
    """Name the Python sources that are not the installed ones."""
    names = {
        path.relative_to(folder).as_posix()
        for folder in (sources, installed)
        for pattern in ("*.py", "*.pyi", "py.typed")
        for path in folder.rglob(pattern)
    }
    return sorted(name for name in names if content(sources / name) != content(installed / name))


def content(path: Path) -> bytes | None:
    """Return what is in the file, None if there is none."""
    return path.read_bytes() if path.exists() else None


def checksum(crates: Path) -> str:
    """Return the checksum that `crates/hubpool-python/build.rs` gives the module."""
    sources = {
        path.relative_to(crates).as_posix(): path
        for crate in crates.glob("hubpool*")
        for path in (crate / "src").rglob("*.rs")
    }
    crc = 0
    for name, path in sorted(sources.items()):
        crc = zlib.crc32(path.read_bytes(), zlib.crc32(name.encode(), crc))
    return f"{crc:08x}"
