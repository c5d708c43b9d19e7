"""Runs gevent's own tests, as its wheel ships them, on hubpool.

Each module of gevent's tests that makes a thread pool (``modules.txt``; ``--find``
prints the list anew) runs in a process of its own, in two ways:

* ``names``: ``python -m hubpool -m gevent.tests.X``, so that the tests of
  ``gevent.threadpool`` themselves run against hubpool's classes;
* ``setting``: ``GEVENT_THREADPOOL=hubpool.ThreadPool``, so that the hubs' pools
  are hubpool's.

What fails is tried again: it counts as a failure if it fails a second time on hubpool
and passes with gevent's own pool. ``probe/sitecustomize.py`` notes which pools were
made: by ``names`` the process of a test must make none of gevent's (one that it starts
may, since it starts without hubpool), and by ``setting`` no hub may; else that is a
failure too.
"""

from __future__ import annotations

import argparse
import json
import os
import pkgutil
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import gevent
import gevent.tests  # type: ignore[import-not-found] # has no stubs
from gevent.tests import known_failures

HERE = Path(__file__).resolve().parent
LOOPS = ("libev-cext", "libuv-cffi")
WAYS = ("names", "setting")
#: The modules whose subject is the pool or what it hangs on.
POOL_MODULES = (
    "test__threadpool",
    "test__threadpool_executor_patched",
    "test__core_fork",
    "test__destroy",
    "test__hub",
)
#: Tests that ask for a defect of gevent's, with the row of PARITY.md that says so. They
#: must fail on hubpool, where the substitution reaches them.
DIFFERENCES = {
    "test__threadpool": {
        "test_future_wait_module_function (__main__.TestTPE": "`concurrent.futures.wait()`"
    }
}
GEVENT = "gevent.threadpool"
HUBPOOL = "hubpool.threadpool"


@dataclass(frozen=True)
class Run:
    """One module, and how it is run. The way ``gevent`` is with gevent's own pool."""

    module: str
    loop: str
    way: str
    leak_checks: bool = False

    def __str__(self) -> str:
        leak_checks = " leak checks" if self.leak_checks else ""
        return f"{self.loop:10} {self.way:7} {self.module}{leak_checks}"


@dataclass
class Outcome:
    """What a run said."""

    status: int | None
    tests: int
    skipped: int
    failed: set[str]
    pools: Counter[str]
    #: The pools of gevent's that should have been hubpool's.
    strays: int
    seconds: float
    output: str = field(repr=False)

    #: How many failed that had to.
    differences: int = 0

    @property
    def ok(self) -> bool:
        """Whether all passed that had to."""
        return self.status == 0 or (self.status == 1 and self.differences > 0 and not self.failed)


def expect_differences(run: Run, outcome: Outcome) -> None:
    """Count what differs on purpose apart from what failed; it must differ."""
    for test, row in (
        DIFFERENCES.get(run.module, {}).items()
        if run.way == "names" and not run.leak_checks
        else ()
    ):
        found = {name for name in outcome.failed if name.startswith(test)}
        if found:
            outcome.failed -= found
            outcome.differences += len(found)
        elif outcome.ok:
            outcome.status = 1
            outcome.failed.add(f"{test}) passed, which it should not: see {row} in PARITY.md")


def execute(run: Run, time_limit: float) -> Outcome:
    """Run a module to its end, or to the time limit."""
    with tempfile.TemporaryDirectory() as scratch:
        record = Path(scratch, "pools")
        record.touch()
        env = {
            **os.environ,
            "GEVENT_LOOP": run.loop,
            "HUBPOOL_COMPAT_RECORD": str(record),
            "PYTHONPATH": str(HERE / "probe"),
            # The outcome must not depend on what the machine can reach.
            "GEVENTTEST_USE_RESOURCES": "-network",
            "PYTHONFAULTHANDLER": "1",
            # As gevent's own test runner: see gevent.testing.testrunner.
            "PYTHONSAFEPATH": "",
        }
        env.pop("GEVENT_THREADPOOL", None)
        command = [sys.executable, "-u", "-m"]
        if run.way == "names":
            command += ["hubpool", "-m"]
        elif run.way == "setting":
            env["GEVENT_THREADPOOL"] = "hubpool.ThreadPool"
        if run.leak_checks:
            env["GEVENTTEST_LEAKCHECK"] = "1"
        command.append(f"gevent.tests.{run.module}")
        start = time.monotonic()
        log = Path(scratch, "log")
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=scratch,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                status: int | None = process.wait(time_limit)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait()
                status = None
        text = log.read_text("utf-8", "replace")
        counts = re.findall(r"^Ran (\d+) tests? in", text, re.MULTILINE)
        pools = [line.split() for line in record.read_text("utf-8").splitlines()]
        if run.way == "names":
            strays = [kind == GEVENT and pid == str(process.pid) for kind, pid, _ in pools]
        else:
            strays = [kind == GEVENT and maker == "gevent.hub" for kind, _, maker in pools]
        outcome = Outcome(
            status,
            sum(map(int, counts)) if counts else 1,
            sum(map(int, re.findall(r"^(?:OK|FAILED) \(.*\bskipped=(\d+)", text, re.MULTILINE))),
            set(re.findall(r"^(?:FAIL|ERROR): (.*)$", text, re.MULTILINE)),
            Counter(kind for kind, _, _ in pools),
            sum(strays),
            time.monotonic() - start,
            text,
        )
        expect_differences(run, outcome)
        return outcome


@dataclass
class Verdict:
    """What a run and its repetitions come to."""

    run: Run
    outcome: Outcome
    failed: int = 0
    fail_with_gevent_too: int = 0
    reason: str = ""
    #: What failed the first time and not the second.
    unsteady: str = ""


def judge(run: Run, time_limit: float) -> Verdict:
    """Run a module; if it fails, find out whether it is hubpool's fault."""
    outcome = execute(run, time_limit)
    unsteady = ""
    if not outcome.ok:
        again = execute(run, time_limit)
        if again.ok or (again.failed and not again.failed & outcome.failed):
            unsteady = ", ".join(sorted(outcome.failed)) or f"status {outcome.status}"
            outcome = again
    if outcome.ok:
        if outcome.strays:
            return Verdict(run, outcome, failed=1, reason=f"{outcome.strays} pools were gevent's")
        return Verdict(run, outcome, unsteady=unsteady)
    peer = execute(Run(run.module, run.loop, "gevent", run.leak_checks), time_limit)
    if outcome.failed:
        ours = outcome.failed - peer.failed
        if not peer.ok and not peer.failed:
            ours = set()
        return Verdict(
            run, outcome, len(ours), len(outcome.failed) - len(ours), ", ".join(sorted(ours))
        )
    if peer.ok:
        return Verdict(run, outcome, failed=1, reason=f"status {outcome.status}")
    return Verdict(run, outcome, fail_with_gevent_too=1)


def plan(arguments: argparse.Namespace) -> list[Run]:
    """Choose what runs how."""
    modules = arguments.modules
    if not modules:
        modules = POOL_MODULES if arguments.quick else (HERE / "modules.txt").read_text().split()
    ignored = {name.removesuffix(".py") for name in known_failures.IGNORED_TESTS}
    runs = []
    for module in modules:
        if module in ignored:
            continue
        for loop in [arguments.loop] if arguments.loop else LOOPS:
            for way in WAYS:
                # By default the modules that use a pool in passing run once on each loop.
                usual = way == ("names" if loop == LOOPS[0] else "setting")
                if arguments.full or arguments.modules or usual or module in POOL_MODULES:
                    runs.append(Run(module, loop, way))
            if module == "test__threadpool":
                runs.append(Run(module, loop, "names", leak_checks=True))
    return runs


def find(jobs: int, time_limit: float) -> int:
    """Print the modules of gevent's tests that make a pool."""
    names = [name for _, name, _ in pkgutil.iter_modules(gevent.tests.__path__)]
    runs = [Run(name, LOOPS[0], "gevent") for name in names if name.startswith("test__")]
    with ThreadPoolExecutor(jobs) as executor:
        for run, outcome in zip(
            runs, executor.map(lambda run: execute(run, time_limit), runs), strict=True
        ):
            if outcome.pools:
                print(run.module, flush=True)
    return 0


def report(verdicts: list[Verdict], counts: Path | None) -> int:
    """Print the totals. The last line says how many tests passed and failed.

    Write them to the file *counts*, too, for the table of ``make cpythons``.
    """
    print()
    total = Counter[str]()
    for loop in LOOPS:
        for way in WAYS:
            chosen = [v for v in verdicts if (v.run.loop, v.run.way) == (loop, way)]
            pools = sum((v.outcome.pools for v in chosen), Counter[str]())
            print(
                f"{loop} by {way}: {len(chosen)} runs of modules, "
                f"{sum(v.outcome.tests for v in chosen)} tests; "
                f"pools made: {pools[HUBPOOL]} of hubpool's, {pools[GEVENT]} of gevent's"
            )
            if chosen and not pools[HUBPOOL]:
                print(f"no pool of hubpool's was made: {loop} by {way} shows nothing")
                total["failed"] += 1
    for verdict in verdicts:
        total["failed"] += verdict.failed
        total["both"] += verdict.fail_with_gevent_too
        total["skipped"] += verdict.outcome.skipped
        total["differences"] += verdict.outcome.differences
        total["ran"] += verdict.outcome.tests - verdict.outcome.skipped
    print(f"{total['both']} tests fail with gevent's own pool too, and count as neither")
    print(f"{total['differences']} fail on purpose, as PARITY.md says, and count as neither")
    passed = total["ran"] - total["failed"] - total["both"] - total["differences"]
    print(f"{passed} passed, {total['failed']} failed, {total['skipped']} skipped")
    if counts:
        result = {
            "python": platform.python_version(),
            "gevent": gevent.__version__,
            "passed": passed,
            "failed": total["failed"],
            "skipped": total["skipped"],
            "neither": total["both"] + total["differences"],
        }
        counts.write_text(json.dumps(result), encoding="utf-8")
    return 1 if total["failed"] else 0


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("modules", nargs="*", help="modules of gevent.tests, in every way")
    parser.add_argument("--quick", action="store_true", help="the pool's own modules only")
    parser.add_argument("--full", action="store_true", help="every module in every way")
    parser.add_argument("--loop", choices=LOOPS, help="the runs on this loop only")
    parser.add_argument("--counts", type=Path, help="a file for the totals, as JSON")
    parser.add_argument("--find", action="store_true", help="print the modules that make a pool")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--time-limit", type=float, default=200, help="of one run, in seconds")
    arguments = parser.parse_args()
    if arguments.find:
        return find(arguments.jobs, arguments.time_limit)

    def judged(run: Run) -> Verdict:
        verdict = judge(run, arguments.time_limit)
        word = "FAIL" if verdict.failed else "ok"
        both = verdict.fail_with_gevent_too
        remark = f" ({both} fail with gevent's pool too)" if both else ""
        if verdict.unsteady:
            remark += f" (at the second try; the first: {verdict.unsteady})"
        tests, seconds = verdict.outcome.tests, verdict.outcome.seconds
        print(f"{word:4} {run}: {tests} tests in {seconds:.1f} s{remark}", flush=True)
        if verdict.failed:
            print(verdict.outcome.output[-6000:], f"\n^ {verdict.reason}", flush=True)
        return verdict

    runs = plan(arguments)
    alone = {name.removesuffix(".py") for name in known_failures.RUN_ALONE}
    with ThreadPoolExecutor(arguments.jobs) as executor:
        verdicts = list(executor.map(judged, [run for run in runs if run.module not in alone]))
    verdicts += [judged(run) for run in runs if run.module in alone]
    return report(verdicts, arguments.counts)


if __name__ == "__main__":
    sys.exit(main())
