"""uWSGI loads the application, forks two processes, and runs gevent's loop in each.

uWSGI forks by the C library's function, and calls no fork hook of Python's.
libuv is left out: with worker threads of whatever pool, uWSGI's processes crash
in cffi there, even if they load the application after the fork; and gevent's
libuv loop does not survive a fork in C without `gevent.reinit()`.
"""

from __future__ import annotations

import re
import signal
import sys
from typing import TYPE_CHECKING

import pytest
from answers import answered_by
from processes import LIBEV, SCRIPTS, Server, environment, get_all

if TYPE_CHECKING:
    from pathlib import Path

PORT = r"bound to TCP address 127\.0\.0\.1:(\d+)"

MADE: dict[str, str] = {}
USED = {"USED": "1"}


@pytest.mark.parametrize(
    ("peer", "loop", "settings", "options"),
    [
        pytest.param("hubpool", LIBEV, MADE, [], id="hubpool-libev-made"),
        pytest.param("hubpool", LIBEV, USED, [], id="hubpool-libev-used"),
        pytest.param("hubpool", LIBEV, USED, ["--lazy-apps"], id="hubpool-libev-lazy"),
        pytest.param(
            "hubpool", LIBEV, USED, ["--py-call-uwsgi-fork-hooks"], id="hubpool-fork_hooks"
        ),
        pytest.param("gevent", LIBEV, MADE, [], id="gevent-libev-made"),
        pytest.param("gevent", LIBEV, USED, [], id="gevent-libev-used"),
    ],
)
def test_two_processes_that_were_forked_after_loading_answer_all_requests(
    peer: str, loop: str, settings: dict[str, str], options: list[str], tmp_path: Path
) -> None:
    # Each process listens on a port of its own, so that both have to answer.
    sockets = ["--http-socket", "127.0.0.1:0", "--http-socket", "127.0.0.1:0"]
    command = [SCRIPTS / "uwsgi", *sockets, "--map-socket", "0:1", "--map-socket", "1:2"]
    command += ["--master", "--processes", "2", "--gevent", "20", *options]
    command += ["--home", sys.prefix, "--module", "application", "--need-app", "--die-on-term"]
    env = environment(peer, loop, **settings)
    with Server(command, env, tmp_path / "log") as server:
        server.wait_for(r"spawned uWSGI worker \d \(pid: (\d+)", 2)
        ports = [int(port) for port in re.findall(PORT, server.log)]
        answers = get_all(ports * 100)
        assert len(answers) == 200
        assert len(answered_by(answers)) == 2
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert "Traceback" not in server.log
        assert "DAMN" not in server.log  # uWSGI's word for a worker that has died
