"""As much of S3's HTTP interface as s3transfer uses, with the objects in memory."""

from __future__ import annotations

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from typing import Self


class S3Stub(ThreadingHTTPServer):
    """A server of objects on a free port; `requests` counts what was asked of it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.lock = threading.Lock()
        self.objects: dict[str, bytes] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.requests: dict[str, int] = {}
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: S3Stub
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        """Store an object, or a part of one."""
        path, query = self._target("PUT")
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            if "partNumber" in query:
                self.server.uploads[query["uploadId"]][int(query["partNumber"])] = body
            else:
                self.server.objects[path] = body
        self._answer(200, b"", ETag=f'"{len(body)}"')

    def do_POST(self) -> None:
        """Begin or complete an upload of parts."""
        path, query = self._target("POST")
        self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            if "uploads" in query:
                name = f"upload{len(self.server.uploads)}"
                self.server.uploads[name] = {}
                answer = f"<R><UploadId>{name}</UploadId></R>"
            else:
                parts = self.server.uploads[query["uploadId"]]
                self.server.objects[path] = b"".join(parts[number] for number in sorted(parts))
                answer = "<R><ETag>whole</ETag></R>"
        self._answer(200, answer.encode())

    def do_HEAD(self) -> None:
        """Say how large an object is."""
        path, _ = self._target("HEAD")
        self._answer(200, self.server.objects[path], ETag='"whole"')

    def do_GET(self) -> None:
        """Send an object, or a range of it."""
        path, _ = self._target("GET")
        body = self.server.objects[path]
        if asked := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            first, last = int(asked[1]), int(asked[2] or len(body) - 1)
            sent = f"bytes {first}-{last}/{len(body)}"
            headers = {"Content-Range": sent, "ETag": '"whole"'}
            self._answer(206, body[first : last + 1], **headers)
        else:
            self._answer(200, body, ETag='"whole"')

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _target(self, method: str) -> tuple[str, dict[str, str]]:
        parts = urlsplit(self.path)
        query = {k: v[0] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
        kind = f"{method} part" if "partNumber" in query or "Range" in self.headers else method
        with self.server.lock:
            self.server.requests[kind] = self.server.requests.get(kind, 0) + 1
        return parts.path, query

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
