"""The ways to put hubpool into a program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import json, os, subprocess, sys
import gevent, gevent.threadpool
CHILD = '''
import gevent
pool = gevent.get_hub().threadpool
print(type(pool).__module__, pool.apply(abs, (-7,)))
'''
pool = gevent.get_hub().threadpool
print(json.dumps({
    "name": __name__,
    "argv": sys.argv,
    "path": sys.path[0],
    "pool": type(pool).__module__,
    "class": gevent.threadpool.ThreadPool.__module__,
    "answer": pool.apply(abs, (-5,)),
    "size": pool.maxsize,
    "child": subprocess.run(
        [sys.executable, "-c", CHILD], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split(),
}))
sys.exit(3)
"""
CHILD = ["hubpool.threadpool", "7"]


def _run(
    *arguments: str, cwd: Path, setting: str | None = None
) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("GEVENT")
    }
    if setting is not None:
        environment["GEVENT_THREADPOOL"] = setting
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "place" / "program.py"
    path.parent.mkdir()
    path.write_text(PROGRAM, encoding="utf-8")
    return path


def _told(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.stderr == ""
    assert done.returncode == 3
    return json.loads(done.stdout)


def test_a_program_runs_on_hubpool(program: Path, tmp_path: Path) -> None:
    told = _told(_run("-m", "hubpool", str(program), "-m", "a b", "--help", cwd=tmp_path))
    assert told["name"] == "__main__"
    assert told["argv"] == [str(program), "-m", "a b", "--help"]
    assert told["path"] == str(program.parent)
    assert told["pool"] == told["class"] == "hubpool.threadpool"
    assert (told["answer"], told["size"]) == (5, 10)
    assert told["child"] == CHILD


def test_a_program_may_be_named_from_where_one_is(program: Path) -> None:
    told = _told(_run("-m", "hubpool", "program.py", cwd=program.parent))
    assert told["argv"] == ["program.py"]
    assert told["path"] == str(program.parent)


def test_a_module_runs_on_hubpool(program: Path) -> None:
    told = _told(_run("-m", "hubpool", "-m", "program", "x", "-h", cwd=program.parent))
    assert told["name"] == "__main__"
    assert told["argv"] == [str(program), "x", "-h"]
    assert told["pool"] == told["class"] == "hubpool.threadpool"
    assert told["child"] == CHILD


def test_a_package_runs_on_hubpool(program: Path) -> None:
    package = program.parent / "package"
    package.mkdir()
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "__main__.py").write_text(PROGRAM, encoding="utf-8")
    told = _told(_run("-m", "hubpool", "-m", "package", "x", cwd=program.parent))
    assert told["argv"] == [str(package / "__main__.py"), "x"]
    assert told["pool"] == "hubpool.threadpool"


def test_gevents_own_setting_names_the_pool(program: Path, tmp_path: Path) -> None:
    told = _told(_run(str(program), "x", cwd=tmp_path, setting="hubpool.ThreadPool"))
    assert told["argv"] == [str(program), "x"]
    assert told["pool"] == "hubpool.threadpool"
    assert told["class"] == "gevent.threadpool"
    assert told["child"] == CHILD


def test_without_a_setting_the_pool_is_gevents(program: Path, tmp_path: Path) -> None:
    told = _told(_run(str(program), cwd=tmp_path))
    assert told["pool"] == told["class"] == "gevent.threadpool"
    assert told["child"] == ["gevent.threadpool", "7"]


def test_patch_puts_hubpool_in_and_may_be_called_again(program: Path, tmp_path: Path) -> None:
    program.write_text(
        "import hubpool\nhubpool.patch()\nhubpool.patch()\n" + PROGRAM, encoding="utf-8"
    )
    told = _told(_run(str(program), cwd=tmp_path))
    assert told["pool"] == told["class"] == "hubpool.threadpool"
    assert told["child"] == CHILD


def test_patch_replaces_all_names_of_gevents_module(tmp_path: Path) -> None:
    done = _run(
        "-c",
        "import gevent.threadpool, hubpool; hubpool.patch()\n"
        "print([name for name in gevent.threadpool.__all__ + ['_WorkerGreenlet']\n"
        "       if getattr(gevent.threadpool, name) is not getattr(hubpool, name)])",
        cwd=tmp_path,
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_patch_leaves_a_pool_that_exists(tmp_path: Path) -> None:
    done = _run(
        "-c",
        "import gevent, hubpool\n"
        "before = gevent.get_hub().threadpool\n"
        "hubpool.patch()\n"
        "print(gevent.get_hub().threadpool is before, before.apply(abs, (-1,)))",
        cwd=tmp_path,
    )
    assert (done.stdout, done.stderr) == ("True 1\n", "")


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_is_printed(tmp_path: Path, option: str) -> None:
    done = _run("-m", "hubpool", option, cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("usage: python -m hubpool ")


@pytest.mark.parametrize("arguments", [[], ["-m"]], ids=["nothing", "no module"])
def test_a_command_line_that_names_no_program_shows_the_usage(
    tmp_path: Path, arguments: list[str]
) -> None:
    done = _run("-m", "hubpool", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("usage: python -m hubpool ")


def test_a_program_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    done = _run("-m", "hubpool", "missing.py", cwd=tmp_path)
    assert done.returncode != 0
    assert "missing.py" in done.stderr


def test_a_program_behind_a_link_finds_its_neighbours(program: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.py"
    link.symlink_to(program)
    (program.parent / "neighbour.py").write_text("word = 'here'\n", encoding="utf-8")
    program.write_text("import neighbour; print(neighbour.word)", encoding="utf-8")
    done = _run("-m", "hubpool", str(link), cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("here\n", "")


def test_a_safe_path_stays_as_it_is(program: Path, tmp_path: Path) -> None:
    program.write_text("import sys; print(sys.path[0])", encoding="utf-8")
    plain = _run("-P", str(program), cwd=tmp_path) if sys.version_info >= (3, 11) else None
    if plain is not None:
        assert _run("-P", "-m", "hubpool", str(program), cwd=tmp_path).stdout == plain.stdout


def test_the_program_is_main_until_the_process_ends(program: Path) -> None:
    program.write_text(
        "import atexit, pickle, sys, threading\n"
        "class C: pass\n"
        "def look(): print(type(pickle.loads(pickle.dumps(C()))) is C)\n"
        "def wait(): threading.main_thread().join(); look()\n"
        "atexit.register(look)\n"
        "threading.Thread(target=wait).start()\n",
        encoding="utf-8",
    )
    for command in ([str(program)], ["-m", "program"]):
        done = _run("-m", "hubpool", *command, cwd=program.parent)
        assert (done.stdout, done.stderr) == ("True\nTrue\n", "")


@pytest.mark.parametrize("option", ["-c", "-", "--version"])
def test_other_options_are_refused_with_the_usage(option: str, tmp_path: Path) -> None:
    done = _run("-m", "hubpool", option, "pass", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: python -m hubpool")
