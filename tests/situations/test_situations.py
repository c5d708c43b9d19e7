"""All goes right on hubpool's pool, and what is said to go wrong on gevent's does."""

from __future__ import annotations

import pytest
from programs import DEFECTS, LOOPS, RUNS, outcome


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("name", "loop"), RUNS)
def test_it_goes_right(name: str, loop: str) -> None:
    assert outcome("hubpool", name, loop) == "right"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("loop", LOOPS[:1])
@pytest.mark.parametrize("name", DEFECTS)
def test_it_goes_wrong_on_gevents(name: str, loop: str) -> None:
    # Else the test above shows nothing.
    assert outcome("gevent", name, loop) != "right"
