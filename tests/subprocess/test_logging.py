"""Tasks that log in a patched program: none hangs, no record is lost, and each line is whole."""

from __future__ import annotations

import pytest
from running import LOOPS, run

PATCH = "from gevent import monkey; monkey.patch_all()\n"
BEGIN = """
import gc, io, logging, logging.config, logging.handlers, os, queue, signal, sys, threading
import gevent, gevent.socket
from gevent import monkey
import hubpool
native_sleep = monkey.get_original("time", "sleep")
allocate_lock = monkey.get_original("_thread", "allocate_lock")
get_ident = monkey.get_original("_thread", "get_ident")
def let_others_run():
    # Where a plain thread has had a hub, gevent's libuv loop may crash at exit.
    (native_sleep if get_ident() in plain else gevent.sleep)(0.001)
def Gate():
    gate = allocate_lock()
    gate.acquire()
    return gate
plain = set()
def in_thread(function, *args):
    # A plain thread, and what to call to wait for its end.
    ended = Gate()
    def run():
        plain.add(get_ident())
        try:
            function(*args)
        finally:
            ended.release()
    monkey.get_original("_thread", "start_new_thread")(run, ())
    return lambda: gevent.get_hub().threadpool.apply(ended.acquire)
class Halves:
    # A stream that lets others run in the midst of each line.
    def __init__(self, pause):
        self.parts, self.pause = [], pause
    def write(self, text):
        half = len(text) // 2
        self.parts.append(text[:half])
        self.pause()
        self.parts.append(text[half:])
    @property
    def text(self):
        return "".join(self.parts)
log = logging.getLogger("test")
log.setLevel(logging.INFO)
log.propagate = False
def log_to(handler):
    handler.setFormatter(logging.Formatter("<%(message)s>"))
    log.addHandler(handler)
    return handler
def log_many(name, count, pause=lambda: None):
    for number in range(count):
        log.info("%s %s", name, number)
        pause()
def expected(names, count):
    return sorted(f"<{name} {number}>" for name in names for number in range(count))
def check(stream, names, count):
    lines = sorted(getattr(stream, "text", stream).splitlines())
    print("right" if lines == expected(names, count) else lines)
def log_everywhere(pool, count=20, tasks=None):
    # From tasks, from greenlets, from a plain thread, and from an executor's tasks.
    names = [f"task {n}" for n in range(tasks or 3 * pool.maxsize)]
    results = [pool.spawn(log_many, name, count) for name in names]
    greenlets = [f"greenlet {n}" for n in range(4)]
    spawned = [gevent.spawn(log_many, name, count, lambda: gevent.sleep(0)) for name in greenlets]
    join = in_thread(log_many, "thread", count)
    with hubpool.ThreadPoolExecutor(2) as executor:
        futures = [executor.submit(log_many, f"executor {n}", count) for n in range(2)]
        for result in [*results, *futures, *spawned]:
            result.get()
    join()
    return [*names, *greenlets, "thread", "executor 0", "executor 1"]
"""
WORKERS = (
    "stream = Halves(lambda: None)\n"
    "log_to(logging.StreamHandler(stream))\n"
    "check(stream, log_everywhere(hubpool.ThreadPool({})), 20)"
)
#: CPython before 3.14 ends the threads of daemons at its exit. Where such a thread has had a hub,
#: as those of tasks that wait cooperatively, greenlet may crash then.
END = "\nsys.stdout.flush(), sys.stderr.flush(), os._exit(0)"
#: What a program does, and what it prints.
PROGRAMS = {
    "two workers": (WORKERS.format(2), "right"),
    "ten workers": (WORKERS.format(10), "right"),
    "fifty workers": (WORKERS.format(50), "right"),
    "a handler that waits in the midst of a line": (
        "stream = Halves(let_others_run)\n"
        "log_to(logging.StreamHandler(stream))\n"
        "check(stream, log_everywhere(hubpool.ThreadPool(4), 5), 5)",
        "right",
    ),
    "a handler that is made later": (
        "pool = hubpool.ThreadPool(4)\n"
        "pool.apply(int)\n"
        "stream = Halves(let_others_run)\n"
        "pool.apply(lambda: log_to(logging.StreamHandler(stream)))\n"
        "check(stream, log_everywhere(pool, 5), 5)",
        "right",
    ),
    "a file that rotates": (
        "import tempfile, pathlib\n"
        "folder = pathlib.Path(tempfile.mkdtemp())\n"
        "log_to(logging.handlers.RotatingFileHandler(\n"
        "    folder / 'log', maxBytes=2000, backupCount=99))\n"
        "names = log_everywhere(hubpool.ThreadPool(4))\n"
        "logging.shutdown()\n"
        "check(''.join(file.read_text() for file in folder.iterdir()), names, 20)\n"
        "print(len(list(folder.iterdir())) > 2)",
        "right\nTrue",
    ),
    "a socket": (
        "import pickle, socketserver\n"
        "server = gevent.socket.create_server(('127.0.0.1', 0))\n"
        "lines = []\n"
        "def serve():\n"
        "    connection, _ = server.accept()\n"
        "    file = connection.makefile('rb')\n"
        "    while length := file.read(4):\n"
        "        record = pickle.loads(file.read(int.from_bytes(length, 'big')))\n"
        "        lines.append(f\"<{record['msg']}>\")\n"
        "server_greenlet = gevent.spawn(serve)\n"
        "handler = log_to(logging.handlers.SocketHandler(*server.getsockname()))\n"
        "pool = hubpool.ThreadPool(4)\n"
        "results = [pool.spawn(log_many, f'task {n}', 20) for n in range(12)]\n"
        "gevent.joinall([gevent.spawn(result.get) for result in results], raise_error=True)\n"
        "handler.close()\n"
        "server_greenlet.join()\n"
        "check('\\n'.join(lines), [f'task {n}' for n in range(12)], 20)",
        "right",
    ),
    **{
        f"a listener of a {kind}": (
            f"records = queue.{kind}()\n"
            "stream = Halves(lambda: None)\n"
            "target = logging.StreamHandler(stream)\n"
            "listener = logging.handlers.QueueListener(records, target)\n"
            "listener.start()\n"
            "log_to(logging.handlers.QueueHandler(records))\n"
            "names = log_everywhere(hubpool.ThreadPool(10))\n"
            "listener.stop()\n"
            "check(stream, names, 20)",
            "right",
        )
        for kind in ("Queue", "SimpleQueue")
    },
    "a configuration that changes": (
        "stream = Halves(lambda: None)\n"
        "pool = hubpool.ThreadPool(4)\n"
        "def configure():\n"
        "    for level in ['INFO', 'DEBUG'] * 10:\n"
        "        logging.config.dictConfig({'version': 1, 'disable_existing_loggers': False,\n"
        "            'formatters': {'f': {'format': '<%(message)s>'}},\n"
        "            'handlers': {'h': {'class': 'logging.StreamHandler', 'stream': stream,\n"
        "                               'formatter': 'f'}},\n"
        "            'loggers': {'test': {'handlers': ['h'], 'level': level}}})\n"
        "        gevent.sleep(0.001)\n"
        "log_to(logging.StreamHandler(stream))\n"
        "configuring = [gevent.spawn(configure), pool.spawn(configure)]\n"
        "names = log_everywhere(pool, 5)\n"
        "[each.get() for each in configuring]\n"
        # While there is no handler a record goes nowhere.
        "lines = stream.text.splitlines()\n"
        "print(set(lines) <= set(expected(names, 5)), len(lines) > 50)",
        "True True",
    ),
    "loggers that tasks make": (
        "pool = hubpool.ThreadPool(10)\n"
        "def make(number):\n"
        "    return [logging.getLogger(f'a{number % 3}.b{k}').name for k in range(200)]\n"
        "made = [gevent.spawn(make, n) for n in range(3)]\n"
        "print(len({name for names in pool.map(make, range(30)) for name in names}))",
        "600",
    ),
    "the interpreter's exit while tasks log": (
        "log_to(logging.StreamHandler(Halves(lambda: native_sleep(0.001))))\n"
        "pool = hubpool.ThreadPool(4)\n"
        "for number in range(4):\n"
        "    pool.spawn(log_many, f'task {number}', 10**6)\n"
        "gevent.sleep(0.05)\n"
        "print('ends')",
        "ends",
    ),
    "a handler that makes the first worker in the midst of a line": (
        "stream = Halves(lambda: None)\n"
        "handler = log_to(logging.StreamHandler(stream))\n"
        "pool = hubpool.ThreadPool(2)\n"
        "stream.pause = lambda: pool.apply(native_sleep, (0.01,))\n"
        "log.info('x 0')\n"
        "log.info('x 1')\n"
        "stream.pause = let_others_run\n"
        "names = log_everywhere(pool, 5)\n"
        "check(stream.text.replace('<x 0>\\n<x 1>\\n', '', 1), names, 5)",
        "right",
    ),
    "a lock that greenlets hold and wait for as the first worker starts": (
        "stream = Halves(lambda: gevent.sleep(0.02))\n"
        "handler = log_to(logging.StreamHandler(stream))\n"
        "before = [gevent.spawn(log_many, f'before {n}', 2) for n in range(3)]\n"
        "gevent.sleep(0.005)\n"
        "pool = hubpool.ThreadPool(4)\n"
        "pool.apply(int)\n"
        "stream.pause = let_others_run\n"
        "results = [pool.spawn(log_many, f'task {n}', 2) for n in range(8)]\n"
        "gevent.joinall(before, raise_error=True)\n"
        "[result.get() for result in results]\n"
        "names = [*(f'before {n}' for n in range(3)), *(f'task {n}' for n in range(8))]\n"
        "check(stream, names, 2)\n"
        "print(handler.lock.locked())",
        "right\nFalse",
    ),
    "the module's lock held as the first worker starts": (
        "def hold():\n"
        "    with logging._lock:\n"
        "        gevent.sleep(0.02)\n"
        "        logging.getLogger('a.b.c')\n"
        "holding = gevent.spawn(hold)\n"
        "gevent.sleep(0.005)\n"
        "pool = hubpool.ThreadPool(2)\n"
        "made = pool.map(lambda n: logging.getLogger(f'a.b.{n}').name, range(20))\n"
        "holding.get()\n"
        "print(len(made), logging._lock.locked())",
        "20 False",
    ),
    "finalizers that log": (
        "stream = Halves(lambda: None)\n"
        "log_to(logging.StreamHandler(stream))\n"
        "gc.set_threshold(5)\n"
        "count = 0\n"
        "class Cycle:\n"
        "    def __init__(self):\n"
        "        self.me = self\n"
        "    def __del__(self):\n"
        "        global count\n"
        "        count += 1\n"
        "        log.info('finalizer')\n"
        "pool = hubpool.ThreadPool(4)\n"
        "def task(name):\n"
        "    for number in range(50):\n"
        "        Cycle()\n"
        "        log.info('%s %s', name, number)\n"
        "greenlets = [gevent.spawn(task, n) for n in range(2)]\n"
        "pool.map(task, range(8))\n"
        "gevent.joinall(greenlets, raise_error=True)\n"
        "gc.collect()\n"
        "gc.set_threshold(0)\n"
        "print(count, stream.text.count('finalizer'))",
        "500 500",
    ),
    "a callback of the hub's while a task is in the midst of a line": (
        "stream = Halves(lambda: native_sleep(0.01))\n"
        "log_to(logging.StreamHandler(stream))\n"
        "pool = hubpool.ThreadPool(2)\n"
        "task = pool.spawn(log_many, 'task', 5)\n"
        "def from_hub(number):\n"
        "    log.info('hub %s', number)\n"
        "for number in range(5):\n"
        "    gevent.get_hub().loop.run_callback(from_hub, number)\n"
        "    gevent.sleep(0.005)\n"
        "task.get()\n"
        "gevent.sleep(0.1)\n"
        "check(stream, ['task', 'hub'], 5)",
        "right",
    ),
    "a callback of the hub's while a greenlet is in the midst of a line": (
        "stream = Halves(lambda: gevent.sleep(0.01))\n"
        "log_to(logging.StreamHandler(stream))\n"
        "hubpool.ThreadPool(2).apply(int)\n"
        "greenlet = gevent.spawn(log.info, 'greenlet 0')\n"
        "gevent.sleep(0.001)\n"
        "def from_hub():\n"
        "    try:\n"
        "        log.info('hub')\n"
        "    except gevent.exceptions.BlockingSwitchOutError as error:\n"
        "        print(error)\n"
        "gevent.get_hub().loop.run_callback(from_hub)\n"
        "greenlet.get()\n"
        "check(stream, ['greenlet'], 1)",
        "a hub cannot wait for a greenlet of its own\nright",
    ),
    "a greenlet that waits on the hub of a worker that has ended its task": (
        "stream = Halves(lambda: None)\n"
        "handler = log_to(logging.StreamHandler(stream))\n"
        "pool = hubpool.ThreadPool(4)\n"
        "pool.apply(int)\n"
        "def task():\n"
        "    gevent.spawn(log.info, 'left behind')\n"
        "    gevent.sleep(0.001)\n"
        "with handler.lock:\n"
        "    pool.apply(task)\n"
        "    waiting = len(handler.lock._waiting)\n"
        "names = log_everywhere(pool, 5)\n"
        "print(waiting)\n"
        "check(stream.text.replace('<left behind>\\n', ''), names, 5)",
        "1\nright",
    ),
    "greenlets that are killed, or time out, as they wait": (
        "stream = Halves(lambda: native_sleep(0.001))\n"
        "handler = log_to(logging.StreamHandler(stream))\n"
        "pool = hubpool.ThreadPool(4)\n"
        "tasks = [pool.spawn(log_many, f'task {n}', 20) for n in range(8)]\n"
        "while not all(task.ready() for task in tasks):\n"
        "    killed = gevent.spawn(log_many, 'killed', 3)\n"
        "    with gevent.Timeout(0.001, False):\n"
        "        log_many('timeout', 3)\n"
        "    killed.kill()\n"
        "    gevent.sleep(0.001)\n"
        "[task.get() for task in tasks]\n"
        "gevent.sleep(0.01)\n"
        "print(handler.lock.locked(), len(handler.lock._waiting))\n"
        "text = '\\n'.join(line for line in stream.text.splitlines() if '<task' in line)\n"
        "check(text, [f'task {n}' for n in range(8)], 20)",
        "False 0\nright",
    ),
    "a child that is forked while a task is in the midst of a line": (
        "stream = Halves(lambda: None)\n"
        "handler = log_to(logging.StreamHandler(stream))\n"
        "pool, within, go_on = hubpool.ThreadPool(2), Gate(), Gate()\n"
        "def pause():\n"
        "    within.release()\n"
        "    go_on.acquire()\n"
        "stream.pause = pause\n"
        "task = pool.spawn(log.info, 'task 0')\n"
        "pool.apply(within.acquire)\n"
        "waiting = gevent.spawn(log.info, 'waiting 0')\n"
        "gevent.sleep(0.001)\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    stream.pause, stream.parts = let_others_run, []\n"
        "    waiting.get()\n"
        "    names = ['waiting', *log_everywhere(pool, 1)]\n"
        "    right = sorted(stream.text.splitlines()) == expected(names, 1)\n"
        "    os._exit(0 if right else 1)\n"
        "print(os.waitpid(child, 0)[1])\n"
        "stream.pause = lambda: None\n"
        "go_on.release()\n"
        "task.get(), waiting.get()\n"
        "check(stream, ['task', 'waiting'], 1)",
        "0\nright",
    ),
    "a handler that forks in the midst of a line": (
        "stream = Halves(lambda: None)\n"
        "handler = log_to(logging.StreamHandler(stream))\n"
        "pool, children = hubpool.ThreadPool(2), []\n"
        "pool.apply(int)\n"
        "stream.pause = lambda: children.append(os.fork())\n"
        "log.info('main 0')\n"
        "stream.pause = lambda: None\n"
        "if children == [0]:\n"
        "    names = log_everywhere(pool, 5)\n"
        "    right = sorted(stream.text.splitlines()) == sorted(\n"
        "        ['<main 0>', *expected(names, 5)])\n"
        "    os._exit(0 if right and not logging._lock.locked() else 1)\n"
        "print(os.waitpid(children[0], 0)[1])",
        "0",
    ),
    "a child that is forked within the module's lock": (
        "pool = hubpool.ThreadPool(2)\n"
        "pool.apply(int)\n"
        "with logging._lock:\n"
        "    child = os.fork()\n"
        "    held = logging._lock._is_owned()\n"
        "if not child:\n"
        "    free = not logging._lock._is_owned()\n"
        "    names = pool.map(lambda n: logging.getLogger(f'c{n}').name, range(4))\n"
        "    os._exit(0 if held and free and len(names) == 4 else 1)\n"
        "print(os.waitpid(child, 0)[1], logging._lock._is_owned())",
        "0 False",
    ),
}


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_patched_program(name: str, loop: str) -> None:
    program, printed = PROGRAMS[name]
    if "exit" not in name:
        program += END
    done = run("-c", PATCH + BEGIN + program, loop=loop, GEVENT_THREADPOOL="hubpool.ThreadPool")
    assert (done.returncode, done.stdout, done.stderr) == (0, printed + "\n", "")


#: What a program prints of the lock of a handler that was made before, and of one made later.
KINDS = """
import logging
import gevent, hubpool
{before}
handler = logging.StreamHandler()
hubpool.ThreadPool(1).apply(int)
{after}
later = logging.StreamHandler()
locks = handler.lock, later.lock, logging._lock
print(*(type(lock).__module__ == "hubpool._lock" for lock in locks[:2]), hasattr(locks[2], "_held"))
"""


@pytest.mark.parametrize(
    ("before", "after", "setting", "printed"),
    [
        (PATCH, "", None, "True True True"),
        (PATCH, "", "1", "True True True"),
        (PATCH, "", "0", "False False False"),
        ("", PATCH, None, "True True True"),
        ("", PATCH, "0", "False False False"),
        ("", "", None, "False False False"),
        ("from gevent import monkey; monkey.patch_all(thread=False)", "", None, "False " * 3),
    ],
)
def test_the_locks_change_in_a_patched_program_alone(
    before: str, after: str, setting: str | None, printed: str
) -> None:
    settings = {} if setting is None else {"HUBPOOL_PATCH_LOGGING": setting}
    done = run("-c", KINDS.format(before=before, after=after), loop=LOOPS[0], **settings)
    assert (done.returncode, done.stdout.split()) == (0, printed.split()), done.stderr
