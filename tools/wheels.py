"""Build the sdist and all wheels into dist/, check them, and run those that can be run here.

    python tools/wheels.py [VERSION...]

The versions are those of CPython, by default all that `pyproject.toml` names. zig links each
wheel to the C library of its tag, so no container is needed.
"""

from __future__ import annotations

import io
import re
import shutil
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile

from arm import run_on_arm
from environment import PLAIN_PATH, ROOT, Environment, FailedError, find_python, run

DIST = ROOT / "dist"
SCRATCH = Path("target/wheels")

#: What Rust's standard library takes from the library that unwinds stacks.
UNWINDER = "libgcc_s.so.1"
UNWINDS = (
    "Backtrace", "DeleteException", "GetCFA", "GetDataRelBase", "GetIP", "GetIPInfo",
    "GetLanguageSpecificData", "GetRegionStart", "GetTextRelBase", "RaiseException", "Resume",
    "SetGR", "SetIP",
)  # fmt: skip


@dataclass(frozen=True)
class Target:
    """What wheels are built for, in Rust's name and in the tag that pip compares."""

    triple: str
    tag: str


TARGETS = [
    Target("x86_64-unknown-linux-gnu", "manylinux_2_17_x86_64"),
    Target("aarch64-unknown-linux-gnu", "manylinux_2_17_aarch64"),
    Target("x86_64-unknown-linux-musl", "musllinux_1_2_x86_64"),
    Target("aarch64-unknown-linux-musl", "musllinux_1_2_aarch64"),
]


def main() -> int:
    """Build, check, run, and print the list; return the exit status."""
    versions = sys.argv[1:] or declared_versions()
    shutil.rmtree(DIST, ignore_errors=True)
    maturin("sdist")
    missing = [problem for target in TARGETS if (problem := build(target, versions))]
    files = sorted(DIST.iterdir())
    run([tool("twine"), "check", "--strict", *files])
    print(f"{'size':>9}  {'run':<5}file")
    failed = False
    for path in files:
        state, remark = try_file(path)
        failed |= state == "FAIL"
        print(f"{path.stat().st_size:>9,}  {state:<5}{path.name}\n{'':16}{remark}", flush=True)
    for problem in missing:
        print(problem)
    return 1 if missing or failed else 0


def declared_versions() -> list[str]:
    """Return the versions of CPython that the package's classifiers name."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    return re.findall(r'"Programming Language :: Python :: (3\.\d+)"', text)


def tool(name: str) -> Path:
    """Return a program of this interpreter's environment."""
    return Path(sys.executable).parent / name


def unwinder(target: Target) -> str:
    """Return the flags that link the wheel to the system's unwinder.

    zig would link its own one into the module. CPython up to 3.13 ends threads as it exits by
    unwinding their stacks with the system's, and two unwinders on one stack crash. To link, a
    library of that name with these functions in it is enough.
    """
    folder = ROOT / SCRATCH / target.triple
    folder.mkdir(parents=True, exist_ok=True)
    source, library = folder / "unwinder.c", folder / UNWINDER
    source.write_text("".join(f"void _Unwind_{name}(void) {{}}\n" for name in UNWINDS), "utf-8")
    machine = target.triple.split("-")[0]
    run(
        [
            *(sys.executable, "-m", "ziglang", "cc", "-target", f"{machine}-linux-gnu.2.17"),
            *("-shared", "-nostdlib", f"-Wl,-soname,{UNWINDER}", "-o", library, source),
        ]
    )
    return f"-C\x1flink-arg={library}"


def maturin(command: str, *arguments: str, flags: str = "") -> None:
    """Run maturin, which finds zig in this interpreter's environment."""
    path = f"{tool('').resolve()}:{run(['printenv', 'PATH']).strip()}"
    run(
        [tool("maturin"), command, "--out", DIST, *arguments],
        PATH=path,
        CARGO_TARGET_DIR=str(ROOT / SCRATCH / "cargo"),
        CARGO_ENCODED_RUSTFLAGS=flags,
    )


def build(target: Target, versions: list[str]) -> str | None:
    """Build a target's wheels; if that cannot be done, say which there are not, and why."""
    try:
        if target.triple not in run(["rustup", "target", "list", "--installed"]).split():
            run(["rustup", "target", "add", target.triple])
        print(f"building {target.tag} for CPython {', '.join(versions)}", flush=True)
        maturin(
            *("build", "--release", "--strip", "--zig", "--target", target.triple),
            *("--compatibility", target.tag, "--interpreter", *versions),
            flags=unwinder(target) if target.triple.endswith("gnu") else "",
        )
    except (FailedError, FileNotFoundError) as error:
        return f"No wheel of {target.tag} has been built on this machine: {error}"
    return None


def try_file(path: Path) -> tuple[str, str]:
    """Check a file of dist/; return whether it was run ("yes", "no" or "FAIL"), and a remark."""
    if path.suffix != ".whl":
        return "no", "`make ways-in` builds and runs it"
    tag = path.stem.rsplit(".", 1)[-1].rsplit("-", 1)[-1]
    try:
        return try_wheel(path, tag)
    except FailedError as error:
        return "FAIL", str(error)


def try_wheel(path: Path, tag: str) -> tuple[str, str]:
    """Check that a wheel keeps what its tag promises, and run it if this machine can."""
    check_libraries(path, tag)
    digits = re.search(r"-cp3(\d+)-", path.name)
    assert digits, path
    version = f"3.{digits[1]}"
    if tag.startswith("musllinux"):
        return "no", "there is no CPython for musl in this machine's archives"
    if tag.endswith("aarch64"):
        return run_on_arm(path, version)
    try:
        python = find_python(version)
    except FailedError as error:
        return "no", f"there is no CPython {version}: {error}"
    name = SCRATCH / f"venv-{python if python.startswith('debian') else version}"
    environment = Environment(name, python, {"PATH": PLAIN_PATH})
    environment.install(path.relative_to(ROOT))
    return "yes", environment.smoke()


def check_libraries(path: Path, tag: str) -> None:
    """Raise unless the module needs nothing but what each system of that tag has."""
    if tag.startswith("musllinux"):
        # auditwheel knows musl's library by the name that Alpine links to it. zig uses the name
        # `libc.so`, by which musl's loader always finds itself.
        libraries = needed_libraries(path)
        if libraries != {"libc.so"}:
            raise FailedError(f"the module needs {libraries}, and no system of {tag} has all")
        return
    if UNWINDER not in needed_libraries(path):
        raise FailedError(f"the module is not linked to {UNWINDER}, and crashes as CPython exits")
    seen = " ".join(run([tool("auditwheel"), "show", path]).split())
    if f'platform tag: "{tag}"' not in seen:
        raise FailedError(f"auditwheel finds another tag than {tag}: {seen}")


def needed_libraries(path: Path) -> set[str]:
    """Return the shared libraries that a wheel's module is linked to."""
    with zipfile.ZipFile(path) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith(".so"))
        elf = ELFFile(io.BytesIO(wheel.read(name)))
    return {tag.needed for tag in elf.get_section_by_name(".dynamic").iter_tags("DT_NEEDED")}


if __name__ == "__main__":
    sys.exit(main())
