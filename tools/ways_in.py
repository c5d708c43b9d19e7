"""Try each way to install hubpool from its sources, and each that must fail with a clear text.

All start from the sdist, unpacked below a folder with a space in its name. What is compiled is
compiled without optimisation, since it runs for seconds only.
"""

from __future__ import annotations

import re
import shutil
import sys
import tarfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from environment import PLAIN_PATH, ROOT, Environment, FailedError, run
from wheels import tool

if TYPE_CHECKING:
    from collections.abc import Callable

PLACE = Path("target/ways-in")
#: What the installers' builds share, and what makes them short.
QUICK = {
    "CARGO_TARGET_DIR": str(ROOT / PLACE / "cargo"),
    "MATURIN_PEP517_ARGS": "--profile dev-install",
}
#: The tests of the sdist that are run: the package itself, its build stamp, and its documents.
TESTS = ["test_threadpool.py", "test_version.py", "test_build_stamp.py", "test_docs.py"]
SUPPORTED = "hubpool supports CPython 3.10 to 3.15 with the GIL, on Linux"
WINDOWS = "x86_64-pc-windows-gnu"
MACOS = ["aarch64-apple-darwin", "x86_64-apple-darwin"]


class UnavailableError(Exception):
    """What a check needs cannot be had on this machine."""


def main() -> int:
    """Try all; return the exit status."""
    shutil.rmtree(ROOT / PLACE / "with space", ignore_errors=True)
    run([tool("maturin"), "sdist", "--out", PLACE / "with space"])
    sdist = next((ROOT / PLACE / "with space").glob("*.tar.gz"))
    with tarfile.open(sdist) as archive:
        archive.extractall(sdist.parent, filter="data")
    tree = sdist.with_name(sdist.name.removesuffix(".tar.gz"))
    ways: dict[str, Callable[[], str]] = {
        "pip install DIRECTORY": lambda: by_pip(tree),
        "pip install SDIST": lambda: by_pip(sdist),
        "pip wheel, and its install without Rust": lambda: by_wheel(tree),
        "pip install -e DIRECTORY": lambda: by_pip("-e", tree),
        "uv pip install DIRECTORY": lambda: by_uv(tree),
        "the sdist's own tests": lambda: run_tests(tree),
        "no Rust on the PATH": lambda: refused(sdist, "there is no `cargo` on the PATH"),
        "a Rust that is too old": lambda: refused_by_age(sdist),
        "an interpreter without a GIL": refuse_free_threaded,
        "Windows": refuse_windows,
        **{f"it compiles for {triple}": partial(check, triple) for triple in MACOS},
    }
    failed = False
    for name, way in ways.items():
        try:
            outcome = way()
        except UnavailableError as error:
            outcome = f"not checked: {error}"
        except FailedError as error:
            failed, outcome = True, f"FAIL\n{error}"
        print(f"{name}: {outcome}", flush=True)
    return 1 if failed else 0


def new_environment(**variables: str | None) -> Environment:
    """Make a new environment of this interpreter, in the place of the last one."""
    return Environment(PLACE / "venv", sys.executable, {**QUICK, **variables})


def index(environment: Environment) -> str:
    """Index a small tree with what is installed."""
    return environment.smoke(environment.call("-c", "import email; print(*email.__path__)").strip())


def by_pip(*what: str | Path) -> str:
    """Install from sources by pip."""
    environment = new_environment()
    environment.install(*what)
    return index(environment)


def by_wheel(tree: Path) -> str:
    """Build a wheel by pip, and install it where there is no compiler."""
    wheels = PLACE / "wheel"
    shutil.rmtree(ROOT / wheels, ignore_errors=True)
    builder = new_environment()
    builder.call("-m", "pip", "wheel", "-q", "--no-deps", "-w", wheels, tree)
    environment = new_environment(PATH=PLAIN_PATH)
    environment.install(*wheels.glob("*.whl"))
    return index(environment)


def by_uv(tree: Path) -> str:
    """Install from sources by uv."""
    environment = new_environment()
    run(
        [tool("uv"), "pip", "install", "-q", "--python", environment.path / "bin/python", tree],
        **QUICK,
    )
    return index(environment)


def run_tests(tree: Path) -> str:
    """Build and install the unpacked sdist, and run tests of it there."""
    environment = new_environment()
    environment.install(tree, "pytest", "pytest-timeout")
    output = environment.call(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tree),
        *("-c", tree / "pyproject.toml"),
        *(tree / "tests/unit" / name for name in TESTS),
    )
    return output.splitlines()[-1]


def refused(sdist: Path, reason: str, path: str = PLAIN_PATH) -> str:
    """Install where that must fail, and return the line that says why."""
    environment = new_environment(PATH=path)
    try:
        environment.install("--no-deps", sdist)
    except FailedError as error:
        return expect(f"hubpool is compiled from Rust here, and {reason}.*", str(error))
    raise FailedError("it was installed")


def refused_by_age(sdist: Path) -> str:
    """Install with a compiler that says it is older than hubpool allows."""
    old = ROOT / PLACE / "old"
    old.mkdir(parents=True, exist_ok=True)
    cargo = old / "cargo"
    cargo.write_text("#!/bin/sh\necho 'cargo 1.63.0 (fd9c4297c 2022-07-01)'\n", "utf-8")
    cargo.chmod(0o755)
    return refused(sdist, "`cargo --version` says 'cargo 1.63.0", f"{old}:{PLAIN_PATH}")


def expect(pattern: str, output: str) -> str:
    """Return the line of the output that has the pattern."""
    found = re.search(pattern, output)
    if not found:
        raise FailedError(f"{pattern!r} is not in:\n{output}")
    return f"refused: {found[0]}"


def refuse_free_threaded() -> str:
    """Compile for an interpreter that has no GIL; only its description is needed for that."""
    config = ROOT / PLACE / "free-threaded.txt"
    config.write_text(
        "implementation=CPython\nversion=3.14\nshared=true\nabi3=false\n"
        "pointer_width=64\nbuild_flags=Py_GIL_DISABLED\nsuppress_build_script_link_lines=true\n",
        "utf-8",
    )
    return refuse_compilation(PYO3_CONFIG_FILE=str(config))


def refuse_windows() -> str:
    """Compile for Windows."""
    return refuse_compilation("--target", add_target(WINDOWS), PYO3_CROSS_PYTHON_VERSION="3.13")


def refuse_compilation(*arguments: str, **variables: str) -> str:
    """Run a compilation that must fail, and return the line that says what is supported."""
    try:
        check_binding(*arguments, **variables)
    except FailedError as error:
        return expect(f"{SUPPORTED}.*", str(error))
    raise FailedError("it was compiled")


def check(triple: str) -> str:
    """Compile for another system, as far as that goes without its linker."""
    check_binding("--target", add_target(triple), PYO3_CROSS_PYTHON_VERSION="3.13")
    return "yes (it is not linked or run)"


def check_binding(*arguments: str, **variables: str) -> None:
    """Let the compiler check the binding and all below it."""
    run(
        ["cargo", "check", "-q", "-p", "hubpool-python", *arguments],
        CARGO_TARGET_DIR=QUICK["CARGO_TARGET_DIR"],
        **variables,
    )


def add_target(triple: str) -> str:
    """Let rustup fetch the standard library of another system, and return its name."""
    try:
        run(["rustup", "target", "add", triple])
    except (FailedError, FileNotFoundError) as error:
        raise UnavailableError(f"rustup does not fetch {triple} here: {error}") from None
    return triple


if __name__ == "__main__":
    sys.exit(main())
