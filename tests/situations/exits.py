"""A process that ends while its pools are about something, with nothing to say."""

from __future__ import annotations

_STATES = {
    "blocked workers": """
pool.spawn(time.sleep, 1000)
results = pool.spawn(threading.Lock().acquire)
""",
    "queued tasks": "results = [pool.spawn(time.sleep, 1000) for _ in range(3)]\n",
    "running maps": """
results = [pool.imap(lambda _: time.sleep(0.0001), range(100000)) for _ in range(3)]
next(results[0])
""",
    "an iterator without end": """
results = pool.imap(abs, iter(int, 1), maxsize=100)
next(results)
""",
    "a worker that never waits": """
def endless():
    while True:
        pass
results = pool.spawn(endless)
""",
}

_WAYS = {
    "the end of the program": "",
    "`sys.exit()` in a greenlet": """
sys.stdout.write("right\\n")
sys.stdout.flush()
gevent.spawn(sys.exit, 0).join()
gevent.sleep(5)
os._exit(1)
""",
    "a signal": """
sys.stdout.write("right\\n")
sys.stdout.flush()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
sender = threading.Thread(target=lambda: os.kill(os.getpid(), signal.SIGTERM))
sender.start()
gevent.sleep(5)
os._exit(1)
""",
}

PROGRAMS = {
    f"{way}, {state}": f"pool = ThreadPool(2)\n{_STATES[state]}{_WAYS[way]}"
    for state in _STATES
    for way in _WAYS
}
PROGRAMS |= {
    "an `atexit` hook that uses the pool": """
import atexit
pool = ThreadPool(2)
pool.apply(int)
def hook():
    if pool.apply(abs, (-1,)) != 1 or pool.spawn(abs, -2).get() != 2:
        os._exit(1)
atexit.register(hook)
""",
    "an `atexit` hook that needs a first thread": """
import atexit
pool = ThreadPool(2)
def hook():
    if pool.apply(abs, (-1,)) != 1 or pool.spawn(abs, -2).get() != 2:
        os._exit(1)
atexit.register(hook)
""",
    "an `atexit` hook that looks a name up": """
import atexit, gevent.socket
gevent.config.threadpool = ThreadPool
def hook():
    if gevent.socket.getaddrinfo("127.0.0.1", 80)[0][4] != ("127.0.0.1", 80):
        os._exit(1)
atexit.register(hook)
""",
    "workers that use gevent": """
pool = ThreadPool(2)
# All at one depth of the C stack: before CPython 3.14 a thread that ends where greenlets have
# moved it crashes, whoever has made it.
for result in [pool.spawn(gevent.sleep, 0.001) for _ in range(3)]:
    result.get()
results = pool.spawn(gevent.sleep, 1000)
""",
    "an executor with queued tasks, which it runs": """
executor, ran = ThreadPoolExecutor(1), []
for number in range(5):
    executor.submit(ran.append, number)
import atexit
atexit.register(lambda: ran == list(range(5)) or os._exit(1))
""",
}
