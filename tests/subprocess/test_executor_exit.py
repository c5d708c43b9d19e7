"""The executor as a process ends: what was submitted is done first, as in the standard library."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from running import LOOPS, run

if TYPE_CHECKING:
    import subprocess

PATCHED = "from gevent import monkey; monkey.patch_all()\n"
HUB = "import gevent; gevent.get_hub()\n"
START = """
import sys, threading, time
from hubpool import ThreadPoolExecutor
def work(word):
    time.sleep(0.01)
    sys.stdout.write(word)
"""
#: A program, and what it prints.
PROGRAMS = {
    "an executor with a full queue": (
        "executor = ThreadPoolExecutor(2)\nfor _ in range(5): executor.submit(work, 'x')",
        "xxxxx",
    ),
    "a dropped executor with a full queue": (
        "ThreadPoolExecutor(1).map(work, 'xxxxx')",
        "xxxxx",
    ),
    "an executor that was shut down without a wait": (
        "executor = ThreadPoolExecutor(1)\n"
        "executor.map(work, 'xxx')\n"
        "executor.shutdown(wait=False)",
        "xxx",
    ),
    "an executor with idle threads": (
        "executor = ThreadPoolExecutor(4)\nlist(executor.map(work, 'xxxx'))",
        "xxxx",
    ),
    "a dropped executor that waits for its turn at the limit": (
        "import hubpool\n"
        "hubpool.set_thread_limit(1)\n"
        "first = ThreadPoolExecutor(1)\n"
        "first.submit(time.sleep, 0.1)\n"
        "ThreadPoolExecutor(1).map(work, 'xxx')",
        "xxx",
    ),
    "a task that waits for an executor that waits for its turn": (
        "import hubpool\n"
        "hubpool.set_thread_limit(1)\n"
        "first, second = ThreadPoolExecutor(1), ThreadPoolExecutor(1)\n"
        "def wait():\n"
        "    time.sleep(0.1)\n"
        "    second.shutdown()\n"
        "    sys.stdout.write('y')\n"
        "first.submit(wait)\n"
        "second.submit(work, 'x')",
        "xy",
    ),
    "a task that submits another": (
        "executor = ThreadPoolExecutor(1)\n"
        "executor.submit(lambda: executor.submit(work, 'x'))\n"
        "time.sleep(0.1)",
        "x",
    ),
    "an exit hook that submits": (
        "import atexit\n"
        "executor = ThreadPoolExecutor(1)\n"
        "def late():\n"
        "    try: executor.submit(work, 'x')\n"
        "    except RuntimeError as error: print(error)\n"
        "atexit.register(late)\n"
        "executor.submit(work, 'y').result()",
        "ycannot schedule new futures after interpreter shutdown\n",
    ),
    "an exit hook that makes an executor": (
        "import atexit\n"
        "def late():\n"
        "    try: ThreadPoolExecutor(1).submit(work, 'x')\n"
        "    except RuntimeError as error: print(error)\n"
        "atexit.register(late)",
        "cannot schedule new futures after interpreter shutdown\n",
    ),
}


OWN_THREADS = """
import concurrent.futures.thread as standard, weakref
class Own(ThreadPoolExecutor):
    def _adjust_thread_count(self):
        if self._idle_semaphore.acquire(timeout=0):
            return
        if len(self._threads) < self._max_workers:
            work_queue = self._work_queue
            reference = weakref.ref(self, lambda _: work_queue.put(None))
            if hasattr(self, "_create_worker_context"):
                args = reference, self._create_worker_context(), work_queue
            else:
                args = reference, work_queue, self._initializer, self._initargs
            thread = threading.Thread(target=standard._worker, args=args, daemon=True)
            thread.start()
            self._threads.add(thread)
            standard._threads_queues[thread] = work_queue
executor = Own(2)
futures = [executor.submit(work, "x") for _ in range(5)]
"""


def _run(program: str, loop: str) -> subprocess.CompletedProcess[str]:
    # A fork beside threads is what some of them are about.
    return run("-W", "ignore::DeprecationWarning", "-c", program, loop=loop)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("before", ["", HUB, PATCHED], ids=["plain", "hub", "patched"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_process_ends_when_its_work_is_done(name: str, before: str, loop: str) -> None:
    program, printed = PROGRAMS[name]
    done = _run(before + START + program, loop)
    assert (done.stdout, done.stderr, done.returncode) == (printed, "", 0)


@pytest.mark.parametrize("loop", LOOPS)
def test_greenlets_run_while_a_process_waits_for_its_work(loop: str) -> None:
    done = _run(
        START + "import gevent\n"
        "event = threading.Event()\n"
        "gevent.spawn_later(0.05, event.set)\n"
        "executor = ThreadPoolExecutor(1)\n"
        "executor.submit(lambda: (event.wait(), work('x')))",
        loop,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("x", "", 0)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("before", ["", HUB, PATCHED], ids=["plain", "hub", "patched"])
def test_a_fork_in_mid_load_leaves_parent_and_child_usable(before: str, loop: str) -> None:
    done = _run(
        before + START + "import os\n"
        f"gevent_loop = {loop!r}\n"
        "executor = ThreadPoolExecutor(2)\n"
        "for _ in range(20):\n"
        "    futures = [executor.submit(abs, -number) for number in range(200)]\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        "        if 'gevent' in sys.modules and gevent_loop == 'libuv-cffi':\n"
        "            import gevent; gevent.reinit()\n"
        "        os._exit(0 if executor.submit(abs, -7).result(30) == 7 else 1)\n"
        "    assert os.waitpid(pid, 0)[1] == 0\n"
        "    assert [future.result(30) for future in futures] == list(range(200))\n"
        "print('done')",
        loop,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("done\n", "", 0)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_fork_while_greenlets_wait_for_futures(loop: str) -> None:
    done = _run(
        START + "import concurrent.futures, gevent, gevent.os, os\n"
        "executor, parent = ThreadPoolExecutor(2), os.getpid()\n"
        "def load():\n"
        "    while True:\n"
        "        try: executor.submit(time.sleep, 0.001).result()\n"
        "        except concurrent.futures.BrokenExecutor:\n"
        "            if os.getpid() == parent: raise\n"
        "greenlets = [gevent.spawn(load) for _ in range(2)]\n"
        "for number in range(20):\n"
        "    gevent.sleep(0.003)\n"
        "    pid = gevent.os.fork()\n"
        "    if pid == 0:\n"
        "        if number % 2: gevent.killall(greenlets)\n"
        "        os._exit(executor.submit(pow, 2, 3).result(20))\n"
        "    assert os.WEXITSTATUS(os.waitpid(pid, 0)[1]) == 8\n"
        "gevent.killall(greenlets)\n"
        "print('done')",
        loop,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("done\n", "", 0)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("before", ["", HUB, PATCHED], ids=["plain", "hub", "patched"])
@pytest.mark.parametrize("after", ["", "executor.shutdown()", "del executor, futures"])
def test_a_process_ends_whose_executor_has_threads_of_a_subclass(
    after: str, before: str, loop: str
) -> None:
    done = _run(before + START + OWN_THREADS + after, loop)
    assert (done.stdout, done.stderr, done.returncode) == ("xxxxx", "", 0)
