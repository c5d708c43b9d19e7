"""The tests refuse a package that was built from other sources than those beside them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a copy of the sources, with one test."""
    shutil.copytree(ROOT / "python", tmp_path / "python", ignore=shutil.ignore_patterns("*.so"))
    for crate in (ROOT / "crates").glob("hubpool*"):
        shutil.copytree(crate / "src", tmp_path / "crates" / crate.name / "src")
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "conftest.py", tmp_path)
    (tmp_path / "tests/test_nothing.py").write_text("def test_nothing(): pass\n", encoding="utf-8")
    return tmp_path


def run_pytest(tree: Path) -> tuple[int, str]:
    """Run the tree's test; return the exit status and all that was printed."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            tree,
            "tests",
        ],
        check=False,
        cwd=tree,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode, done.stdout


def append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n")


def test_the_sources_that_the_package_was_built_from_are_tested(tree: Path) -> None:
    status, output = run_pytest(tree)
    assert status == pytest.ExitCode.OK, output
    assert "1 passed" in output


def test_an_edit_of_python_sources_is_told_by_name_before_any_test(tree: Path) -> None:
    append(tree / "python/hubpool/threadpool.py")
    status, output = run_pytest(tree)
    assert status == pytest.ExitCode.USAGE_ERROR
    assert "differs from python/hubpool in threadpool.py. Build and install it with" in output


@pytest.mark.parametrize("name", ["new.py", "new/__init__.py"])
def test_a_new_python_file_is_told_by_name_before_any_test(tree: Path, name: str) -> None:
    path = tree / "python/hubpool" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("# new\n", encoding="utf-8")
    status, output = run_pytest(tree)
    assert status == pytest.ExitCode.USAGE_ERROR
    assert f"in {name}. " in output


def test_a_removed_python_file_is_told_by_name_before_any_test(tree: Path) -> None:
    (tree / "python/hubpool/from_thread.py").unlink()
    status, output = run_pytest(tree)
    assert status == pytest.ExitCode.USAGE_ERROR
    assert "in from_thread.py. " in output


@pytest.mark.parametrize("crate", ["hubpool", "hubpool-python"])
def test_an_edit_of_rust_sources_is_told_before_any_test(tree: Path, crate: str) -> None:
    append(tree / "crates" / crate / "src/lib.rs")
    status, output = run_pytest(tree)
    assert status == pytest.ExitCode.USAGE_ERROR
    assert "was compiled from other sources" in output
