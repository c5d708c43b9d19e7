"""Errors are reported as gevent reports them, and bad input leaves the pool usable."""

from __future__ import annotations

import contextlib
import io
import traceback
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gates import fail

import hubpool

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import MakePool
    from gates import Reported


class _Unusual(BaseException):
    pass


def _raise(kind: type[BaseException]) -> None:
    raise kind("on purpose")


KINDS = pytest.mark.parametrize(
    "kind", [ValueError, _Unusual, SystemExit, KeyboardInterrupt, StopIteration]
)


def _functions(error: BaseException) -> list[str]:
    return [frame.name for frame in traceback.extract_tb(error.__traceback__)]


def _of_workers(errors: list[Reported]) -> list[Reported]:
    # As gevent's, the greenlet in which map() runs reports its error again.
    return [error for error in errors if type(error.context) is tuple]


@KINDS
def test_an_error_of_any_kind_reaches_the_reader_and_the_hub(
    pool: hubpool.ThreadPool, errors: list[Reported], kind: type[BaseException]
) -> None:
    result = pool.spawn(_raise, kind)
    with pytest.raises(kind, match="on purpose") as caught:
        result.get()
    assert not result.successful()
    assert result.exception is caught.value
    (reported,) = errors
    assert reported.kind is kind
    assert reported.value is caught.value
    assert len(pool) == 0


def test_a_task_is_reported_with_its_worker_and_its_function(
    pool: hubpool.ThreadPool, errors: list[Reported]
) -> None:
    with pytest.raises(ZeroDivisionError):
        pool.apply(fail)
    worker, function = errors[0].context
    assert isinstance(worker, hubpool._WorkerGreenlet)
    assert worker in pool._worker_greenlets
    assert function is fail


def test_an_item_is_reported_with_its_worker_and_its_function(
    pool: hubpool.ThreadPool, errors: list[Reported]
) -> None:
    with pytest.raises(ZeroDivisionError):
        pool.map(fail, [1])
    pool.join()
    ((worker, function),) = [error.context for error in _of_workers(errors)]
    assert isinstance(worker, hubpool._WorkerGreenlet)
    assert function is fail


@KINDS
@pytest.mark.parametrize("method", ["map", "imap", "imap_unordered"])
def test_each_failing_item_is_reported_once(
    pool: hubpool.ThreadPool, errors: list[Reported], kind: type[BaseException], method: str
) -> None:
    def raise_odd(number: int) -> None:
        if number % 2:
            raise kind(number)

    if method == "map":
        with pytest.raises(kind):
            pool.map(raise_odd, range(10))
    else:
        results = getattr(pool, method)(raise_odd, range(10))
        for _ in range(10):
            with contextlib.suppress(kind):
                next(results)
    pool.join()
    reported = [error for error in _of_workers(errors) if error.kind is kind]
    assert sorted(error.value.args[0] for error in reported) == [1, 3, 5, 7, 9]
    assert len(pool) == 0


def test_the_traceback_leads_to_the_function(
    pool: hubpool.ThreadPool, errors: list[Reported]
) -> None:
    result = pool.spawn(fail)
    with pytest.raises(ZeroDivisionError) as caught:
        result.get()
    assert _functions(caught.value)[-1] == "fail"
    reported = traceback.extract_tb(errors[0].traceback)
    assert reported[-1].name == "fail"


@pytest.mark.usefixtures("errors")
@pytest.mark.parametrize("method", ["map", "imap", "imap_unordered"])
def test_the_traceback_of_an_item_leads_to_the_function(
    pool: hubpool.ThreadPool, method: str
) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        list(getattr(pool, method)(fail, [1]))
    assert _functions(caught.value)[-1] == "fail"
    assert len(pool) == 0


def test_an_error_whose_traceback_cannot_be_copied_reaches_its_result(
    pool: hubpool.ThreadPool,
    errors: list[Reported],
) -> None:
    class Refuses:
        def __reduce_ex__(self, _protocol: object) -> str:
            raise TypeError("not to be copied")

    names: dict[str, Any] = {"__file__": Refuses()}
    exec("def refused(): raise ZeroDivisionError", names)
    with pytest.raises(ZeroDivisionError):
        pool.spawn(names["refused"]).get(timeout=10)
    pool.join()
    assert [error[1] for error in errors] == [ZeroDivisionError, TypeError]


def test_the_error_of_a_recursion_without_end_reaches_the_reader(
    pool: hubpool.ThreadPool,
    errors: list[Reported],  # noqa: ARG001 - it prints nothing
) -> None:
    def deeper() -> None:
        deeper()

    result = pool.spawn(deeper)
    with pytest.raises(RecursionError) as raised:
        result.get(timeout=10)
    assert "deeper" in _functions(raised.value)
    with pytest.raises(RecursionError):
        pool.map(lambda _: deeper(), [1])
    pool.join()


def test_an_error_is_printed_to_the_hubs_exception_stream(
    pool: hubpool.ThreadPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(gevent.get_hub(), "exception_stream", stream)
    with pytest.raises(ZeroDivisionError):
        pool.apply(fail)
    printed = stream.getvalue()
    assert printed.count("Traceback (most recent call last):") == 1, printed
    assert "ZeroDivisionError: on purpose" in printed
    assert "in fail" in printed
    assert "(<ThreadPoolWorker at 0x" in printed
    assert "failed with ZeroDivisionError" in printed


def test_what_the_hub_does_not_take_for_an_error_is_not_printed(
    pool: hubpool.ThreadPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(gevent.get_hub(), "exception_stream", stream)
    monkeypatch.setattr(gevent.get_hub(), "NOT_ERROR", (ZeroDivisionError,))
    with pytest.raises(ZeroDivisionError):
        pool.apply(fail)
    assert stream.getvalue() == ""


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_an_error_of_the_systems_kind_is_raised_in_the_main_greenlet_and_at_the_reader(
    pool: hubpool.ThreadPool, monkeypatch: pytest.MonkeyPatch, kind: type[BaseException]
) -> None:
    monkeypatch.setattr(gevent.get_hub(), "exception_stream", None)
    result = pool.spawn(_raise, kind)

    def read() -> BaseException | None:
        try:
            result.get()
        except BaseException as error:  # noqa: BLE001 - it is what is looked for
            return error
        return None

    reader = gevent.spawn(read)
    with pytest.raises(kind):
        reader.join()
    assert type(reader.get()) is kind
    pool.join()
    assert len(pool) == 0


@pytest.mark.usefixtures("errors")
def test_errors_free_their_slots(pool: hubpool.ThreadPool) -> None:
    results = [pool.spawn(fail) for _ in range(50)]
    for result in results:
        with pytest.raises(ZeroDivisionError):
            result.get()
    assert len(pool) == 0
    assert pool.apply(abs, (-1,)) == 1


@pytest.mark.parametrize(
    ("maxsize", "kind"),
    [(-1, ValueError), (-(2**70), ValueError), (1.5, TypeError), ("1", TypeError),
     (None, TypeError), ([], TypeError)],
)  # fmt: skip
def test_a_bad_maxsize_is_refused(
    pool: hubpool.ThreadPool, maxsize: Any, kind: type[Exception]
) -> None:
    with pytest.raises(kind, match="maxsize"):
        hubpool.ThreadPool(maxsize)
    with pytest.raises(kind, match="maxsize"):
        pool.maxsize = maxsize
    assert (pool.maxsize, len(pool)) == (2, 0)
    assert pool.apply(abs, (-1,)) == 1


def test_a_huge_maxsize_is_refused_or_works(pool: hubpool.ThreadPool) -> None:
    try:
        pool.maxsize = 2**70
    except (OverflowError, ValueError):
        assert pool.maxsize == 2
    assert pool.apply(abs, (-1,)) == 1
    assert len(pool) == 0


@pytest.mark.parametrize("size", [-1, -5, 3, 100])
def test_a_size_out_of_range_is_refused(pool: hubpool.ThreadPool, size: int) -> None:
    with pytest.raises(ValueError, match="Size of the pool cannot be"):
        pool.size = size
    assert (pool.size, len(pool)) == (0, 0)
    assert pool.apply(abs, (-1,)) == 1


BAD_CALLS: dict[str, Callable[[Any], Any]] = {
    "spawn nothing": lambda pool: pool.spawn(),
    "spawn None": lambda pool: pool.spawn(None).get(),
    "spawn a number": lambda pool: pool.spawn(5, 6).get(),
    "apply None": lambda pool: pool.apply(None),
    "apply_async None": lambda pool: pool.apply_async(None).get(),
    "too many arguments": lambda pool: pool.apply(abs, (1, 2)),
    "an unknown argument": lambda pool: pool.apply(abs, (1,), {"unknown": 1}),
    "map None": lambda pool: pool.map(None, [1]),
    "imap None": lambda pool: list(pool.imap(None, [1])),
    "imap_unordered None": lambda pool: list(pool.imap_unordered(None, [1])),
    "map a number": lambda pool: pool.map(abs, 5),
    "map_async a number": lambda pool: pool.map_async(abs, 5).get(),
    "imap a number": lambda pool: list(pool.imap(abs, 5)),
    "imap_unordered a number": lambda pool: list(pool.imap_unordered(abs, 5)),
    "imap one number of two": lambda pool: list(pool.imap(pow, [1], 5)),
    "imap with an unknown keyword": lambda pool: pool.imap(abs, [1], unknown=1),
    "imap_unordered with an unknown keyword": lambda pool: pool.imap_unordered(abs, [1], size=1),
    "map with an unknown keyword": lambda pool: pool.map(abs, [1], maxsize=1),
    "items of the wrong number of parts": lambda pool: list(pool.imap(abs, [1], [2])),
    "items of the wrong type": lambda pool: pool.map(abs, ["a"]),
    "imap with a maxsize that is no number": lambda pool: pool.imap(abs, [1], maxsize="1"),
}


@pytest.mark.usefixtures("errors")
@pytest.mark.parametrize("call", BAD_CALLS.values(), ids=BAD_CALLS)
def test_a_bad_call_is_a_type_error_and_leaves_the_pool_usable(
    pool: hubpool.ThreadPool, call: Callable[[Any], Any]
) -> None:
    # More often than there are slots.
    for _ in range(5):
        with pytest.raises(TypeError):
            call(pool)
    pool.join()
    assert len(pool) == 0
    assert [pool.apply(abs, (-number,)) for number in range(5)] == list(range(5))
    assert pool.map(abs, [-1]) == list(pool.imap(abs, [-1])) == [1]
    assert len(pool) == 0


@pytest.mark.usefixtures("errors")
@pytest.mark.parametrize("method", ["imap", "imap_unordered"])
def test_what_is_not_iterable_is_refused_by_the_call_itself(
    pool: hubpool.ThreadPool, method: str
) -> None:
    imap = getattr(pool, method)
    with pytest.raises(TypeError, match="iter"):
        imap(abs, 5)
    with pytest.raises(TypeError, match="iter"):
        imap(pow, [1], 5)
    assert len(pool) == 0


@pytest.mark.parametrize("method", ["imap", "imap_unordered"])
def test_a_negative_bound_of_a_map_is_refused(pool: hubpool.ThreadPool, method: str) -> None:
    with pytest.raises(ValueError, match="negative"):
        getattr(pool, method)(abs, [1], maxsize=-1)
    assert len(pool) == 0
    assert pool.apply(abs, (-1,)) == 1


def test_a_thread_that_cannot_be_started_is_an_error_and_takes_no_slot(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool(1)

    def refuse(*_: Any) -> int:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr("hubpool._gevent.start_new_thread", refuse)
        for _ in range(5):
            with pytest.raises(RuntimeError, match="new thread"):
                pool.spawn(abs, -1)
        assert (len(pool), pool.size) == (0, 0)
    assert pool.apply(abs, (-1,)) == 1
