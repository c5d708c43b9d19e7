"""Three ways in, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SHOW = """
import os, sys, gevent, gevent.threadpool
pool = gevent.get_hub().threadpool
print(type(pool).__module__, pool.apply(abs, (-1,)), os.environ.get("GEVENT_THREADPOOL"))
print(gevent.threadpool.ThreadPool.__module__, __name__, sys.argv[1:], sys.path[0])
"""


def run(*arguments: str, cwd: Path, **env: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "with space" / "program.py"
    path.parent.mkdir()
    path.write_text(SHOW)
    return path


def test_gevents_setting_makes_the_hubs_pool(program: Path) -> None:
    first, _ = run(str(program), cwd=program.parent, GEVENT_THREADPOOL="hubpool.ThreadPool")
    assert first == "hubpool.threadpool 1 hubpool.ThreadPool"


def test_a_program_runs_as_if_alone(program: Path) -> None:
    first, second = run("-m", "hubpool", str(program), "-x", "y", cwd=program.parent.parent)
    assert first == "hubpool.threadpool 1 hubpool.ThreadPool"
    assert second == f"hubpool.threadpool __main__ ['-x', 'y'] {program.parent}"


def test_a_module_runs_as_if_alone(program: Path) -> None:
    first, second = run("-m", "hubpool", "-m", "program", "z", cwd=program.parent)
    assert first == "hubpool.threadpool 1 hubpool.ThreadPool"
    assert second.startswith("hubpool.threadpool __main__ ['z']")


def test_patch_reaches_the_processes_that_a_program_starts(program: Path) -> None:
    code = (
        "import subprocess, sys, hubpool; hubpool.patch(); hubpool.patch();"
        f"subprocess.run([sys.executable, {str(program)!r}], check=True)"
    )
    first, *_ = run("-c", code, cwd=program.parent)
    assert first == "hubpool.threadpool 1 hubpool.ThreadPool"


def test_without_a_program_there_is_a_usage_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hubpool"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: python -m hubpool")
