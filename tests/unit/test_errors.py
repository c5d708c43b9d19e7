"""What a task raises reaches its caller, and the hub is told as by gevent."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import gevent
import pytest

if TYPE_CHECKING:
    from gates import Reported

    import hubpool


class _Odd(BaseException):
    pass


def _fail(kind: type[BaseException] = LookupError) -> None:
    raise kind("on purpose")


@pytest.mark.parametrize("kind", [LookupError, _Odd, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_the_hub_is_told_what_the_caller_gets(
    pool: hubpool.ThreadPool, errors: list[Reported], kind: type[BaseException]
) -> None:
    with pytest.raises(kind) as caught:
        pool.apply(_fail, (kind,))
    ((worker, func), told, value, tb), *others = errors
    assert others == []
    assert repr(worker).startswith("<ThreadPoolWorker at ")
    assert (func, told) == (_fail, kind)
    assert value is caught.value
    assert traceback.extract_tb(tb)[-1].name == "_fail"


def test_the_callers_traceback_ends_in_the_function(
    pool: hubpool.ThreadPool, errors: list[Reported]
) -> None:
    for call in (
        lambda: pool.apply(_fail),
        lambda: pool.spawn(_fail).get(),
        lambda: pool.map(lambda _: _fail(), [1]),
        lambda: next(pool.imap(lambda _: _fail(), [1])),
    ):
        with pytest.raises(LookupError) as caught:
            call()
        assert caught.traceback[-1].name == "_fail"
    pool.join()
    # Beside each of the four, the greenlet of map() reports what it raises.
    assert len([call for call in errors if type(call[0]) is tuple]) == 4


def test_a_result_says_what_was_raised(pool: hubpool.ThreadPool, errors: list[Reported]) -> None:
    result = pool.spawn(_fail)
    result.wait()
    assert result.ready()
    assert not result.successful()
    assert isinstance(result.exception, LookupError)
    assert errors


def test_wrong_arguments_are_the_tasks_error(
    pool: hubpool.ThreadPool, errors: list[Reported]
) -> None:
    with pytest.raises(TypeError):
        pool.apply(abs, (1, 2))
    with pytest.raises(TypeError):
        pool.apply(abs, (1,), {"unknown": 2})
    assert len(errors) == 2
    with pytest.raises(TypeError):
        pool.apply(abs, 5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="unexpected keyword"):
        pool.imap(abs, [1], unknown=2)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="iterable"):
        pool.map(abs, 5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="negative"):
        pool.imap(abs, [1], maxsize=-1)


def test_an_error_that_waits_for_its_reader_keeps_no_slot(
    pool: hubpool.ThreadPool, errors: list[Reported]
) -> None:
    results = [pool.spawn(_fail) for _ in range(20)]
    gevent.wait(results)
    assert [type(result.exception) for result in results] == [LookupError] * 20
    assert len(errors) == 20
