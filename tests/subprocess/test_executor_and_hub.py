"""An executor beside the hub of its submitter, in programs patched and not, on both loops."""

from __future__ import annotations

import pytest
from running import LOOPS, run

PATCH = "from gevent import monkey; monkey.patch_all()\n"
BEGIN = """
import queue, sys, threading
import gevent, gevent.event, gevent.queue
from gevent import monkey
from hubpool import ThreadPool, ThreadPoolExecutor
native_sleep = monkey.get_original("time", "sleep")
start_new_thread = monkey.get_original("_thread", "start_new_thread")
allocate_lock = monkey.get_original("_thread", "allocate_lock")
executor = ThreadPoolExecutor(2)
PATCHED = monkey.is_module_patched("threading")
def Gate():
    lock = monkey.get_original("_thread", "allocate_lock")()
    lock.acquire()
    return lock
def work(value=None):
    native_sleep(0.05)
    return value
"""
#: What a program does, and what it prints. `Queue` and `Event` let other greenlets run.
PROGRAMS = {
    "callbacks that put into a queue": (
        "results = Queue()\n"
        "for number in range(6):\n"
        "    executor.submit(work, number).add_done_callback(results.put)\n"
        "print(sorted(results.get().result() for _ in range(6)))",
        "[0, 1, 2, 3, 4, 5]",
    ),
    "callbacks that wait for room in a queue": (
        "results = Queue(1)\n"
        "for number in range(6):\n"
        "    executor.submit(abs, number).add_done_callback(results.put)\n"
        "gevent.sleep(0.05)\n"
        "print(sorted(results.get().result() for _ in range(6)))",
        "[0, 1, 2, 3, 4, 5]",
    ),
    "a callback that sets an event": (
        "event = Event()\n"
        "executor.submit(work).add_done_callback(lambda _: event.set())\n"
        "event.wait()\n"
        "print(event.is_set())",
        "True",
    ),
    "a callback that spawns a greenlet": (
        "event = Event()\n"
        "executor.submit(work).add_done_callback(lambda _: gevent.spawn(event.set))\n"
        "event.wait()\n"
        "print(event.is_set())",
        "True",
    ),
    "a task that sets the event for which its submitter waits": (
        "event = Event()\n"
        "def task():\n"
        "    work()\n"
        "    event.set()\n"
        "executor.submit(task)\n"
        "event.wait()\n"
        "print(event.is_set())",
        "True",
    ),
    "tasks of which the last sets the event": (
        "event, left = Event(), [None] * 8\n"
        "def task():\n"
        "    work()\n"
        "    left.pop()\n"
        "    if not left: event.set()\n"
        "for _ in range(8): executor.submit(task)\n"
        "event.wait()\n"
        "print(event.is_set())",
        "True",
    ),
    "a task that submits the task that sets the event": (
        "event = Event()\n"
        "executor.submit(lambda: (work(), executor.submit(event.set), work()))\n"
        "event.wait()\n"
        "print(event.is_set())",
        "True",
    ),
    "a task that has ended before the task that it has submitted sets the event": (
        "event, outer = Event(), []\n"
        "def inner(deeper):\n"
        "    while not outer[0].done(): native_sleep(0.01)\n"
        "    work()\n"
        "    executor.submit(inner, False) if deeper else event.set()\n"
        "outer.append(executor.submit(lambda: executor.submit(inner, True)))\n"
        "event.wait()\n"
        "print(event.is_set())",
        "True",
    ),
    "the same, where the task's thread has a hub of its own": (
        "event, outer = Event(), []\n"
        "def inner():\n"
        "    while not outer[0].done(): native_sleep(0.01)\n"
        "    work()\n"
        "    event.set()\n"
        "outer.append(executor.submit(lambda: (gevent.sleep(0), executor.submit(inner))))\n"
        "event.wait()\n"
        "print(event.is_set())",
        "True",
    ),
    "an event that nobody sets when what a task has submitted has ended": (
        "executor.submit(lambda: (gevent.sleep(0), executor.submit(work)))\n"
        "try: gevent.event.Event().wait()\n"
        "except gevent.exceptions.LoopExit: print('LoopExit')",
        "LoopExit",
    ),
    "a task of a pool that submits the task that sets the event": (
        "event = Event()\n"
        "ThreadPool(1).spawn(lambda: executor.submit(lambda: (work(), event.set())))\n"
        "event.wait()\n"
        "print(event.is_set())",
        "True",
    ),
    "a callback of a blocked hub that submits the task that sets the event": (
        "event, begun = gevent.event.Event(), Gate()\n"
        "def callback(_):\n"
        "    executor.submit(lambda: (work(), event.set()))\n"
        "    begun.release()\n"
        "executor.submit(abs, -1).add_done_callback(callback)\n"
        "begun.acquire() if not PATCHED else None\n"
        "print(event.wait())",
        "True",
    ),
    "a callback of a blocked hub that spawns a greenlet, which ends": (
        "import os\n"
        "told = Gate()\n"
        "def tell(_):\n"
        "    gevent.spawn_later(0.01, told.release)\n"
        "executor.submit(abs, 1).result()\n"
        "threads = len(os.listdir('/proc/self/task'))\n"
        "descriptors = len(os.listdir('/proc/self/fd'))\n"
        "executor.submit(work).add_done_callback(tell)\n"
        "if PATCHED: gevent.sleep(0.1)\n"
        "told.acquire()\n"
        "while len(os.listdir('/proc/self/task')) > threads: native_sleep(0.01)\n"
        "while len(os.listdir('/proc/self/fd')) > descriptors: native_sleep(0.01)\n"
        "print('ended')",
        "ended",
    ),
    "a shutdown beside a callback of another executor and another blocked hub": (
        "own, begun, go = ThreadPoolExecutor(1), Gate(), Gate()\n"
        "def call(_):\n"
        "    begun.release()\n"
        "    go.acquire()\n"
        "def thread():\n"
        "    gevent.sleep(0)\n"
        "    own.submit(work).add_done_callback(call)\n"
        "    native_sleep(3)\n"
        "start_new_thread(thread, ())\n"
        "begun.acquire()\n"
        "executor.submit(abs, 1).result()\n"
        "executor.shutdown()\n"
        "go.release()\n"
        "print('through')",
        "through",
    ),
    "a callback of a blocked hub, at the end": (
        "begun = Gate()\n"
        "def callback(_):\n"
        "    begun.release()\n"
        "    work()\n"
        "    print('called', flush=True)\n"
        "executor.submit(abs, -1).add_done_callback(callback)\n"
        "begun.acquire() if not PATCHED else None",
        "called",
    ),
    "a callback of a blocked hub, when its executor has been shut down": (
        "begun = Gate()\n"
        "def callback(_):\n"
        "    begun.release()\n"
        "    work()\n"
        "    print('called', flush=True)\n"
        "    executor.shutdown()\n"
        "executor.submit(abs, -1).add_done_callback(callback)\n"
        "begun.acquire() if not PATCHED else None\n"
        "executor.shutdown()\n"
        "print('shut down')",
        "called\nshut down",
    ),
    "a callback whose greenlet is killed before it begins": (
        "import gc\n"
        "from hubpool._callback import CallbackLink\n"
        "called, killed, spawn = [], [], CallbackLink.deliver\n"
        "def deliver(link, *args):\n"
        "    spawn(link, *args)\n"
        "    if killed: return\n"
        "    for one in gc.get_objects():\n"
        "        if isinstance(one, gevent.Greenlet) and '_call_in_greenlet' in repr(one):\n"
        "            killed.append(one)\n"
        "            one.kill(block=False)\n"
        "CallbackLink.deliver = deliver\n"
        "future = executor.submit(work)\n"
        "future.add_done_callback(called.append)\n"
        "with gevent.Timeout(20):\n"
        "    while not killed: gevent.sleep(0.001)\n"
        "executor.shutdown()\n"
        "print(called == [future])",
        "True",
    ),
    "callbacks beside one that forks": (
        "import os\n"
        "fork, wait_for = (monkey.get_original('os', name) for name in ('fork', 'waitpid'))\n"
        "gate = Gate()\n"
        "def callback(_):\n"
        "    pid = fork()\n"
        "    if pid: wait_for(pid, 0)\n"
        "    elif PATCHED: (gevent.sleep(0.01), os._exit(0))\n"
        "def after(_):\n"
        "    os.write(1, b'called\\n')\n"
        "    called.append(1)\n"
        "called = []\n"
        "first, second = executor.submit(gate.acquire), executor.submit(abs, -1)\n"
        "for future in (first, second):\n"
        "    future.add_done_callback(callback)\n"
        "    future.add_done_callback(after)\n"
        "gate.release()\n"
        "wait = gevent.sleep if PATCHED else native_sleep\n"
        "while len(called) < 2: wait(0.001)",
        "called\ncalled",
    ),
    "a callback of the last task": (
        "executor.submit(work).add_done_callback(lambda _: print('called', flush=True))",
        "called",
    ),
    "callbacks of an executor that was shut down": (
        "called = []\n"
        "executor.submit(abs, -1).add_done_callback(called.append)\n"
        "executor.shutdown(wait=False)\n"
        "native_sleep(0.1)\n"
        "executor.shutdown(wait=True)\n"
        "print(len(called))",
        "1",
    ),
    "a thread with a hub that ends": (
        "called = []\n"
        "def thread():\n"
        "    gevent.sleep(0)\n"
        "    executor.submit(work).add_done_callback(called.append)\n"
        "start_new_thread(thread, ())\n"
        "with gevent.Timeout(20):\n"
        "    while not called: gevent.sleep(0.01)\n"
        "print(len(called))",
        "1",
    ),
    "a thread with a hub that blocks": (
        "called = []\n"
        "def thread():\n"
        "    gevent.sleep(0)\n"
        "    executor.submit(work).add_done_callback(called.append)\n"
        "    native_sleep(1000)\n"
        "start_new_thread(thread, ())\n"
        "with gevent.Timeout(20):\n"
        "    while not called: gevent.sleep(0.01)\n"
        "print(len(called))",
        "1",
    ),
    "a thread whose hub is destroyed": (
        "called = []\n"
        "def thread():\n"
        "    gevent.sleep(0)\n"
        "    executor.submit(work).add_done_callback(called.append)\n"
        "    native_sleep(0.1)\n"
        "    gevent.get_hub().destroy(True)\n"
        "start_new_thread(thread, ())\n"
        "with gevent.Timeout(20):\n"
        "    while not called: gevent.sleep(0.01)\n"
        "print(len(called), flush=True)\n"
        # libuv leaves the greenlet of such a hub, which the interpreter may trip over as it ends.
        "import os; os._exit(0)",
        "1",
    ),
    "an executor that a thread without a hub makes": (
        "waited = []\n"
        "def thread():\n"
        "    event, own = gevent.event.Event(), ThreadPoolExecutor(1)\n"
        "    own.submit(lambda: (work(), event.set()))\n"
        "    waited.append(event.wait())\n"
        "start_new_thread(thread, ())\n"
        "with gevent.Timeout(20):\n"
        "    while not waited: gevent.sleep(0.01)\n"
        "print(waited)",
        "[True]",
    ),
    "an executor of another thread, from the main thread without a hub": (
        "event, made = gevent.event.Event(), []\n"
        "start_new_thread(lambda: made.append(ThreadPoolExecutor(1)), ())\n"
        "while not made: native_sleep(0.01)\n"
        "made[0].submit(lambda: (work(), event.set()))\n"
        "print(event.wait())",
        "True",
    ),
    "a submission when no descriptor is left": (
        "import os, resource\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"
        "taken = []\n"
        "try:\n"
        "    while True: taken.append(os.open('/dev/null', os.O_RDONLY))\n"
        "except OSError: pass\n"
        "print(executor.submit(abs, -1).result())",
        "1",
    ),
    "gevent.wait() for tasks": (
        "future = executor.submit(work, 1)\nprint(gevent.wait(), future.done())",
        "True True",
    ),
    "an event that nobody sets when all tasks have ended": (
        "executor.submit(work)\n"
        "try: gevent.event.Event().wait()\n"
        "except gevent.exceptions.LoopExit: print('LoopExit')",
        "LoopExit",
    ),
    "a hub that is destroyed beside a task": (
        "executor.submit(work)\n"
        "gevent.get_hub().destroy(destroy_loop=True)\n"
        "print(executor.submit(work, 2).result())",
        "2",
    ),
    "hubs of two threads, each with a task that sets its event": (
        "done = []\n"
        "def thread():\n"
        "    event = gevent.event.Event()\n"
        "    gevent.sleep(0)\n"
        "    executor.submit(lambda: (work(), event.set()))\n"
        "    done.append(event.wait())\n"
        "start_new_thread(thread, ())\n"
        "event = gevent.event.Event()\n"
        "executor.submit(lambda: (work(), event.set()))\n"
        "event.wait()\n"
        "while not done: native_sleep(0.01)\n"
        "print(done)",
        "[True]",
    ),
    "an event that nobody sets beside another hub's task that goes on": (
        "gate, begun, ended = allocate_lock(), [], []\n"
        "gate.acquire()\n"
        "def thread():\n"
        "    gevent.sleep(0)\n"
        "    executor.submit(lambda: (begun.append(None), gate.acquire()))\n"
        "    gevent.wait()\n"
        "    ended.append(None)\n"
        "start_new_thread(thread, ())\n"
        "while not begun: native_sleep(0.01)\n"
        "executor.submit(work)\n"
        "try: gevent.event.Event().wait()\n"
        "except gevent.exceptions.LoopExit: print('LoopExit')\n"
        "gate.release()\n"
        "while not ended: native_sleep(0.01)",
        "LoopExit",
    ),
    "a hub that is made anew beside a task": (
        "gate = allocate_lock()\n"
        "gate.acquire()\n"
        "first = executor.submit(gate.acquire)\n"
        "gevent.get_hub().destroy(destroy_loop=True)\n"
        "event = gevent.event.Event()\n"
        "executor.submit(lambda: (work(), event.set()))\n"
        "print(event.wait(), first.done())\n"
        "gate.release()",
        "True False",
    ),
    "a hub whose thread ends before its task": (
        "gate, ended = allocate_lock(), []\n"
        "gate.acquire()\n"
        "def thread():\n"
        "    gevent.sleep(0)\n"
        "    ended.append(executor.submit(gate.acquire))\n"
        "start_new_thread(thread, ())\n"
        "while not ended: native_sleep(0.01)\n"
        "native_sleep(0.05)\n"
        "gate.release()\n"
        "print(ended[0].result(), executor.submit(work, 1).result())",
        "True 1",
    ),
    "a forked child beside a task of its parent": (
        "import os\n"
        "gate = allocate_lock()\n"
        "gate.acquire()\n"
        "executor.submit(gate.acquire)\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    event = gevent.event.Event()\n"
        "    executor.submit(lambda: (work(), event.set()))\n"
        "    print(event.wait(), flush=True)\n"
        "    os._exit(0)\n"
        "os.waitpid(child, 0)\n"
        "gate.release()",
        "True",
    ),
    "an event that nobody sets when the only task has been cancelled": (
        "gate, begun, own = allocate_lock(), [], ThreadPoolExecutor(1)\n"
        "gate.acquire()\n"
        "start_new_thread(lambda: begun.append(own.submit(gate.acquire)), ())\n"
        "while not begun: native_sleep(0.01)\n"
        "own.submit(work).cancel()\n"
        "try: gevent.event.Event().wait()\n"
        "except gevent.exceptions.LoopExit: print('LoopExit')\n"
        "gate.release()",
        "LoopExit",
    ),
    "an event that nobody sets when a shutdown has cancelled the only task": (
        "gate, begun, own = allocate_lock(), [], ThreadPoolExecutor(1)\n"
        "gate.acquire()\n"
        "start_new_thread(lambda: begun.append(own.submit(gate.acquire)), ())\n"
        "while not begun: native_sleep(0.01)\n"
        "own.submit(work)\n"
        "own.shutdown(wait=False, cancel_futures=True)\n"
        "try: gevent.event.Event().wait()\n"
        "except gevent.exceptions.LoopExit: print('LoopExit')\n"
        "gate.release()",
        "LoopExit",
    ),
    "a task with a hub, of a thread without one, that waits for what its task submits": (
        "waited = []\n"
        "def task():\n"
        "    event = gevent.event.Event()\n"
        "    gevent.sleep(0)\n"
        "    inner = lambda: executor.submit(lambda: (work(), event.set()))\n"
        "    executor.submit(inner)\n"
        "    waited.append(event.wait())\n"
        "start_new_thread(lambda: executor.submit(task), ())\n"
        "while not waited: native_sleep(0.01)\n"
        "print(waited)",
        "[True]",
    ),
    "a task with a hub that waits for all that it has submitted": (
        "def task():\n"
        "    gevent.sleep(0)\n"
        "    inner = executor.submit(work, 1)\n"
        "    return gevent.wait(), inner.done()\n"
        "print(executor.submit(task).result())",
        "(True, True)",
    ),
}


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("patched", [False, True])
@pytest.mark.parametrize("name", PROGRAMS)
def test_an_executor_beside_its_submitters_hub(name: str, patched: bool, loop: str) -> None:
    program, printed = PROGRAMS[name]
    # Without patching, gevent's own are what lets other greenlets run.
    own = "Queue, Event = queue.Queue, threading.Event\n"
    gevents = "Queue, Event = gevent.queue.Queue, gevent.event.Event\n"
    ended = run(
        "-W",
        "ignore::DeprecationWarning",  # Newer CPythons warn of a fork beneath threads.
        "-c",
        (PATCH if patched else "") + BEGIN + (own if patched else gevents) + program,
        loop=loop,
    )
    assert (ended.stdout.strip(), ended.stderr, ended.returncode) == (printed, "", 0)
