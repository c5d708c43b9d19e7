"""What goes wrong on gevent's pool does not on hubpool's."""

from __future__ import annotations

import pytest
from programs import LOOPS, PROGRAMS, outcome


@pytest.mark.timeout(120)
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_it_goes_right(name: str, loop: str) -> None:
    assert outcome("hubpool", name, loop) == "right"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", PROGRAMS)
def test_it_goes_wrong_on_gevents(name: str) -> None:
    # Else the test above shows nothing.
    assert outcome("gevent", name, "libev-cext") != "right"
