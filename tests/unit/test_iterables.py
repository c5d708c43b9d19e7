"""How maps read their iterables and give their results."""

from __future__ import annotations

import gc
import itertools
import threading
import weakref
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gates import fail, settle, until

from hubpool import _map
from hubpool._native import Batch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import MakePool
    from gates import Gate, Reported

    import hubpool

IMAPS = pytest.mark.parametrize("method", ["imap", "imap_unordered"])
LIMITS = pytest.mark.parametrize("limit", [None, 0, 1, 3])


class _Turn:
    """The first item ends only after the second has."""

    def __init__(self) -> None:
        self._second = threading.Event()

    def __call__(self, number: int) -> int:
        if number == 1:
            self._second.set()
        elif number == 0 and not self._second.wait(30):
            raise TimeoutError
        return number


def _fail_at_three(number: int) -> int:
    if number == 3:
        fail()
    return number


def _raise_at_end(count: int) -> Iterator[int]:
    yield from range(count)
    raise LookupError("no more")


def _read(results: Iterator[Any]) -> list[Any]:
    """Read all results, with the type of the exception in the place of a failed one."""
    read: list[Any] = []
    while True:
        try:
            read.append(next(results))
        except StopIteration:
            return read
        except Exception as error:  # noqa: BLE001 - any may come
            read.append(type(error))


def test_imap_and_map_keep_the_order_of_the_items(pool: hubpool.ThreadPool) -> None:
    assert list(pool.imap(_Turn(), range(50))) == list(range(50))
    assert list(pool.imap(_Turn(), range(50), maxsize=2)) == list(range(50))
    assert pool.map(_Turn(), range(50)) == list(range(50))


def test_imap_unordered_gives_results_as_they_come(pool: hubpool.ThreadPool, gate: Gate) -> None:
    results = pool.imap_unordered(lambda held: gate(held) if held else held, [True, False])
    assert next(results) is False
    gate.open()
    assert list(results) == [True]


@IMAPS
@LIMITS
def test_several_iterables_are_zipped_to_the_shortest(
    pool: hubpool.ThreadPool, method: str, limit: int | None
) -> None:
    results = getattr(pool, method)(
        lambda *parts: parts, range(20), itertools.count(1), "abc" * 3, maxsize=limit
    )
    assert sorted(results) == list(zip(range(20), itertools.count(1), "abc" * 3, strict=False))


@IMAPS
@LIMITS
def test_nothing_to_map_gives_nothing(
    pool: hubpool.ThreadPool, method: str, limit: int | None
) -> None:
    imap = getattr(pool, method)
    assert list(imap(fail, maxsize=limit)) == []
    assert list(imap(fail, [], maxsize=limit)) == []
    assert list(imap(fail, iter(()), [1], maxsize=limit)) == []
    assert pool.map(fail, []) == pool.map(fail, iter(())) == []
    assert pool.size == 0


@pytest.mark.parametrize("kind", [list, tuple, set, iter, dict.fromkeys])
def test_any_iterable_is_mapped(pool: hubpool.ThreadPool, kind: Any) -> None:
    assert sorted(pool.map(abs, kind(range(300)))) == list(range(300))
    assert sorted(pool.imap(abs, kind(range(300)))) == list(range(300))


@IMAPS
def test_a_finished_map_stays_finished(pool: hubpool.ThreadPool, method: str) -> None:
    results = getattr(pool, method)(abs, [1])
    assert iter(results) is results
    assert list(results) == [1]
    assert list(results) == []


@IMAPS
@pytest.mark.parametrize("kind", [list, iter])
def test_maxsize_bounds_the_results_that_await_the_reader(
    make_pool: MakePool, method: str, kind: Any
) -> None:
    limit = 3
    pool = make_pool(4)
    lock = threading.Lock()
    started = read = most = 0

    def count(number: int) -> int:
        nonlocal started, most
        with lock:
            started += 1
            most = max(most, started - read)
        return number

    results = getattr(pool, method)(count, kind(range(100)), maxsize=limit)
    settle()
    pool.join()
    assert started == limit
    seen = []
    for result in results:
        # The reader has this result; its place is free from the call of next().
        seen.append(result)
        with lock:
            read += 1
    assert sorted(seen) == list(range(100))
    assert most <= limit + 1


@IMAPS
def test_a_map_that_waits_for_its_reader_lets_the_pool_work(
    make_pool: MakePool, method: str
) -> None:
    pool = make_pool(1)
    results = getattr(pool, method)(abs, range(50), maxsize=1)
    settle()
    for number in range(20):
        assert pool.apply(abs, (-number,)) == number
    assert sorted(results) == list(range(50))


@IMAPS
@LIMITS
def test_iterables_are_advanced_on_the_hubs_thread_in_a_greenlet_of_their_own(
    pool: hubpool.ThreadPool, method: str, limit: int | None
) -> None:
    places: set[tuple[int, int]] = set()

    def source() -> Iterator[int]:
        for number in range(200):
            places.add((threading.get_ident(), id(gevent.getcurrent())))
            yield number

    results = getattr(pool, method)(abs, source(), maxsize=limit)
    assert places == set()
    assert sorted(results) == list(range(200))
    ((thread, greenlet),) = places
    assert thread == threading.get_ident()
    assert greenlet != id(gevent.getcurrent())


def test_map_advances_its_iterable_on_the_hubs_thread(pool: hubpool.ThreadPool) -> None:
    threads = set()

    def source() -> Iterator[int]:
        for number in range(200):
            threads.add(threading.get_ident())
            yield number

    assert pool.map(abs, source()) == list(range(200))
    assert threads == {threading.get_ident()}


@IMAPS
@LIMITS
def test_an_iterable_may_wait_cooperatively(
    pool: hubpool.ThreadPool, method: str, limit: int | None
) -> None:
    def source() -> Iterator[int]:
        for number in range(20):
            gevent.sleep(0)
            yield pool.apply(abs, (-number,))

    assert sorted(getattr(pool, method)(abs, source(), maxsize=limit)) == list(range(20))


@IMAPS
@LIMITS
def test_an_infinite_iterable_is_read_as_far_as_wanted(
    pool: hubpool.ThreadPool, method: str, limit: int | None
) -> None:
    results = getattr(pool, method)(abs, itertools.count(), maxsize=limit)
    read = list(itertools.islice(results, 500))
    assert len(set(read)) == 500
    if method == "imap":
        assert read == list(range(500))
    results.kill()
    pool.join()


@IMAPS
def test_a_map_that_is_given_up_leaves_the_pool_empty(
    pool: hubpool.ThreadPool, method: str
) -> None:
    results = getattr(pool, method)(abs, itertools.count(), maxsize=2)
    assert next(results) in (0, 1, 2)
    results.kill()
    del results
    pool.join()
    gc.collect()
    until(lambda: not len(pool))
    assert not pool


@IMAPS
def test_a_map_that_is_dropped_half_way_is_not_run_further(
    pool: hubpool.ThreadPool, gate: Gate, method: str
) -> None:
    results = getattr(pool, method)(lambda n: n and gate(n), range(50))
    assert next(results) == 0
    gate.await_entered(2)
    assert len(pool) == 49
    del results
    gc.collect()
    assert len(pool) == 2
    gate.open()
    pool.join()
    assert not gate.entered()


@IMAPS
def test_a_map_that_nobody_reads_is_run(pool: hubpool.ThreadPool, method: str) -> None:
    called: list[int] = []
    getattr(pool, method)(called.append, range(50))
    until(lambda: len(called) == 50)
    assert sorted(called) == list(range(50))


@IMAPS
def test_only_what_the_reader_has_room_for_counts_as_unfinished(
    make_pool: MakePool, method: str
) -> None:
    pool = make_pool(5)
    results = getattr(pool, method)(abs, range(100), maxsize=1)
    settle()
    pool.join()
    assert (len(pool), bool(pool)) == (0, False)
    assert pool.size <= 2
    assert sorted(results) == list(range(100))


@IMAPS
@LIMITS
def test_readers_in_several_greenlets_share_all_results(
    pool: hubpool.ThreadPool, method: str, limit: int | None
) -> None:
    results = getattr(pool, method)(abs, range(300), maxsize=limit)
    shares = [gevent.spawn(list, results) for _ in range(4)]
    gevent.joinall(shares, raise_error=True)
    assert sorted(itertools.chain(*(share.get() for share in shares))) == list(range(300))


@IMAPS
def test_a_result_that_has_been_read_is_not_kept(pool: hubpool.ThreadPool, method: str) -> None:
    class Result:
        pass

    results = getattr(pool, method)(lambda _: Result(), range(50))
    pool.join()
    read = [weakref.ref(next(results)) for _ in range(40)]
    assert [ref() for ref in read] == [None] * 40


@IMAPS
def test_an_object_that_keeps_its_own_map_is_collected(
    pool: hubpool.ThreadPool, method: str
) -> None:
    class Crawler:
        def __init__(self, unread: int) -> None:
            self.results = getattr(pool, method)(self.fetch, range(3))
            pool.join()
            self.read = [next(self.results) for _ in range(3 - unread)]

        def fetch(self, number: int) -> Crawler:
            return self

    def all_gone() -> bool:
        gc.collect()
        return [crawler() for crawler in crawlers] == [None, None]

    crawlers = [weakref.ref(Crawler(unread)) for unread in (0, 3)]
    until(all_gone)


@IMAPS
def test_an_iterable_is_read_a_bounded_way_ahead_of_stuck_workers(
    pool: hubpool.ThreadPool, gate: Gate, method: str
) -> None:
    advanced = 0

    def source() -> Iterator[int]:
        nonlocal advanced
        for number in range(100_000):
            advanced += 1
            yield number

    results = getattr(pool, method)(gate, source())
    gate.await_entered(2)
    settle()
    # Two are running, and up to twice the first window of three may be queued.
    assert 2 <= advanced <= 8
    results.kill()
    gate.open()
    pool.join()
    assert len(pool) == 0


@IMAPS
def test_an_iterable_is_read_a_bounded_way_ahead_of_fast_workers(
    pool: hubpool.ThreadPool, method: str
) -> None:
    lock = threading.Lock()
    done = most = 0

    def source() -> Iterator[int]:
        nonlocal most
        for number in range(20_000):
            most = max(most, number - done)
            yield number

    def work(number: int) -> int:
        nonlocal done
        with lock:
            done += 1
        return number

    assert sum(getattr(pool, method)(work, source())) == sum(range(20_000))
    assert most <= 1024 + 2 + 2


@LIMITS
def test_an_iterable_that_raises_ends_the_map_after_the_results_before_it(
    pool: hubpool.ThreadPool, errors: list[Reported], limit: int | None
) -> None:
    results = pool.imap(_Turn(), _raise_at_end(5), maxsize=limit if limit != 1 else 2)
    assert [next(results) for _ in range(5)] == list(range(5))
    with pytest.raises(LookupError, match="no more"):
        next(results)
    settle()
    assert [error.kind for error in errors] == [LookupError]
    assert len(pool) == 0


@LIMITS
def test_an_iterable_that_raises_ends_an_unordered_map_too(
    pool: hubpool.ThreadPool, errors: list[Reported], limit: int | None
) -> None:
    results = pool.imap_unordered(abs, _raise_at_end(5), maxsize=limit)
    assert sorted(next(results) for _ in range(5)) == list(range(5))
    with pytest.raises(LookupError, match="no more"):
        next(results)
    assert [error.kind for error in errors] == [LookupError]


@pytest.mark.usefixtures("errors")
def test_map_raises_what_its_iterable_raises(pool: hubpool.ThreadPool) -> None:
    with pytest.raises(LookupError, match="no more"):
        pool.map(abs, _raise_at_end(5))
    pool.join()
    assert len(pool) == 0
    assert pool.map(abs, [-1]) == [1]


@LIMITS
def test_a_failing_item_raises_at_its_place_and_the_others_come(
    pool: hubpool.ThreadPool, errors: list[Reported], limit: int | None
) -> None:
    expected = [0, 1, 2, ZeroDivisionError, 4, 5, 6]
    assert _read(pool.imap(_fail_at_three, range(7), maxsize=limit)) == expected
    assert _read(pool.imap(_fail_at_three, iter(range(7)), maxsize=limit)) == expected
    pool.join()
    assert [error.kind for error in errors] == [ZeroDivisionError] * 2
    assert len(pool) == 0


@LIMITS
def test_a_failing_item_of_an_unordered_map_raises_and_the_others_come(
    pool: hubpool.ThreadPool, errors: list[Reported], limit: int | None
) -> None:
    read = _read(pool.imap_unordered(_fail_at_three, range(7), maxsize=limit))
    assert sorted(read, key=str) == sorted([0, 1, 2, ZeroDivisionError, 4, 5, 6], key=str)
    pool.join()
    assert [error.kind for error in errors] == [ZeroDivisionError]


@pytest.mark.usefixtures("errors")
def test_map_raises_the_error_of_the_first_item_in_order_to_fail(
    pool: hubpool.ThreadPool,
) -> None:
    second = threading.Event()

    def fail_in_turn(number: int) -> None:
        if number == 0:
            assert second.wait(30)
            raise KeyError(number)
        second.set()
        raise IndexError(number)

    with pytest.raises(KeyError):
        pool.map(fail_in_turn, [0, 1])
    pool.join()
    assert len(pool) == 0


def test_maps_of_one_pool_run_side_by_side(pool: hubpool.ThreadPool) -> None:
    maps = [pool.imap(abs, range(start, start + 100), maxsize=5) for start in (0, 100, 200)]
    rows = list(zip(*maps, strict=True))
    assert rows == [(number, number + 100, number + 200) for number in range(100)]


@IMAPS
def test_a_source_without_end_leaves_other_greenlets_their_turn(
    pool: hubpool.ThreadPool, method: str
) -> None:
    # The workers keep up with it: nothing ever makes it wait.
    results = getattr(pool, method)(abs, iter(int, 1))
    for _ in range(5):
        gevent.sleep(0.001)
    assert next(results) == 0
    # The iterator is gone as soon as nobody has it, and the greenlet that feeds it ends.
    del results
    pool.join()
    assert not pool


@IMAPS
def test_a_map_that_is_killed_before_it_begins_has_nothing(
    pool: hubpool.ThreadPool, method: str
) -> None:
    results = getattr(pool, method)(abs, [1])
    results.kill()
    assert list(results) == []
    assert not pool


@pytest.mark.parametrize("number", [50, 5000])
def test_a_map_whose_reader_goes_away_is_not_run_further(
    pool: hubpool.ThreadPool, gate: Gate, number: int
) -> None:
    mapping = gevent.spawn(pool.map, lambda n: n and gate(n), range(number))
    gate.await_entered(2)
    mapping.kill()
    until(lambda: len(pool) == 2)
    gate.open()
    pool.join()
    assert not gate.entered()


def test_a_map_that_comes_to_work_many_times_before_the_hub_is_told_ends_once(
    pool: hubpool.ThreadPool, gate: Gate, errors: list[Reported]
) -> None:
    results = pool.imap(gate, iter([1]))
    gate.await_entered()
    feed = results._feed
    for _ in range(3000):
        feed._begin()
        feed.wake.native.post(feed.batch.message)
    gate.open()
    assert list(results) == [1]
    assert pool.join(10)
    assert (pool._account.outstanding, errors) == (0, [])


def test_many_maps_that_come_to_rest_at_once(
    pool: hubpool.ThreadPool, errors: list[Reported]
) -> None:
    maps = [pool.imap(abs, [-1]) for _ in range(3000)]
    # All are through before the hub hears of the first.
    while pool._core.unfinished:
        pass
    assert [list(results) for results in maps] == [[1]] * len(maps)
    assert pool.join(10)
    assert (pool._account.outstanding, errors) == (0, [])


def test_a_list_is_read_to_its_end_though_its_room_comes_and_goes(
    pool: hubpool.ThreadPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Moody:
        """A batch whose room is gone each time that it has been waited for."""

        def __init__(self, *args: Any) -> None:
            self._batch = Batch(*args)
            self._looks = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(self._batch, name)

        def room(self, most: int) -> int:
            self._looks += 1
            return self._batch.room(most) if self._looks % 2 else 0

    monkeypatch.setattr(_map, "Batch", Moody)
    assert list(pool.imap(abs, list(range(50)), maxsize=1)) == list(range(50))
