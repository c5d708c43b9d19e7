"""What a worker keeps of the tasks that it has run: nothing."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import pytest
from gates import until

import hubpool

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import MakePool


class _Argument:
    pass


def _fail(*_: Any, **__: Any) -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize("before", [0, 1, 2], ids=["first", "second", "third"])
@pytest.mark.parametrize("copy_context", [False, True])
@pytest.mark.parametrize("function", [id, _fail])
def test_an_idle_worker_refers_to_nothing_that_it_has_run(
    make_pool: MakePool,
    before: int,
    copy_context: bool,
    function: Callable[..., Any],
) -> None:
    pool = make_pool(1, copy_context=copy_context, report_errors="never")
    for _ in range(before):
        pool.apply(int)
    argument = _Argument()
    gone = weakref.ref(argument)
    result = pool.spawn(function, argument)
    del argument
    if function is _fail:
        with pytest.raises(ZeroDivisionError):
            result.get()
    else:
        assert result.get()
    del result
    until(lambda: gone() is None)


def test_an_idle_worker_of_an_executor_refers_to_nothing_that_it_has_run() -> None:
    with hubpool.ThreadPoolExecutor(1) as executor:
        for _ in range(3):
            argument = _Argument()
            gone = weakref.ref(argument)
            assert executor.submit(id, argument).result()
            del argument
            until(lambda gone=gone: gone() is None)
