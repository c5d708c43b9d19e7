"""A web program: gunicorn with one gevent worker on one core, and the load generator on another.

wrk, which Debian has as a package, keeps a number of connections busy: each sends its next request
once it has its answer. A sample starts a server, and tries each number of connections on it.
gevent's pool is also measured against itself, which gives the noise.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measure import NotRunError, Row, Sample

if TYPE_CHECKING:
    from collections.abc import Iterator

    from measure import Sampler

HERE = Path(__file__).parent
SECTION = (
    "A web program: gunicorn's gevent worker on one core, wrk on the other (noise: gevent's pool "
    "against itself)"
)
REQUESTS = {
    "/query": "a request makes one SQLite query",
    "/queries": "a request makes five SQLite queries",
    "/file": "a request reads a file",
    "/hash": "a request makes a hash",
    "/map": "a request maps 20 SQLite queries",
}
CONNECTIONS = (1, 16, 64)
THREADS = 10
ROUNDS = 5
#: Seconds for each number of connections, where the budget is a second.
SECONDS = 1.75
#: Seconds that a server may take to begin and to end, and apt-get to install wrk.
LIMIT = 20.0
INSTALL_LIMIT = 120.0


def rows() -> Iterator[Row]:
    """List the requests."""
    values = [
        f"{count} connection{'s' * (count > 1)}: {value}"
        for count in CONNECTIONS
        for value in ("requests", "p50", "p99")
    ]
    units = {name: "s/request" for name in values if name.endswith("requests")}
    for path, name in REQUESTS.items():
        ours, peer = (serving(side, path, values) for side in ("hubpool", "gevent"))
        yield Row(
            SECTION,
            name,
            ours,
            peer,
            THREADS,
            unit="s/request",
            shown="both",
            told=values[0],
            units=units,
            noise=True,
            weight=2 * ROUNDS * len(CONNECTIONS) * SECONDS,
            pairs=ROUNDS,
            cores=(2,),
        )


def serving(side: str, path: str, names: list[str]) -> Sampler:
    """Make what samples the seconds of a request, and the latencies, on a new server."""

    def sample(seconds: float) -> Sample:
        wrk, gunicorn = installed()
        serving_core, loading_core = sorted(os.sched_getaffinity(0))[:2]
        values: list[float] = []
        with server(gunicorn, side, serving_core) as port:
            url = f"http://127.0.0.1:{port}{path}"
            # It waits until the worker has loaded the application.
            urllib.request.urlopen(url, timeout=LIMIT).close()
            load(wrk, url, max(CONNECTIONS), 0.2, loading_core)
            for count in CONNECTIONS:
                values += load(wrk, url, count, seconds / len(CONNECTIONS), loading_core)
        return Sample(values[0], more=dict(zip(names[1:], values[1:], strict=True)))

    return sample


@functools.cache
def installed() -> tuple[str, list[str]]:
    """Return the programs wrk, which is installed if need be, and gunicorn."""
    if importlib.util.find_spec("gunicorn") is None:
        raise NotRunError("gunicorn is missing: pip install --group bench")
    wrk = shutil.which("wrk") or install_wrk()
    return wrk, [sys.executable, "-m", "gunicorn"]


def install_wrk() -> str:
    """Have Debian's package installed."""
    try:
        apt_get("install", "-y", "wrk")
    except NotRunError:
        # The list of packages may be missing or old.
        apt_get("update")
        apt_get("install", "-y", "wrk")
    wrk = shutil.which("wrk")
    if wrk is None:
        raise NotRunError("apt-get has installed wrk, and there is no wrk on the PATH")
    return wrk


def apt_get(*arguments: str) -> None:
    """Run apt-get, or say why it cannot be run."""
    command = ["apt-get", *arguments]
    told = f"wrk is missing, and {' '.join(command)}"
    try:
        subprocess.run(
            command,
            check=True,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=INSTALL_LIMIT,
        )
    except FileNotFoundError:
        raise NotRunError(f"{told} cannot be run: there is no apt-get") from None
    except subprocess.TimeoutExpired:
        raise NotRunError(f"{told} took more than {INSTALL_LIMIT:.0f} s") from None
    except subprocess.CalledProcessError as error:
        reason = " ".join(error.stderr.split())
        raise NotRunError(f"{told} failed: {reason}") from None


@contextlib.contextmanager
def server(gunicorn: list[str], side: str, core: int) -> Iterator[int]:
    """Start the server on a core, and give its port; stop the server whatever happens."""
    command = [*gunicorn, "--worker-class=gevent", "--workers=1", "--bind=127.0.0.1:0"]
    command += ["--no-control-socket", "--graceful-timeout=1", "web_application:application"]
    environment = {**os.environ, "POOL": side, "THREADS": str(THREADS)}
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [*on(core), *command],
            cwd=HERE,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield wait_for_port(process, log)
        except (OSError, RuntimeError) as error:
            log.seek(0)
            raise RuntimeError(f"{error}; gunicorn wrote:\n{log.read()}") from error
        finally:
            stop(process)


def on(core: int) -> list[str]:
    """Have a command run on a core, and be killed as its parent ends."""
    # gunicorn's worker ends by itself once gunicorn has ended.
    return ["setpriv", "--pdeathsig=KILL", "taskset", "-c", str(core)]


def wait_for_port(process: subprocess.Popen[bytes], log: Any) -> int:
    """Wait until the server listens, and read the port from its log."""
    end = time.monotonic() + LIMIT
    while True:
        log.seek(0)
        found = re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", log.read())
        if found:
            return int(found[1])
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError("gunicorn does not listen")
        time.sleep(0.02)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End all processes of the server at once: no client waits for an answer."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(LIMIT)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def load(wrk: str, url: str, connections: int, seconds: float, core: int) -> list[float]:
    """Load the server; return the seconds of a request, and the latency's median and p99."""
    command = [*on(core), wrk, "--threads=1", f"--connections={connections}"]
    # wrk takes whole seconds only; a signal ends it sooner.
    command += [f"--duration={math.ceil(seconds)}s", f"--script={HERE / 'web.lua'}", url]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=LIMIT)
    finally:
        process.kill()
        process.wait()
    found = json.loads(output.splitlines()[-1])
    if found["errors"] or not found["requests"]:
        raise RuntimeError(f"wrk counted errors, or no requests:\n{output}")
    wall = found["microseconds"] * 1e-6
    return [wall / found["requests"], found["p50"] * 1e-6, found["p99"] * 1e-6]
