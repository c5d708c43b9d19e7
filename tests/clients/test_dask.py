"""dask's threaded scheduler computes on an executor what its synchronous scheduler does."""

from __future__ import annotations

import sys

import pytest
from processes import LIBEV, LIBUV, PROGRAMS, QUICK, environment, run


@pytest.mark.parametrize("loop", [pytest.param(LIBEV, marks=QUICK), LIBUV])
@pytest.mark.parametrize(
    ("peer", "patched"),
    [
        pytest.param("hubpool", [], id="hubpool"),
        pytest.param("hubpool", ["patched"], id="hubpool-patched"),
        # Unpatched, gevent's executor hangs: the scheduler blocks the hub, which calls back there.
        pytest.param("gevent", ["patched"], id="gevent-patched"),
        pytest.param("stdlib", [], id="stdlib"),
        pytest.param("stdlib", ["patched"], id="stdlib-patched"),
    ],
)
def test_an_executor_computes_what_the_synchronous_scheduler_does(
    peer: str, patched: list[str], loop: str
) -> None:
    program = [sys.executable, PROGRAMS / "scheduled.py", *patched]
    done = run(program, environment(peer, loop))
    assert (done.returncode, done.stdout, done.stderr) == (0, "right\n", "")
