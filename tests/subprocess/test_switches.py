"""Tools that take a switch of greenlets for the sign that nothing blocks the hub."""

from __future__ import annotations

import pytest
from running import LOOPS, run

CALLS = """
import sys
from gevent import monkey
if PATCHED:
    monkey.patch_all()
import gevent, gevent.events, gevent.util, hubpool
from gevent import get_hub

native_sleep = monkey.get_original("time", "sleep")
pool = hubpool.ThreadPool(2)
executor = hubpool.ThreadPoolExecutor(2)

def wait_natively(condition):
    while not condition():
        native_sleep(0.0001)

class Late(hubpool.ThreadPool):
    def adjust(self):
        # All results are there before anybody can ask for them.
        super().adjust()
        wait_natively(lambda: not len(self))

late = Late(2)

def submit_late(ask):
    future = executor.submit(abs, -1)
    wait_natively(lambda: future._state == "FINISHED")
    return ask(future)

def read_late(results):
    wait_natively(lambda: not len(pool))
    return list(results)

def raises(future):
    try:
        future.result()
    except ValueError:
        return True

one = [-1]
calls = {
    "apply": lambda: pool.apply(abs, one) == 1,
    "spawn().get()": lambda: pool.spawn(abs, -1).get() == 1,
    "map": lambda: pool.map(abs, one) == [1],
    "map, late": lambda: late.map(abs, one) == [1],
    "map of an iterator": lambda: pool.map(abs, iter(one)) == [1],
    "map of nothing": lambda: pool.map(abs, []) == [],
    "imap": lambda: list(pool.imap(abs, one)) == [1],
    "imap of many": lambda: list(pool.imap(abs, range(-5, 0), maxsize=2)) == [5, 4, 3, 2, 1],
    "imap, late": lambda: read_late(pool.imap(abs, one)) == [1],
    "imap of nothing": lambda: list(pool.imap(abs, [])) == [],
    "imap_unordered": lambda: list(pool.imap_unordered(abs, one)) == [1],
    "imap_unordered, late": lambda: read_late(pool.imap_unordered(abs, one)) == [1],
    "submit().result()": lambda: executor.submit(abs, -1).result() == 1,
    "submit().result(9)": lambda: executor.submit(abs, -1).result(9) == 1,
    "result(), late": lambda: submit_late(lambda future: future.result()) == 1,
    "result(9), late": lambda: submit_late(lambda future: future.result(9)) == 1,
    "exception(), late": lambda: submit_late(lambda future: future.exception()) is None,
    "get(), late": lambda: submit_late(lambda future: future.get()) == 1,
    "wait(), late": lambda: submit_late(lambda future: future.wait()) == 1,
    "an error": lambda: raises(executor.submit(int, "x")),
    "executor.map": lambda: list(executor.map(abs, one)) == [1],
    "submit_threadsafe": lambda: pool.submit_threadsafe(abs, -1).result() == 1,
}
"""

ASSERTED = (
    CALLS
    + """
for name, call in calls.items():
    for times, settings in (200, {}), (20, {"max_blocking_time": 20, "hub_only": True}):
        failed = 0
        for _ in range(times):
            try:
                with gevent.util.assert_switches(**settings):
                    assert call()
            except AssertionError:
                failed += 1
        if failed:
            print(name, settings, failed)
print("done")
"""
)

MONITORED = (
    CALLS
    + """
events = []
gevent.events.subscribers.append(events.append)
hub = get_hub()
gevent.sleep(0)  # The hub starts it.
monitor = hub.periodic_monitoring_thread
for name, call in calls.items():
    gevent.sleep(0)
    for _ in range(200):
        # This is what the monitoring thread does at the end of each of its periods.
        monitor.monitor_blocking(hub)
        events.clear()
        assert call()
        monitor.monitor_blocking(hub)
        if events:
            print(name, events[0])
            break
gevent.sleep(0)
monitor.monitor_blocking(hub)
abs(-1)
monitor.monitor_blocking(hub)
print(type(events[0]).__name__, len(events))
"""
)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("patched", [False, True])
def test_no_call_that_waits_is_said_not_to_switch(loop: str, patched: bool) -> None:
    done = run("-c", ASSERTED.replace("PATCHED", str(patched)), loop=loop, timeout=120)
    assert (done.stdout, done.stderr) == ("done\n", "")


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("patched", [False, True])
def test_no_call_that_waits_is_reported_as_one_that_blocks(loop: str, patched: bool) -> None:
    done = run(
        "-c", MONITORED.replace("PATCHED", str(patched)), loop=loop, timeout=120,
        GEVENT_MONITOR_THREAD_ENABLE="true", GEVENT_MAX_BLOCKING_TIME="1000",
        GEVENT_MONITOR_PRINT_BLOCKING_REPORTS="false",
    )  # fmt: skip
    # The last one blocks.
    assert (done.stdout, done.stderr) == ("EventLoopBlocked 1\n", "")
