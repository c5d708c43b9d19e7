"""The build backend of hubpool: maturin's, which it first checks for a Rust compiler.

If maturin finds no compiler, its hooks download one, without a question. Where the download is
refused, pip shows a traceback of an HTTP client that does not mention Rust.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import maturin
from maturin import (
    build_editable,
    build_sdist,
    build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

#: `pip` calls the hooks in this folder's parent.
MANIFEST = Path(__file__).parents[1] / "Cargo.toml"

HELP = """\
hubpool is compiled from Rust here, and {problem}.
Either install Rust {wanted} or newer (https://rustup.rs) so that `cargo` is on the PATH,
or install a wheel, which needs no compiler. There are wheels for CPython 3.10 to 3.15 on Linux
(x86_64 and aarch64, glibc 2.17 or newer and musl 1.2): pip install --only-binary=hubpool hubpool"""


def check_compiler() -> None:
    """End the build with a text that says what to do, unless there is a compiler for hubpool."""
    found = re.search(r'^rust-version = "([\d.]+)"', MANIFEST.read_text("utf-8"), re.MULTILINE)
    assert found, MANIFEST
    wanted = found[1]
    try:
        answer = subprocess.run(["cargo", "--version"], check=True, capture_output=True, text=True)
    except FileNotFoundError:
        problem = "there is no `cargo` on the PATH"
    except subprocess.CalledProcessError as error:
        problem = f"`cargo --version` fails: {error.stderr.strip()}"
    else:
        version = re.match(r"cargo ([\d.]+)", answer.stdout)
        if version and numbers(version[1]) >= numbers(wanted):
            return
        problem = f"`cargo --version` says {answer.stdout.strip()!r}"
    # An exception would add a traceback of the hook's caller.
    sys.exit(HELP.format(problem=problem, wanted=wanted))


def numbers(version: str) -> list[int]:
    """Return a version as something that can be compared."""
    return [int(part) for part in version.split(".")]


def get_requires_for_build_wheel(config_settings: Mapping[str, Any] | None = None) -> list[str]:
    """Check for a compiler, then ask maturin."""
    check_compiler()
    return maturin.get_requires_for_build_wheel(config_settings)


def get_requires_for_build_editable(config_settings: Mapping[str, Any] | None = None) -> list[str]:
    """Check for a compiler, then ask maturin."""
    check_compiler()
    return maturin.get_requires_for_build_editable(config_settings)


def get_requires_for_build_sdist(config_settings: Mapping[str, Any] | None = None) -> list[str]:
    """Check for a compiler, then ask maturin."""
    check_compiler()
    return maturin.get_requires_for_build_sdist(config_settings)
