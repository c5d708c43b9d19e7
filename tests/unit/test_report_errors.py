"""``report_errors``: who learns of a task's error beside its reader."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gates import fail, settle, until

import hubpool

if TYPE_CHECKING:
    from gates import Reported

MAPS = pytest.mark.parametrize("method", ["map", "imap", "imap_unordered"])


def _exit(_: object = None) -> None:
    raise SystemExit(3)


def _fail_odd(number: int) -> int:
    if number % 2:
        raise ZeroDivisionError(number)
    return number


def _reports(errors: list[Reported]) -> list[tuple[type[BaseException], Any]]:
    gc.collect()
    settle()
    return sorted(((error.kind, error.value.args) for error in errors), key=str)


@MAPS
def test_nothing_is_ever_reported(errors: list[Reported], method: str) -> None:
    pool = hubpool.ThreadPool(2, report_errors="never")
    with pytest.raises(ZeroDivisionError):
        pool.apply(fail)
    pool.spawn(fail)
    with pytest.raises(ZeroDivisionError):
        list(getattr(pool, method)(_fail_odd, range(4)))
    pool.join()
    pool.kill()
    assert _reports(errors) == []


def test_never_contains_an_exit() -> None:
    pool = hubpool.ThreadPool(1, report_errors="never")
    result = pool.spawn(_exit)
    assert list(pool.imap(abs, [-1])) == [1]
    with pytest.raises(SystemExit):
        pool.apply(_exit)
    with pytest.raises(SystemExit):
        pool.map(_exit, [1])
    # By default it would have been thrown at this greenlet by now.
    settle()
    assert isinstance(result.exception, SystemExit)
    pool.kill()


@pytest.mark.parametrize("retrieve", ["get", "exception", "exc_info", "link", "gevent.wait"])
def test_a_retrieved_error_is_not_reported(errors: list[Reported], retrieve: str) -> None:
    pool = hubpool.ThreadPool(1, report_errors="unretrieved")
    result: Any = pool.spawn(fail)
    seen: Any = []
    if retrieve == "get":
        with pytest.raises(ZeroDivisionError):
            result.get()
    elif retrieve == "link":
        result.rawlink(lambda source: seen.append(source.exception))
        until(lambda: seen)
    elif retrieve == "gevent.wait":
        [done] = gevent.wait([result])
        with pytest.raises(ZeroDivisionError):
            done.get_nowait()
        del done
    else:
        result.wait()
        assert getattr(result, retrieve)
    del result
    seen.clear()
    pool.kill()
    assert _reports(errors) == []


def test_an_error_that_nobody_retrieves_is_reported_when_the_result_is_dropped(
    errors: list[Reported],
) -> None:
    pool = hubpool.ThreadPool(1, report_errors="unretrieved")
    result = pool.spawn(fail)
    assert result.wait() is None
    with pytest.raises(gevent.Timeout):
        pool.spawn(gevent.sleep, 0.05).get(timeout=0.001)
    pool.join()
    assert _reports(errors) == []
    worker = next(iter(pool._worker_greenlets))
    del result
    until(lambda: errors)
    (reported,) = errors
    assert reported.kind is ZeroDivisionError
    assert reported.context == (worker, fail)
    assert fail.__name__ in str(reported.traceback.tb_next.tb_frame)  # type: ignore[union-attr]
    pool.spawn(fail)
    until(lambda: len(errors) == 2)
    pool.kill()


@MAPS
def test_errors_of_items_that_nobody_reads_are_reported(
    errors: list[Reported], method: str
) -> None:
    pool = hubpool.ThreadPool(1, report_errors="unretrieved")
    numbers = iter(getattr(pool, method)(_fail_odd, range(6)) if method != "map" else ())
    if method == "map":
        with pytest.raises(ZeroDivisionError) as caught:
            pool.map(_fail_odd, range(6))
        assert caught.value.args == (1,)
        del caught
    else:
        assert next(numbers) == 0
        with pytest.raises(ZeroDivisionError):
            next(numbers)
    pool.join()
    del numbers
    assert _reports(errors) == [(ZeroDivisionError, (3,)), (ZeroDivisionError, (5,))]
    pool.kill()


def test_a_value_is_as_with_any_pool(errors: list[Reported]) -> None:
    pool = hubpool.ThreadPool(1, report_errors="unretrieved")
    result = pool.spawn(abs, -1)
    assert result.get() == 1
    assert (result.exception, result.exc_info, result.successful()) == (None, (), True)
    assert isinstance(result, gevent.event.AsyncResult)
    pool.kill()
    assert _reports(errors) == []


def test_a_withdrawn_task_is_no_error(errors: list[Reported]) -> None:
    pool = hubpool.ThreadPool(1, report_errors="unretrieved")
    first = pool.spawn(gevent.sleep, 0.01)
    second = pool.spawn(fail)
    assert pool.cancel(second)
    del second
    first.get()
    pool.kill()
    assert _reports(errors) == []


@pytest.mark.parametrize("choice", ["sometimes", None, True, []])
def test_what_is_no_choice_is_refused(choice: Any) -> None:
    with pytest.raises(ValueError, match=r"report_errors must be one of \('always', 'unretrieved'"):
        hubpool.ThreadPool(1, report_errors=choice)
