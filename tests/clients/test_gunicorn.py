"""gunicorn loads the application, forks two gevent workers, and replaces them in mid-traffic."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING

import pytest
from answers import answered_by
from processes import LIBEV, LIBUV, QUICK, SCRIPTS, Request, Server, environment, get, get_all

if TYPE_CHECKING:
    from pathlib import Path

PORT = r"Listening at: http://127\.0\.0\.1:(\d+)"
BOOTED = r"Booting worker with pid: (\d+)"
EXITING = r"Worker exiting \(pid: (\d+)\)"

MADE: dict[str, str] = {}
USED = {"USED": "1"}


@pytest.mark.parametrize(
    ("peer", "loop", "patched", "settings"),
    [
        pytest.param("hubpool", LIBEV, False, MADE, id="hubpool-libev-made"),
        pytest.param("hubpool", LIBUV, False, MADE, id="hubpool-libuv-made"),
        pytest.param("hubpool", LIBEV, False, USED, id="hubpool-libev-used"),
        pytest.param("hubpool", LIBUV, False, USED, id="hubpool-libuv-used"),
        pytest.param("hubpool", LIBEV, True, USED, id="hubpool-libev-patched-used", marks=QUICK),
        pytest.param("hubpool", LIBUV, True, USED, id="hubpool-libuv-patched-used"),
        # Used, but not patched, gevent's pool hangs in the workers.
        pytest.param("gevent", LIBEV, False, MADE, id="gevent-libev-made"),
        pytest.param("gevent", LIBUV, False, MADE, id="gevent-libuv-made"),
        pytest.param("gevent", LIBEV, True, USED, id="gevent-libev-patched-used"),
        pytest.param("gevent", LIBUV, True, USED, id="gevent-libuv-patched-used"),
    ],
)
def test_no_request_is_lost_by_a_restart_nor_by_the_end(
    peer: str, loop: str, patched: bool, settings: dict[str, str], tmp_path: Path
) -> None:
    config = tmp_path / "gunicorn.conf.py"
    # The worker class patches too, but only after the application has been loaded.
    config.write_text("from gevent import monkey\nmonkey.patch_all()\n" if patched else "")
    gate = tmp_path / "gate"
    env = environment(peer, loop, GATE=str(gate), **settings)
    command = [SCRIPTS / "gunicorn", "--config", config, "--preload", "-k", "gevent", "-w", "2"]
    command += ["--bind", "127.0.0.1:0", "--no-control-socket", "application"]
    with Server(command, env, tmp_path / "log") as server:
        port = int(server.wait_for(PORT))
        server.wait_for(BOOTED, 2)
        answers = get_all([port] * 200)
        assert len(answers) == 200
        old = answered_by(answers)

        held = _held(port)
        with ThreadPoolExecutor(4) as clients:
            stop = Event()
            # On libuv gunicorn's workers reset new connections as they end, with gevent's pool too.
            among = range(4 if loop == LIBEV else 0)
            traffic = [clients.submit(_ask_until, stop, port) for _ in among]
            try:
                server.signal(signal.SIGHUP)
                server.wait_for(BOOTED, 4)
                gate.touch()
                server.wait_for(EXITING, 2)
            finally:
                stop.set()
        assert answered_by(request.last_line() for request in held) <= old
        for client in traffic:
            answered_by(client.result())

        gate.unlink()
        held = _held(port)
        server.signal(signal.SIGTERM)
        server.wait_for("Handling signal: (term)")
        gate.touch()
        assert not answered_by(request.last_line() for request in held) & old
        assert server.wait() == 0
        for word in ("Traceback", "Error", "Warning", "WARNING", "thread"):
            assert word not in server.log, server.log


def _held(port: int) -> list[Request]:
    """Return requests that have begun, and wait in a worker's thread for the gate."""
    requests = [Request(port, "/held") for _ in range(2)]
    assert [request.line() for request in requests] == ["begun\n"] * 2
    return requests


def _ask_until(stop: Event, port: int) -> list[str]:
    answers = []
    while not stop.is_set():
        answers.append(get(port))
    return answers
