"""coverage counts the lines that tasks run in worker threads."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest
from processes import LIBEV, LIBUV, PROGRAMS, QUICK, environment, run

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = PROGRAMS / "covered.py"
#: The last line of each function, and nothing else, is never run.
MISSING = [
    number
    for number, line in enumerate(PROGRAM.read_text("utf-8").split("\n"), 1)
    if line == "    return 0"
]


@pytest.mark.parametrize("loop", [pytest.param(LIBEV, marks=QUICK), LIBUV])
@pytest.mark.parametrize("patched", [[], ["patched"]], ids=["", "patched"])
@pytest.mark.parametrize("peer", ["hubpool", "gevent"])
def test_the_lines_that_tasks_run_are_counted(
    peer: str, patched: list[str], loop: str, tmp_path: Path
) -> None:
    config, report = tmp_path / "coveragerc", tmp_path / "report.json"
    config.write_text(f"[run]\nconcurrency = gevent,thread\ndata_file = {tmp_path / 'data'}\n")
    coverage, env = [sys.executable, "-m", "coverage"], environment(peer, loop)
    done = run([*coverage, "run", f"--rcfile={config}", PROGRAM, *patched], env)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = run([*coverage, "json", "-q", f"--rcfile={config}", "-o", report], env)
    assert done.returncode == 0, done.stdout + done.stderr
    files = json.loads(report.read_text("utf-8"))["files"]
    (covered,) = [found for name, found in files.items() if name.endswith(PROGRAM.name)]
    expected = MISSING if patched else [*MISSING, *_lines_of_patching()]
    assert covered["missing_lines"] == sorted(expected)


def _lines_of_patching() -> list[int]:
    lines = PROGRAM.read_text("utf-8").split("\n")
    first = lines.index('if "patched" in sys.argv:') + 1
    return [first + 1, first + 3]
