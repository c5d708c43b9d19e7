"""The hub's side of a map keeps up with workers of any speed."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gates import LIMIT, fail
from gevent.queue import Queue

import hubpool
from hubpool._map import _Feed

if TYPE_CHECKING:
    from gates import Reported

_attend = _Feed._attend


def _attend_late(feed: _Feed) -> None:
    # Once there is a worker, it ends what it can reach, and rests, unseen.
    while feed._pool.size and not feed.batch.at_rest():
        time.sleep(0)  # Lets the interpreter go.
    _attend(feed)


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Feed, "_attend", _attend_late)


@pytest.mark.usefixtures("late")
@pytest.mark.parametrize("method", ["imap", "imap_unordered"])
@pytest.mark.parametrize("limit", [None, 1, 3])
def test_workers_that_rest_before_the_hub_looks_are_heard(method: str, limit: int | None) -> None:
    pool = hubpool.ThreadPool(2)
    with gevent.Timeout(30):
        results = getattr(pool, method)(abs, range(50), maxsize=limit)
        assert sorted(results) == list(range(50))
        pool.join()
    assert len(pool) == 0
    assert pool._account.outstanding == 0
    pool.kill()


@pytest.mark.usefixtures("late")
def test_each_item_of_a_queue_is_processed_as_it_arrives() -> None:
    pool = hubpool.ThreadPool(2)
    items: Queue[Any] = Queue()
    with gevent.Timeout(30):
        results = pool.imap(abs, items)
        for number in range(20):
            items.put(-number)
            assert next(results) == number
        items.put(StopIteration)
        assert list(results) == []
        pool.join()
    assert pool._account.outstanding == 0
    pool.kill()


def test_an_error_is_reported_before_its_map_counts_as_ended(
    pool: hubpool.ThreadPool, errors: list[Reported], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A message that was on its way already finds the batch at rest: the report of
    # the last item has been posted, and nothing has taken it from the list.
    told = _Feed.told

    def told_late(feed: _Feed) -> None:
        while not feed.batch.at_rest():
            time.sleep(0)  # Lets the interpreter go.
        told(feed)

    monkeypatch.setattr(_Feed, "told", told_late)
    for _ in range(20):
        results = pool.imap(lambda number: number and fail(), range(2))
        assert next(results) == 0
        pool.join()
        assert [error.kind for error in errors] == [ZeroDivisionError]
        errors.clear()


@pytest.mark.parametrize("busy", [False, True])
def test_a_worker_joins_an_item_that_waits_for_the_next_one(busy: bool) -> None:
    pool = hubpool.ThreadPool(3)
    meeting = threading.Barrier(3)
    with gevent.Timeout(LIMIT):
        results = pool.imap(lambda _: meeting.wait(LIMIT), range(3))
        end = time.monotonic() + LIMIT
        while busy and meeting.n_waiting < 3 and len(pool) > 0:
            # The hub's thread keeps a core, and the interpreter as far as it may.
            assert time.monotonic() < end
        assert sorted(results) == [0, 1, 2]
    pool.kill()
