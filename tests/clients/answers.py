"""What the application of `programs/application.py` answers."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from processes import PROGRAMS

if TYPE_CHECKING:
    from collections.abc import Iterable

_DIGEST = hashlib.sha256((PROGRAMS / "application.py").read_bytes() * 100).hexdigest()
_RESULTS = {"hub": _DIGEST, "pool": _DIGEST, "map": [_DIGEST] * 2, "executor": _DIGEST}


def answered_by(answers: Iterable[str]) -> set[int]:
    """Return the processes that gave these answers; each answer must be the right one."""
    found = [json.loads(answer) for answer in answers]
    assert [answer["results"] for answer in found] == [_RESULTS] * len(found)
    return {answer["pid"] for answer in found}
