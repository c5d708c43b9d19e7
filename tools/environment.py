"""Empty Python environments, in which a user's way to install hubpool is tried."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parents[1]
DEBIAN = "tests/cpythons/debian"
#: No `cargo` and no `rustc` is there.
PLAIN_PATH = "/usr/bin:/bin"


class FailedError(Exception):
    """A command has failed; the text is what it printed."""


def run(command: Sequence[str | Path], **environment: str | None) -> str:
    """Run a command in the repository; return what it prints. None unsets a variable."""
    variables = {**os.environ, **environment}
    done = subprocess.run(
        [str(part) for part in command],
        check=False,
        cwd=ROOT,
        env={name: value for name, value in variables.items() if value is not None},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise FailedError(f"{' '.join(map(str, command))}\n{done.stdout}")
    return done.stdout


def find_python(version: str) -> str:
    """Return what is found of CPython of that version, as the Makefile's PYTHON."""
    reason = ROOT / f"target/cpythons/{version}.missing"
    try:
        return run([ROOT / "tests/cpythons/find", version, reason]).split()[-1]
    except FailedError as error:
        why = reason.read_text("utf-8").strip() if reason.exists() else str(error)
        raise FailedError(why) from None


@dataclass
class Environment:
    """A new virtual environment of *python*, at *path* below the repository."""

    path: Path
    python: str
    #: What every command in it gets beside this process's variables.
    variables: Mapping[str, str | None]

    def __post_init__(self) -> None:
        shutil.rmtree(ROOT / self.path, ignore_errors=True)
        self._inside = [DEBIAN] if self.python.startswith("debian") else []
        self._run(self.python.replace("debian", "python"), "-m", "venv", self.path)

    def _run(self, *command: str | Path, **variables: str | None) -> str:
        return run([*self._inside, *command], **{**self.variables, **variables})

    def call(self, *arguments: str | Path, **variables: str | None) -> str:
        """Run the environment's interpreter with these arguments."""
        return self._run(self.path / "bin/python", *arguments, **variables)

    def install(self, *what: str | Path, **variables: str | None) -> str:
        """Install something by pip."""
        return self.call("-m", "pip", "install", "-q", *what, **variables)

    def smoke(self, *arguments: str) -> str:
        """Index a tree with what is installed; return the program's last line."""
        self.install("rich")
        output = self.call("tools/smoke.py", *arguments, GEVENT_THREADPOOL="hubpool.ThreadPool")
        return output.splitlines()[-1]
