"""What goes wrong in a program is shown by ``python -m hubpool`` as by ``python``."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

PROGRAMS = {
    "raises.py": "def fail():\n    raise ValueError('on purpose')\n\nfail()\n",
    "chained.py": "try:\n    1 / 0\nexcept ZeroDivisionError:\n    raise KeyError(3)\n",
    "no_python.py": "what is this?\n",
    "zero.py": "x = '\0'\n",
    "exit_code.py": "import sys\nsys.exit(7)\n",
    "exit_text.py": "import sys\nsys.exit('no luck')\n",
    "interrupted.py": "raise KeyboardInterrupt\n",
    "own_hook.py": (
        "import sys, traceback\n"
        "def hook(kind, value, whole):\n"
        "    print(kind.__name__, [entry.name for entry in traceback.extract_tb(whole)],\n"
        "          value.__traceback__ is whole)\n"
        "sys.excepthook = hook\n"
        "raise ValueError\n"
    ),
    "imports.py": "import no_python\n",
    "place.py": "print(__file__, __name__)\n",
    "full/__main__.py": "raise ValueError('on purpose')\n",
    "empty/nothing.py": "",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a directory of programs that go wrong."""
    place = tmp_path_factory.mktemp("programs")
    for name, text in PROGRAMS.items():
        path = place / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return place


def _run(place: Path, *arguments: str) -> tuple[int, str, str]:
    environment = {name: value for name, value in os.environ.items() if "GEVENT" not in name}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=place, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        *((name,) for name in PROGRAMS if name.endswith(".py") and "/" not in name),
        ("nosuch.py",),
        ("nosuch/program.py",),
        ("nosuch.zip",),
        ("full",),
        ("empty",),
        ("-m", "raises"),
        ("-m", "exit_code"),
        ("-m", "full"),
        ("-m", "interrupted"),
        ("-m", "nosuchmodule"),
        ("-m", "empty"),
    ],
    ids=" ".join,
)
def test_an_error_is_shown_as_by_python(place: Path, arguments: tuple[str, ...]) -> None:
    plain = _run(place, *arguments)
    if arguments == ("zero.py",):
        # The interpreter's own reader of files has words of its own for it.
        code, _, error = _run(place, "-m", "hubpool", *arguments)
        assert (code, error.count("\n"), "hubpool" in error) == (1, 1, False)
        return
    assert _run(place, "-m", "hubpool", *arguments) == plain


def test_a_program_that_cannot_be_opened_ends_with_a_line_and_status_2(place: Path) -> None:
    code, out, error = _run(place, "-m", "hubpool", "nosuch.py")
    assert (code, out) == (2, "")
    assert error.endswith(
        f"can't open file '{place / 'nosuch.py'}': [Errno 2] No such file or directory\n"
    )
    assert error.count("\n") == 1
