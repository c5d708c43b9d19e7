"""Run a wheel for aarch64 on another machine: on Debian's CPython for arm64, under qemu.

Nothing is installed: Debian's packages are unpacked into target/arm64.
"""

from __future__ import annotations

import platform
import shutil
import sys
from typing import TYPE_CHECKING

from environment import ROOT, FailedError, run

if TYPE_CHECKING:
    from pathlib import Path

PLACE = ROOT / "target/arm64"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
#: The release of Debian that has the interpreter. None has CPython 3.10 or 3.12.
SUITES = {"3.11": "bookworm", "3.13": "trixie", "3.14": "sid", "3.15": "sid"}


def run_on_arm(wheel: Path, version: str) -> tuple[str, str]:
    """Index a tree with an installed wheel; return "yes" or "no", and a remark."""
    if version not in SUITES:
        return "no", f"Debian has no CPython {version} for arm64"
    try:
        qemu = unpack("qemu", platform_of_debian(), "bookworm", "qemu-user-static")
        root = unpack(version, "arm64", SUITES[version], f"python{version}", "libstdc++6")
    except (FailedError, FileNotFoundError) as error:
        return "no", f"Debian's packages cannot be had: {error}"
    packages = PLACE / f"{version}-packages"
    shutil.rmtree(packages, ignore_errors=True)
    tags = [f"manylinux_2_{minor}_aarch64" for minor in range(17, 40)]
    run(
        [
            *(sys.executable, "-m", "pip", "install", "-q", "--target", packages),
            *("--only-binary=:all:", "--python-version", version),
            *("--implementation", "cp", "--abi", f"cp{version.replace('.', '')}", "--abi", "none"),
            *("--abi", "abi3"),
            *(f"--platform={tag}" for tag in tags),
            *(wheel, "rich"),
        ]
    )
    emulator = qemu / "usr/bin/qemu-aarch64-static"
    interpreter = root / f"usr/bin/python{version}"
    output = run(
        [
            *(emulator, "-L", root, interpreter, "tools/smoke.py"),
            root / f"usr/lib/python{version}/email",
        ],
        PYTHONPATH=str(packages),
        GEVENT_THREADPOOL="hubpool.ThreadPool",
    )
    return "yes", f"{output.splitlines()[-1]} (under qemu)"


def platform_of_debian() -> str:
    """Return this machine's architecture in Debian's words."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def unpack(name: str, architecture: str, suite: str, *packages: str) -> Path:
    """Unpack Debian's packages, and all that they depend on, into a folder of that name."""
    root = PLACE / name
    complete, what = root / "complete", " ".join((suite, *packages))
    if complete.exists() and complete.read_text("utf-8") == what:
        return root
    shutil.rmtree(root, ignore_errors=True)
    state = root / "apt"
    for folder in ("lists/partial", "archives/partial"):
        (state / folder).mkdir(parents=True)
    (state / "sources.list").write_text(
        f"deb [signed-by={KEYRING}] http://deb.debian.org/debian {suite} main\n", "utf-8"
    )
    options = {
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Sandbox::User": "root",
        "Dir::Etc::sourcelist": state / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State": state,
        "Dir::State::lists": state / "lists",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": state,
        "Dir::Cache::archives": state / "archives",
        "Acquire::Languages": "none",
    }
    apt: list[str | Path] = ["apt-get", "-q"]
    for option, value in options.items():
        apt += ["-o", f"{option}={value}"]
    run([*apt, "update"])
    run([*apt, "install", "-y", "--no-install-recommends", "--download-only", *packages])
    for archive in sorted((state / "archives").glob("*.deb")):
        run(["dpkg", "-x", archive, root])
    if not (root / "lib").exists():
        # The release has all libraries in /usr/lib.
        (root / "lib").symlink_to("usr/lib")
    shutil.rmtree(state)
    complete.write_text(what, "utf-8")
    return root
