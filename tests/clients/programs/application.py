"""The application that the servers serve: each answer needs every pool that it can reach.

The pools are made as the server loads the application, so before the server
forks its workers. With `USED` in the environment they have also been used then.
"""

import hashlib
import json
import os

import gevent
from gevent.fileobject import FileObjectThread
from gevent.monkey import get_original
from peers import ThreadPool, ThreadPoolExecutor

native_sleep = get_original("time", "sleep")
pool, executor = ThreadPool(2), ThreadPoolExecutor(2)


def digest(data):
    """Hash data, with the interpreter let go."""
    return hashlib.sha256(data * 100).hexdigest()


def read(path):
    """Read a file by the hub's pool, which is what `FileObjectThread` uses."""
    with FileObjectThread(path, "rb") as file:
        return file.read()


def pass_gate(path):
    """Wait in a worker's thread until the file is there."""
    while not os.path.exists(path):
        native_sleep(0.01)


def results():
    """Return what each pool returns."""
    data = read(__file__)
    return {
        "hub": gevent.get_hub().threadpool.apply(digest, (data,)),
        "pool": pool.apply(digest, (data,)),
        "map": pool.map(digest, [data, data]),
        "executor": executor.submit(digest, data).result(),
    }


def application(environ, start_response):
    """Answer with the results; below `/held` only after a task has passed the gate."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/held":
        begun = pool.spawn(pass_gate, os.environ["GATE"])
        yield b"begun\n"
        begun.get()
    yield json.dumps({"pid": os.getpid(), "results": results()}).encode() + b"\n"


if "USED" in os.environ:
    results()
