"""Makes a table of what each CPython's run left in ``target/cpythons``, and says what did not run.

``make cpythons`` runs it. A referee's counts are a file of JUnit's XML, as pytest writes it, or
of JSON, as the runners in ``tests/compat`` do.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "target" / "cpythons"
LOOPS = {"libev": "libev-cext", "libuv": "libuv-cffi"}
REFEREES = {
    "the package's tests": "package",
    "doctests": "doctests",
    "situations": "situations",
    "gevent's tests": "gevent",
    "CPython's tests of its executor": "executor",
}

HEAD = """# What has run on which CPython

`make cpythons` has written this from the counts of its last run on each version, with gevent
{gevent}. CPython 3.14 and 3.15 are those of Debian's unstable release where the machine has none.

- The package's tests are those of `tests/unit`, `tests/property` and `tests/subprocess`. The
  doctests are the examples in the docstrings. The situations are the programs of
  [situations.md](situations.md).
- gevent's tests are the modules of its wheel that make a thread pool, run as
  `tests/compat/run.py` says.
- CPython's tests of its executor are those of the same version, each unpatched and patched.

A test that fails with gevent's own pool as well, or with the standard library's class, counts as
neither passed nor failed, and so does a difference on purpose: see [PARITY.md](../PARITY.md).

"""


def versions() -> list[str]:
    """Return the versions that the package is said to be for."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return re.findall(r'"Programming Language :: Python :: (3\.\d+)"', text)


def counts(version: str, referee: str, loop: str) -> dict[str, int]:
    """Return the counts that a referee has left, or none."""
    path = RESULTS / version / f"{referee}-{loop}"
    if path.with_suffix(".json").exists():
        result = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        return {name: n for name, n in result.items() if isinstance(n, int)}
    if not path.with_suffix(".xml").exists():
        return {}
    suites = list(ElementTree.parse(path.with_suffix(".xml")).getroot().iter("testsuite"))
    total = {
        name: sum(int(suite.get(name, 0)) for suite in suites)
        for name in ("tests", "failures", "errors", "skipped")
    }
    failed = total["failures"] + total["errors"]
    passed = total["tests"] - failed - total["skipped"]
    return {"passed": passed, "failed": failed, "skipped": total["skipped"]}


def cell(version: str, referee: str, loop: str) -> str:
    """Return what a referee has found."""
    found = counts(version, referee, loop)
    if not found:
        return "not run"
    words = [f"{found['passed']:,} passed", f"{found['failed']:,} failed"]
    words += [f"{found[name]:,} {name}" for name in ("skipped", "neither") if found.get(name)]
    return ", ".join(words)


def exact(version: str) -> dict[str, str]:
    """Return the full versions of CPython and gevent that a run was with, if there was one."""
    for path in sorted((RESULTS / version).glob("*.json")):
        result: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
        return result
    return {}


def table() -> str:
    """Return the table of all versions."""
    gevents = {exact(version)["gevent"] for version in versions() if exact(version)}
    text = HEAD.format(gevent=" and ".join(sorted(gevents)) or "(no version: nothing has run)")
    text += f"| CPython | loop | {' | '.join(REFEREES)} |\n|---|---|{'---|' * len(REFEREES)}\n"
    for version in versions():
        for name, loop in LOOPS.items():
            cells = [cell(version, referee, loop) for referee in REFEREES.values()]
            full = exact(version).get("python", version)
            text += f"| {full} | {name} | {' | '.join(cells)} |\n"
    return text


def main() -> int:
    """Write the table if that is asked for; say which of the versions did not run, and why."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("versions", nargs="+", help="those that were to run")
    parser.add_argument("--write", type=Path, metavar="FILE", help="a file for the table")
    arguments = parser.parse_args()
    if arguments.write:
        arguments.write.write_text(table(), encoding="utf-8")
    missing: dict[str, list[str]] = {}
    for version in arguments.versions:
        path = RESULTS / f"{version}.missing"
        if path.exists():
            missing.setdefault(path.read_text(encoding="utf-8").strip(), []).append(version)
    for reason, those in missing.items():
        print(f"NOT RUN: CPython {', '.join(those)}: {reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
