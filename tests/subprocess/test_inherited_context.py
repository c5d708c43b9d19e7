"""No task takes after the context of the thread that starts its worker."""

from __future__ import annotations

import sys

import pytest
from running import LOOPS, run

PROGRAM = """
if PATCHED:
    from gevent import monkey
    monkey.patch_all()
import sys
import threading
from contextvars import ContextVar
import hubpool

assert sys.flags.thread_inherit_context
word = ContextVar("word", default="none")
word.set("starter's")
inherited = []
thread = threading.Thread(target=lambda: inherited.append(word.get()))
thread.start()
thread.join()
seen = []
pool = hubpool.ThreadPool(1)
seen.append(pool.apply(word.get))
seen.append(pool.spawn(word.get).get())
seen += pool.map(lambda _: word.get(), range(2))
with hubpool.ThreadPoolExecutor(1) as executor:
    seen.append(executor.submit(word.get).result())
with hubpool.ThreadPoolExecutor(1, initializer=lambda: seen.append(word.get())) as executor:
    seen.append(executor.submit(word.get).result())
print(set(inherited), set(seen), len(seen))
"""


@pytest.mark.skipif(
    sys.version_info < (3, 14), reason="threads inherit a context from CPython 3.14 on"
)
@pytest.mark.parametrize("patched", [False, True], ids=["unpatched", "patched"])
@pytest.mark.parametrize("loop", LOOPS)
def test_tasks_start_in_an_empty_context_where_threads_inherit_their_starters(
    loop: str, patched: bool
) -> None:
    program = PROGRAM.replace("PATCHED", str(patched))
    done = run("-X", "thread_inherit_context=1", "-c", program, loop=loop)
    assert (done.stdout, done.stderr) == ("{\"starter's\"} {'none'} 7\n", "")
