"""debugpy stops at a breakpoint in each task, as an editor asks it to."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from processes import LIBEV, PROGRAMS, QUICK, Server, connect, environment, free_port

if TYPE_CHECKING:
    import socket
    from pathlib import Path

PROGRAM = PROGRAMS / "debugged.py"


@pytest.mark.parametrize("patched", [[], ["patched"]], ids=["", "patched"])
@pytest.mark.parametrize(
    ("peer", "kind"),
    [
        pytest.param("hubpool", "ThreadPool", marks=QUICK),
        pytest.param("hubpool", "ThreadPoolExecutor", marks=QUICK),
        ("gevent", "ThreadPool"),
        ("gevent", "ThreadPoolExecutor"),
    ],
)
def test_a_breakpoint_is_hit_in_every_task(
    peer: str, kind: str, patched: list[str], tmp_path: Path
) -> None:
    env = environment(peer, LIBEV, GEVENT_SUPPORT="True")
    line = 1 + PROGRAM.read_text("utf-8").split("# BREAK")[0].count("\n")
    # debugpy does not say which port it has taken, so that it cannot choose one.
    port = free_port()
    command = [sys.executable, "-Xfrozen_modules=off", "-m", "debugpy", "--wait-for-client"]
    command += ["--listen", f"127.0.0.1:{port}", PROGRAM, kind, *patched]
    with Server(command, env, tmp_path / "log") as program:
        with Editor(connect(port)) as editor:
            hits = editor.hits(PROGRAM, line)
        assert program.wait() == 0
        assert hits == 6
        assert program.log == "results [1, 2, 3, 4, 5, 6]\n"


class Editor:
    """An editor that speaks the Debug Adapter Protocol with debugpy."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._stream = self._connection.makefile("rb")
        self._sequence = 0

    def __enter__(self) -> Editor:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self._connection.close()

    def hits(self, program: Path, line: int) -> int:
        """Let the program run with a breakpoint in this line; return how often it was hit."""
        numbering = {"linesStartAt1": True, "columnsStartAt1": True, "pathFormat": "path"}
        self._send("initialize", adapterID="tests", clientID="tests", **numbering)
        self._send("attach", gevent=True)
        hits = 0
        while (message := self._receive()).get("event") != "terminated":
            if message.get("event") == "initialized":
                breakpoints = [{"line": line}]
                source = {"path": str(program)}
                self._send("setBreakpoints", source=source, breakpoints=breakpoints)
                self._send("configurationDone")
            elif message.get("event") == "stopped":
                hits += message["body"]["reason"] == "breakpoint"
                self._send("continue", threadId=message["body"]["threadId"])
            assert message.get("success", True), message
        return hits

    def _send(self, command: str, **arguments: Any) -> None:
        self._sequence += 1
        request = {"type": "request", "seq": self._sequence}
        body = json.dumps(request | {"command": command, "arguments": arguments}).encode()
        self._connection.sendall(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    def _receive(self) -> dict[str, Any]:
        length = None
        while header := self._stream.readline().strip():
            name, _, value = header.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        assert length is not None, "debugpy has closed the connection"
        message: dict[str, Any] = json.loads(self._stream.read(length))
        return message
