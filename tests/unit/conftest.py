"""What the tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import gevent
import pytest
from gates import LIMIT, Gate, Reported, pool_threads, until

import hubpool

if TYPE_CHECKING:
    from collections.abc import Iterator


class MakePool(Protocol):
    """Makes a pool that the test need not kill."""

    def __call__(
        self, maxsize: int, *, kind: type[hubpool.ThreadPool] = ..., **settings: Any
    ) -> hubpool.ThreadPool: ...


@pytest.fixture(autouse=True)
def _limit() -> Iterator[None]:
    # It keeps no loop alive, so that tests can tell what does.
    with gevent.Timeout(LIMIT, ref=False):
        yield


@pytest.fixture
def make_pool() -> Iterator[MakePool]:
    before = set(pool_threads())
    pools: list[hubpool.ThreadPool] = []

    def make(
        maxsize: int, *, kind: type[hubpool.ThreadPool] = hubpool.ThreadPool, **settings: Any
    ) -> hubpool.ThreadPool:
        pools.append(kind(maxsize, **settings))
        return pools[-1]

    yield make
    for pool in pools:
        pool.kill()
        assert pool.size == 0
    until(lambda: not set(pool_threads()) - before)


@pytest.fixture
def pool(make_pool: MakePool) -> hubpool.ThreadPool:
    """Return a pool of two threads."""
    return make_pool(2)


@pytest.fixture
def executor() -> Iterator[hubpool.ThreadPoolExecutor]:
    """Return an executor of two threads."""
    with hubpool.ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.fixture
def gate(
    make_pool: MakePool,  # noqa: ARG001 - the order of their ends
    executor: hubpool.ThreadPoolExecutor,  # noqa: ARG001
) -> Iterator[Gate]:
    """Make a gate that is opened before the pools are killed and the executor is shut down."""
    gate = Gate()
    yield gate
    gate.open()


@pytest.fixture
def errors(monkeypatch: pytest.MonkeyPatch) -> list[Reported]:
    """Return what is reported to the hub, which prints nothing meanwhile."""
    reported: list[Reported] = []

    def handle_error(context: Any, kind: Any, value: Any, traceback: Any) -> None:
        reported.append(Reported(context, kind, value, traceback))

    monkeypatch.setattr(gevent.get_hub(), "handle_error", handle_error)
    return reported
