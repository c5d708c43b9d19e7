"""Runs CPython's own tests of ThreadPoolExecutor on hubpool's.

Each test runs in a process of its own, unpatched and under
``gevent.monkey.patch_all()``, with hubpool's executor and future in place of the
standard library's (``probe/executor.py`` puts them there, in the processes that a
test starts as well). What fails or does not end in time runs on the standard
library's own class in the same way: it counts as a failure if it passes there.

The tests are those of the running version. Some builds of CPython come without them; then
the machine's archive of packages is asked for them, and for CPython 3.12's Ubuntu's.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import platform
import re
import subprocess
import sys
import sysconfig
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

import gevent

if TYPE_CHECKING:
    from collections.abc import Iterator

PROBE = Path(__file__).resolve().parent / "probe" / "executor.py"
VERSION = "{}.{}".format(*sys.version_info)
PACKAGE = f"libpython{VERSION}-testsuite"
#: The packages that no release of Debian has, each with its SHA-256.
UBUNTU_PACKAGES = {
    "3.12": (
        "http://archive.ubuntu.com/ubuntu/pool/universe/p/python3.12/"
        "libpython3.12-testsuite_3.12.3-1_all.deb",
        "a346e8c850343bf79a6bcb3682c5184570c7de0e780d5ed89745d5ca71b7da14",
    )
}
#: One of the standard library's tests forks fifty times beside a busy thread.
TIME_LIMIT = 100

#: Tests that share a patched lock among native threads: gevent's locks do not survive
#: that, whoever starts the threads. See PARITY.md.
UNSTEADY_PATCHED = ("test_saturation", "test_threads_terminate")
#: Tests in which, from CPython 3.14 on, a task waits for one of gevent's events and nothing
#: else: gevent raises `LoopExit` there, in its own executor's tasks as well. See PARITY.md.
LOOP_EXIT_PATCHED = (
    "ThreadPoolWaitTests.test_first_completed",
    "ThreadPoolWaitTests.test_first_exception",
    "ThreadPoolWaitTests.test_first_exception_some_already_complete",
    "ThreadPoolWaitTests.test_timeout",
)

#: Prints the tests that concern the thread pool's executor.
LIST = """
import pkgutil, unittest
import test.test_concurrent_futures as tests
names = [tests.__name__]
if hasattr(tests, "__path__"):
    names = [m.name for m in pkgutil.iter_modules(tests.__path__, tests.__name__ + ".")]
def flatten(suite):
    for test in suite:
        yield from flatten(test) if isinstance(test, unittest.TestSuite) else [test]
for name in names:
    if "process" not in name and "interpreter" not in name:
        for test in flatten(unittest.defaultTestLoader.loadTestsFromName(name)):
            # The last name is of tests of process pools, too.
            others = ("Process", "Interpreter", "FailingInitializerRes")
            if not any(name in type(test).__name__ for name in others):
                print(test.id())
"""


@dataclass(frozen=True)
class Run:
    """One test, and how it is run."""

    test: str
    patched: bool
    hubpool: bool = True

    def __str__(self) -> str:
        return f"{'patched' if self.patched else 'plain':7} {self.test.removeprefix('test.')}"


def execute(run: Run, tests: Path) -> tuple[str, str]:
    """Run a test; return whether it passed in time, failed or was skipped, and its output."""
    env = {
        **os.environ,
        "HUBPOOL_COMPAT_EXECUTOR": str(PROBE),
        "HUBPOOL_COMPAT_TESTS": str(tests),
        "HUBPOOL_COMPAT_USE": f"{run.hubpool:d}{run.patched:d}",
        "PYTHONFAULTHANDLER": "1",
    }
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "unittest", run.test],
            cwd=tests,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status: int | None = process.wait(TIME_LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()
            status = None
        output.seek(0)
        text = output.read()
    if status != 0 or "Ran 1 test" not in text:
        return "failed", text
    return "skipped" if re.search(r"^OK \(skipped=1\)", text, re.MULTILINE) else "passed", text


def find_tests(scratch: Path) -> None:
    """Leave in *scratch* the tests that the interpreter does not have itself."""
    if importlib.util.find_spec("test.test_concurrent_futures"):
        return
    if VERSION in UBUNTU_PACKAGES:
        address, digest = UBUNTU_PACKAGES[VERSION]
        with urlopen(address) as answer:
            content = answer.read()
        if hashlib.sha256(content).hexdigest() != digest:
            raise ValueError(f"{address} is not the package that it was")
        (scratch / "package.deb").write_bytes(content)
    else:
        try:
            subprocess.run(["apt-get", "-q", "download", PACKAGE], cwd=scratch, check=True)
        except subprocess.CalledProcessError:
            subprocess.run(["apt-get", "-q", "update"], check=True)
            subprocess.run(["apt-get", "-q", "download", PACKAGE], cwd=scratch, check=True)
    [package] = scratch.glob("*.deb")
    subprocess.run(["dpkg-deb", "-x", package, scratch / "package"], check=True)
    [tests] = (scratch / "package").glob("usr/lib/python3*/test/test_concurrent_futures*")
    tests.rename(scratch / tests.name)


@contextmanager
def substitution() -> Iterator[None]:
    """Have every process of this environment look whether it is part of a test.

    The tests start processes that neither read ``PYTHONPATH`` nor inherit modules.
    """
    hook = Path(sysconfig.get_path("purelib"), "hubpool_compat.pth")
    name = "HUBPOOL_COMPAT_EXECUTOR"
    hook.write_text(
        f"import os; exec(open(os.environ[{name!r}]).read() if {name!r} in os.environ else '')\n"
    )
    try:
        yield
    finally:
        hook.unlink()


def main() -> int:
    """Run all; the last line says how many passed and failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--counts", type=Path, help="a file for the totals, as JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, substitution():
        scratch = Path(name)
        find_tests(scratch)
        listing = subprocess.run(
            [sys.executable, "-c", LIST],
            env={
                **os.environ,
                "HUBPOOL_COMPAT_EXECUTOR": str(PROBE),
                "HUBPOOL_COMPAT_TESTS": str(scratch),
                "HUBPOOL_COMPAT_USE": "00",
            },
            capture_output=True,
            text=True,
            check=True,
        )
        tests = list(dict.fromkeys(listing.stdout.split()))

        def judge(run: Run) -> str:
            verdict, text = execute(run, scratch)
            if verdict != "failed":
                return verdict
            loop_exit = run.test.endswith(LOOP_EXIT_PATCHED) and "raised LoopExit" in text
            if run.patched and (loop_exit or run.test.endswith(UNSTEADY_PATCHED)):
                print(f"ok   {run}: fails on purpose, as PARITY.md says", flush=True)
                return "unsteady"
            if execute(Run(run.test, run.patched, hubpool=False), scratch)[0] == "failed":
                print(f"ok   {run}: fails with the standard library's class too", flush=True)
                return "both"
            print(text[-6000:], f"FAIL {run}", sep="\n", flush=True)
            return "failed"

        runs = [Run(test, patched) for test in tests for patched in (False, True)]
        with ThreadPoolExecutor(os.cpu_count()) as executor:
            verdicts = list(executor.map(judge, runs))
    count = Counter(verdicts)
    print(f"CPython's tests of ThreadPoolExecutor, {len(tests)} unpatched and patched:")
    print(f"{count['both']} fail with the standard library's class too, and count as neither")
    print(f"{count['unsteady']} share a patched lock or event among threads, and count as neither")
    print(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    if arguments.counts:
        result = {
            "python": platform.python_version(),
            "gevent": gevent.__version__,
            "passed": count["passed"],
            "failed": count["failed"],
            "skipped": count["skipped"],
            "neither": count["both"] + count["unsteady"],
        }
        arguments.counts.write_text(json.dumps(result), encoding="utf-8")
    return 1 if count["failed"] or not tests else 0


if __name__ == "__main__":
    sys.exit(main())
