"""How the tests here run a client's program, and a server until its end."""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

PROGRAMS = Path(__file__).parent / "programs"
#: Where the clients' own programs are, such as `gunicorn`.
SCRIPTS = Path(sys.executable).parent
LIBEV, LIBUV = "libev-cext", "libuv-cffi"
QUICK = pytest.mark.quick
#: Seconds that one step of a test may take on a busy machine.
LIMIT = 30

_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None).prctl


def _end_with_the_test() -> None:
    # pytest-timeout ends the test's process at once, and leaves it no time to stop a server.
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def environment(peer: str, loop: str, **settings: str) -> dict[str, str]:
    """Return the environment in which a program uses this peer's pools, also as the hub's pool."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("GEVENT", "COVERAGE"))}
    if peer == "hubpool":
        settings["GEVENT_THREADPOOL"] = "hubpool.ThreadPool"
    return {
        **inherited,
        "GEVENT_LOOP": loop,
        "PEER": peer,
        "PYTHONPATH": str(PROGRAMS),
        "PYTHONUNBUFFERED": "1",
        # gevent's, of timers that it sets itself.
        "PYTHONWARNINGS": "ignore:libuv only supports millisecond:UserWarning",
        **settings,
    }


def run(arguments: Sequence[str | Path], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; a program that does not end fails the test."""
    return subprocess.run(
        [str(argument) for argument in arguments],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
        preexec_fn=_end_with_the_test,
    )


class Server:
    """A program that runs beside the test, and writes a log."""

    def __init__(self, arguments: Sequence[str | Path], env: dict[str, str], log: Path) -> None:
        self._log = log
        self._ended = False
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [str(argument) for argument in arguments],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_the_test,  # noqa: PLW1509 - as above
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def log(self) -> str:
        """What the server has written until now."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, pattern: str, count: int = 1) -> str:
        """Wait until the log matches `count` times; return the first group of the last match."""
        end = time.monotonic() + LIMIT
        while len(found := re.findall(pattern, self.log)) < count:
            assert self._process.poll() is None, self.log
            assert time.monotonic() < end, f"{pattern!r} is not in the log:\n{self.log}"
            time.sleep(0.02)
        return str(found[count - 1])

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the server's first process."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Wait until the server has ended by itself; return its exit code."""
        return self._process.wait(LIMIT)

    def kill(self) -> None:
        """End all of the server's processes."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def connect(port: int) -> socket.socket:
    """Return a connection to a server that may need time to begin."""
    end = time.monotonic() + LIMIT
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), LIMIT)
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


class Request:
    """One request on a connection of its own; a server that has taken it must answer it."""

    def __init__(self, port: int, path: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)
        self._connection.request("GET", path, headers={"Connection": "close"})
        self._response: http.client.HTTPResponse | None = None

    def line(self) -> str:
        """Wait for the next line of the answer."""
        if self._response is None:
            self._response = self._connection.getresponse()
            assert self._response.status == 200, self._response.read()
        return self._response.readline().decode()

    def last_line(self) -> str:
        """Wait for a line, and for the end of the answer, and close the connection."""
        with contextlib.closing(self._connection):
            line = self.line()
            assert self.line() == ""
            return line


def get(port: int) -> str:
    """Return the only line of the answer to a request."""
    return Request(port, "/").last_line()


def get_all(ports: Sequence[int]) -> list[str]:
    """Send a request to each of these ports, eight at a time; the first that fails ends them."""
    with ThreadPoolExecutor(8) as clients:
        requests = [clients.submit(get, port) for port in ports]
        wait(requests, return_when=FIRST_EXCEPTION)
        clients.shutdown(wait=False, cancel_futures=True)
    return [request.result() for request in requests if not request.cancelled()]
