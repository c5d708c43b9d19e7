"""The load of ``make stress``, for a few seconds."""

from __future__ import annotations

from pathlib import Path

import pytest
from running import LOOPS, run

STRESS = Path(__file__).resolve().parents[1] / "stress" / "stress.py"


@pytest.mark.parametrize("loop", LOOPS)
def test_nothing_is_lost_run_twice_or_leaked(loop: str) -> None:
    done = run(str(STRESS), "--seconds", "3", "--greenlets", "300", loop=loop, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
