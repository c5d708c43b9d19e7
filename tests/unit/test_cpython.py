"""What the package uses of CPython's private names, all of it in one module."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import hubpool
from hubpool import _cpython

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(hubpool.__file__).parent
#: The one for CPython's private names, the one for gevent's, and the subclass of CPython's thread.
ITS_MODULES = {"_cpython.py", "_gevent.py", "_worker_thread.py"}
MODULES = sorted(path for path in PACKAGE.glob("*.py") if path.name not in ITS_MODULES)
NATIVE = sorted((Path(__file__).parents[2] / "crates" / "hubpool-python" / "src").glob("*.rs"))

PRIVATE = re.compile(r"_(?!_)\w+")


#: What the loop over a map's items reads of `_cpython.hooks`, where a call would take too long.
READ_THERE = {"_worker.py": ["_profile_hook", "_trace_hook"]}


def _trees(paths: list[Path]) -> Iterator[tuple[Path, ast.AST]]:
    for path in paths:
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def _is_private(name: object) -> bool:
    if not isinstance(name, str) or name.startswith("_hubpool_"):
        return False
    return PRIVATE.fullmatch(name) is not None


def _own() -> set[str]:
    """Return the private names that the package gives to what is its own."""
    own = {path.stem for path in PACKAGE.glob("_*")}
    for _, tree in _trees(MODULES):
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                own.add(node.name)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                # What is set on something else may be somebody else's.
                if isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}:
                    own.add(node.attr)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                own.add(node.id)
            elif isinstance(node, ast.arg):
                own.add(node.arg)
    return own


OWN = _own()


def _imported(tree: ast.AST) -> set[str]:
    """Return the names that stand for modules, classes and functions of others."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {(name.asname or name.name).split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] != "hubpool":
            names |= {name.asname or name.name for name in node.names}
    return names - {"hubpool"}


def _root(node: ast.expr) -> str | None:
    while isinstance(node, (ast.Attribute, ast.Call)):
        node = node.value if isinstance(node, ast.Attribute) else node.func
    return node.id if isinstance(node, ast.Name) else None


def _foreign(tree: ast.AST) -> Iterator[str]:
    """Yield the private names of others that a module touches."""
    imported = _imported(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield from filter(_is_private, name.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            if (node.module or "").split(".")[0] not in {"hubpool", "__future__"}:
                names = [*(node.module or "").split("."), *(name.name for name in node.names)]
                yield from filter(_is_private, names)
        elif isinstance(node, ast.Attribute):
            if _is_private(node.attr) and (node.attr not in OWN or _root(node) in imported):
                yield node.attr
        elif isinstance(node, ast.Constant) and _is_private(node.value) and node.value not in OWN:
            yield str(node.value)


@pytest.mark.parametrize("name", _cpython.NAMES, ids=str)
def test_cpython_has_each_private_name_that_is_used(name: _cpython.Name) -> None:
    name.find()


@pytest.mark.skipif(sys.version_info < (3, 14), reason="CPython has them from 3.14 on")
@pytest.mark.parametrize("name", _cpython.NAMES_SINCE_3_14, ids=str)
def test_cpython_has_each_private_name_that_is_used_since_3_14(name: _cpython.Name) -> None:
    name.find()


@pytest.mark.parametrize("name", _cpython.FOUND)
def test_a_name_is_found_where_the_table_says(name: str) -> None:
    assert getattr(_cpython, name) is _cpython.FOUND[name].find()


@pytest.mark.parametrize(
    "name",
    [
        _cpython.Name("threading", "_no_such_name", "nothing goes"),
        _cpython.Name("_no_such_module", "name", "nothing goes"),
        _cpython.Name("threading", "Thread()._no_such_name", "nothing goes"),
    ],
    ids=str,
)
def test_the_error_for_a_missing_name_says_what_is_missing(name: _cpython.Name) -> None:
    version = ".".join(map(str, sys.version_info[:3]))
    with pytest.raises(ImportError) as info:
        name.find()
    assert str(info.value) == f"hubpool uses {name}, which CPython {version} lacks: nothing goes"


@pytest.mark.parametrize(
    ("name", "statement"),
    [
        ("threading._active", "import hubpool"),
        ("threading._register_atexit", "import hubpool"),
        ("threading._profile_hook", "import hubpool"),
        ("concurrent.futures._base.FINISHED", "import hubpool.executor"),
        (
            "runpy._run_module_as_main",
            "import sys, hubpool.__main__ as main; sys.argv[1:] = ['-m', 'this']; main.main()",
        ),
    ],
)
def test_an_import_fails_by_the_name_that_is_missing(name: str, statement: str) -> None:
    module, _, attribute = name.rpartition(".")
    imports = "import runpy, threading, concurrent.futures.thread, gevent"
    done = subprocess.run(
        [sys.executable, "-c", f"{imports}\ndel {module}.{attribute}\n{statement}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert f"ImportError: hubpool uses {name}, which CPython " in done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_no_other_module_touches_a_private_name_of_others(module: Path) -> None:
    [(_, tree)] = _trees([module])
    assert sorted(set(_foreign(tree))) == READ_THERE.get(module.name, [])


@pytest.mark.parametrize("source", NATIVE, ids=lambda path: path.name)
def test_no_native_source_names_a_private_name_of_others(source: Path) -> None:
    names = re.findall(r'"(\w+)"', source.read_text(encoding="utf-8"))
    assert [name for name in names if _is_private(name) and name not in OWN] == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import threading\nthreading._active", ["_active"]),
        ("import threading as t\nt.current_thread()._daemonic", ["_daemonic"]),
        ("from concurrent.futures._base import LOGGER", ["_base"]),
        ("from threading import _register_atexit", ["_register_atexit"]),
        ("import _socket", ["_socket"]),
        ("import concurrent.futures\nconcurrent.futures.Future._state", ["_state"]),
        ("def f(thread):\n    thread._daemonic = False", ["_daemonic"]),
        ("def f(thread):\n    getattr(thread, '_daemonic')", ["_daemonic"]),
        ("from hubpool._future import Future\nFuture()._state", []),
    ],
)
def test_the_check_finds_what_is_private(source: str, found: list[str]) -> None:
    assert list(_foreign(ast.parse(source))) == found
