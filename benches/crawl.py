"""A crawl: greenlets fetch pages through patched sockets, and a pool hashes and writes them.

The names are looked up by gevent's resolver, whose pool is the hub's: of the same kind as the
pool that hashes and writes. Each sample is taken in a new process, which this file is the
program of, from a server in a process of its own::

    python benches/crawl.py hubpool 1
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from measure import Row, Sample

if TYPE_CHECKING:
    from collections.abc import Iterator

    from measure import Sampler

SECTION = "A crawl, beside a 1 ms ticker"
GREENLETS = 200
THREADS = 10
#: Every resolver knows them, in each spelling.
NAMES = ("localhost", "LOCALHOST", "LocalHost")
PAGE = 32 << 10
#: As gevent's setting GEVENT_THREADPOOL has them.
HUB_POOLS = {"hubpool": "hubpool.ThreadPool", "gevent": "gevent.threadpool.ThreadPool"}


def crawling(side: str) -> Sampler:
    """Make what samples the seconds of a page, and how late the ticker runs."""

    def sample(seconds: float) -> Sample:
        command = [sys.executable, __file__, side, str(seconds)]
        env = {**os.environ, "GEVENT_THREADPOOL": HUB_POOLS[side]}
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=env)
        return Sample(**json.loads(answer.stdout))

    return sample


def rows() -> Iterator[Row]:
    """List the only row."""
    yield Row(
        SECTION,
        f"{GREENLETS} greenlets look up, fetch, hash and write",
        crawling("hubpool"),
        crawling("gevent"),
        THREADS,
        unit="s/page",
        shown="both",
        told="pages",
        libuv=True,
        noise=True,
        weight=10,
        pairs=5,
    )


# What runs in the processes of its own.


def serve() -> None:
    """Serve the page until the standard input ends; print the port first."""
    from gevent import fileobject, pywsgi  # noqa: PLC0415

    page = os.urandom(PAGE)

    def application(_environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Length", str(PAGE))])
        return [page]

    server = pywsgi.WSGIServer(("127.0.0.1", 0), application, log=None, backlog=GREENLETS)
    server.start()
    print(server.server_port, flush=True)
    # It ends with the process that has started this one, however that process ends.
    fileobject.FileObjectPosix(sys.stdin.buffer.fileno(), "rb", close=False).read()
    server.stop()


def crawl(side: str, seconds: float) -> Sample:
    """Start the server, and fetch from it for this number of seconds."""
    from gevent import monkey  # noqa: PLC0415

    monkey.patch_all()
    server = subprocess.Popen(
        [sys.executable, __file__, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert server.stdin
    assert server.stdout
    try:
        return fetch_all(side, int(server.stdout.readline()), seconds)
    finally:
        server.stdin.close()
        server.wait()


def fetch_all(side: str, port: int, seconds: float) -> Sample:
    """Fetch in all greenlets for this number of seconds."""
    import hashlib  # noqa: PLC0415
    import tempfile  # noqa: PLC0415
    import time  # noqa: PLC0415
    import urllib.request  # noqa: PLC0415

    import gevent  # noqa: PLC0415

    import sides  # noqa: PLC0415
    from ticker import Ticker, percentile  # noqa: PLC0415

    pages = 0

    def keep(page: bytes, path: str) -> None:
        with open(path, "wb") as file:
            file.write(hashlib.sha256(page).digest() + page)

    def fetch_and_keep(number: int, end: float) -> None:
        nonlocal pages
        url = f"http://{NAMES[number % len(NAMES)]}:{port}/"
        while time.perf_counter() < end:
            with urllib.request.urlopen(url) as answer:
                page = answer.read()
            assert len(page) == PAGE
            pool.apply(keep, (page, os.path.join(folder, str(number))))
            pages += 1

    with (
        sides.opened_pool(sides.POOLS[side], THREADS) as pool,
        tempfile.TemporaryDirectory(prefix="hubpool-bench-") as folder,
    ):
        fetch_and_keep(0, time.perf_counter() + 0.05)
        pages = 0
        cpu, start = time.process_time(), time.perf_counter()
        with Ticker() as ticker:
            gevent.joinall(
                [gevent.spawn(fetch_and_keep, n, start + seconds) for n in range(GREENLETS)],
                raise_error=True,
            )
            wall = time.perf_counter() - start
        cpu = time.process_time() - cpu
    late = {
        "median lateness": percentile(ticker.lateness, 0.5),
        "p99 lateness": percentile(ticker.lateness, 0.99),
        "worst lateness": max(ticker.lateness),
    }
    return Sample(wall / pages, cpu / pages, late)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve()
    else:
        print(json.dumps(asdict(crawl(sys.argv[1], float(sys.argv[2])))))
