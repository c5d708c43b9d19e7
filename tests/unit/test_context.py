"""What a task sets in its context is seen by no other."""

from __future__ import annotations

from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any

import gevent
import pytest

import hubpool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import MakePool

word: ContextVar[str] = ContextVar("word", default="none")


def replace(new: Any) -> str:
    """Set the word; return what it was."""
    old = word.get()
    word.set(str(new))
    return old


@pytest.fixture
def said() -> Iterator[None]:
    """Set the word for the submitter."""
    token = word.set("submitter's")
    yield
    word.reset(token)


WAYS = pytest.mark.parametrize("way", ["apply", "spawn", "map", "imap", "imap_unordered"])


def _replace_thrice(pool: hubpool.ThreadPool, way: str) -> list[str]:
    if way == "apply":
        return [pool.apply(replace, (number,)) for number in range(3)]
    if way == "spawn":
        return [result.get() for result in [pool.spawn(replace, number) for number in range(3)]]
    return list(getattr(pool, way)(replace, range(3)))


@WAYS
@pytest.mark.usefixtures("said")
def test_each_task_starts_in_an_empty_context(make_pool: MakePool, way: str) -> None:
    pool = make_pool(1)
    assert _replace_thrice(pool, way) == ["none"] * 3
    assert pool.apply(lambda: len(copy_context())) == 0
    assert word.get() == "submitter's"


@WAYS
@pytest.mark.usefixtures("said")
def test_each_task_may_start_in_a_copy_of_its_submitters(make_pool: MakePool, way: str) -> None:
    pool = make_pool(1, copy_context=True)
    assert _replace_thrice(pool, way) == ["submitter's"] * 3
    assert word.get() == "submitter's"


@pytest.mark.usefixtures("said")
def test_the_submitter_is_the_greenlet_that_submits(make_pool: MakePool) -> None:
    pool = make_pool(1, copy_context=True)

    def submit() -> str:
        word.set("greenlet's")
        return pool.apply(word.get)

    assert gevent.spawn(submit).get() == "greenlet's"
    assert pool.apply(word.get) == "submitter's"


@pytest.mark.usefixtures("said")
def test_a_hook_runs_in_the_context_of_its_task(make_pool: MakePool) -> None:
    class Worker(hubpool._WorkerGreenlet):
        def _before_run_task(self, *args: Any) -> None:
            seen.append(word.get())

        def _after_run_task(self, *args: Any) -> None:
            seen.append(word.get())

    class Pool(hubpool.ThreadPool):
        _WorkerGreenlet = Worker

    seen: list[str] = []
    pool = make_pool(1, kind=Pool, copy_context=True)
    for way in ("apply", "map"):
        assert _replace_thrice(pool, way) == ["submitter's"] * 3
    assert seen == ["submitter's", "0", "submitter's", "1", "submitter's", "2"] * 2


def test_a_task_that_fails_leaves_no_context(make_pool: MakePool) -> None:
    def set_and_fail() -> None:
        word.set("failed")
        raise LookupError

    pool = make_pool(1)
    with pytest.raises(LookupError):
        pool.apply(set_and_fail)
    assert pool.apply(word.get) == "none"


def test_a_forked_pool_copies_contexts_as_before(make_pool: MakePool) -> None:
    pool = make_pool(1, copy_context=True)
    pool._after_fork_in_child()
    assert pool._copy_context is True


def test_an_executors_task_sees_what_the_initializer_has_set_and_no_other() -> None:
    with hubpool.ThreadPoolExecutor(1, initializer=word.set, initargs=("begun",)) as executor:
        assert [executor.submit(replace, number).result() for number in range(3)] == ["begun"] * 3
    with hubpool.ThreadPoolExecutor(1) as executor:
        assert [executor.submit(replace, number).result() for number in range(3)] == ["none"] * 3
