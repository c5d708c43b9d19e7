"""What type checkers say of programs that use hubpool, and what the annotations say at run time."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any

import pytest

import hubpool

PROGRAMS = Path(__file__).with_name("programs.py")
#: Type checkers look for programs of their own, such as node, where the interpreter is.
ENVIRONMENT = {
    **os.environ,
    "PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]),
}


def _run(*command: str, folder: Path) -> str:
    # In the project's own folder they would find the sources, and not what is installed.
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout


def _mypy(folder: Path) -> set[int]:
    said = _run("mypy", "--strict", "--python-version=3.10", str(PROGRAMS), folder=folder)
    assert re.search(r"Found \d+ errors in 1 file", said), said
    return {int(line) for line in re.findall(r"programs\.py:(\d+): error:", said)}


def _pyright(folder: Path) -> set[int]:
    said = _run(
        "pyright", "--outputjson", "--pythonpath", sys.executable, str(PROGRAMS), folder=folder
    )
    found = json.loads(said)
    return {
        one["range"]["start"]["line"] + 1
        for one in found["generalDiagnostics"]
        if one["severity"] == "error"
    }


@pytest.mark.timeout(300)
@pytest.mark.parametrize("check", [_mypy, _pyright])
def test_type_checkers_refuse_what_is_wrong_and_nothing_else(check: Any, tmp_path: Path) -> None:
    lines = PROGRAMS.read_text(encoding="utf-8").splitlines()
    wrong = {number for number, line in enumerate(lines, 1) if line.endswith("# error")}
    assert len(wrong) > 10
    assert check(tmp_path) == wrong


def _functions() -> dict[str, Any]:
    found = {}
    for name in hubpool.__all__:
        value = getattr(hubpool, name)
        if inspect.isfunction(value):
            found[name] = value
        own = inspect.isclass(value) and value.__module__.startswith("hubpool")
        if own and not issubclass(value, Exception):
            found[f"{name}()"] = value.__init__
            for method, function in inspect.getmembers(value, inspect.isfunction):
                if not method.startswith("_") and function.__module__.startswith("hubpool"):
                    found[f"{name}.{method}"] = function
    # A map's iterator is made by its pool.
    return {name: found[name] for name in found if not name.startswith("IMap") or "()" not in name}


@pytest.mark.parametrize(
    "function", [*_functions().values(), hubpool.from_thread.run], ids=lambda f: f.__qualname__
)
def test_annotations_can_be_looked_up_at_run_time(function: Any) -> None:
    assert "return" in typing.get_type_hints(function)


def test_star_imports_bring_what_is_public_and_nothing_else() -> None:
    assert all(hasattr(hubpool, name) for name in hubpool.__all__)
    assert not [name for name in hubpool.__all__ if name.startswith("_")]
