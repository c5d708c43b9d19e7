"""The load of ``make stress``, for a few seconds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

STRESS = Path(__file__).resolve().parents[1] / "stress" / "stress.py"


@pytest.mark.parametrize("loop", ["libev-cext", "libuv-cffi"])
def test_nothing_is_lost_run_twice_or_leaked(loop: str) -> None:
    done = subprocess.run(
        [sys.executable, STRESS, "--seconds", "3", "--greenlets", "300"],
        env={**os.environ, "GEVENT_LOOP": loop},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
