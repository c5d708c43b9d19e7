"""Names are looked up in threads of their own."""

from __future__ import annotations

import _socket
import socket
import threading
from typing import TYPE_CHECKING, Any

import gevent
import gevent.socket
import pytest
from gates import settle, until

import hubpool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import MakePool
    from gates import Gate


@pytest.fixture
def hubs_pool(make_pool: MakePool, monkeypatch: pytest.MonkeyPatch) -> Iterator[hubpool.ThreadPool]:
    pool = make_pool(2)
    hub = gevent.get_hub()
    monkeypatch.setattr(hub, "_threadpool", pool)
    monkeypatch.setattr(hub, "_resolver", None)
    yield pool
    pool.kill()


def test_a_name_is_looked_up_though_the_hubs_pool_is_full(
    hubs_pool: hubpool.ThreadPool, gate: Gate
) -> None:
    for _ in range(hubs_pool.maxsize + 1):
        hubs_pool.spawn(gate)
    late = gevent.spawn(hubs_pool.apply, int)
    settle()
    assert gevent.socket.getaddrinfo("localhost", 80)
    assert gevent.socket.gethostbyname("localhost") == socket.gethostbyname("localhost")
    assert not late.ready()
    with pytest.raises(socket.gaierror):
        gevent.socket.getaddrinfo("", "no such service")
    gate.open()
    assert late.get() == 0


def test_killing_the_hubs_pool_ends_the_threads_that_look_names_up(
    hubs_pool: hubpool.ThreadPool,
) -> None:
    before = threading.active_count(), len(hubs_pool)
    gevent.socket.getaddrinfo("127.0.0.1", 80)
    assert hubs_pool.size == 0
    lookups = hubs_pool._lookups
    assert lookups is not None
    assert lookups.size == 1
    hubs_pool.kill()
    assert lookups.size == 0
    assert (threading.active_count(), len(hubs_pool)) == before
    # It works again afterwards.
    assert gevent.socket.getaddrinfo("127.0.0.1", 80)


def test_a_lookup_in_another_pool_is_a_task_like_any(
    hubs_pool: hubpool.ThreadPool, make_pool: MakePool, gate: Gate
) -> None:
    class Overridden(hubpool.ThreadPool):
        pass

    for pool in (make_pool(1), make_pool(1, kind=Overridden)):
        pool.spawn(gate)
        waiting = gevent.spawn(pool.apply, _socket.getaddrinfo, ("127.0.0.1", 80))
        until(lambda pool=pool: len(pool) == 2)
        assert not waiting.ready()
        assert pool._lookups is None
    assert hubs_pool._lookups is None
    gate.open()


def test_a_function_that_is_no_lookup_is_not_looked_at(hubs_pool: hubpool.ThreadPool) -> None:
    class Function:
        __hash__: Any = None

        def __eq__(self, other: object) -> bool:
            raise AssertionError(other)

        def __call__(self) -> int:
            return 1

    assert hubs_pool.apply(Function()) == 1
    assert hubs_pool.apply(len, ([1],)) == 1
    assert hubs_pool._lookups is None


def test_the_threads_that_look_names_up_are_as_their_pool_is(
    hubs_pool: hubpool.ThreadPool, monkeypatch: pytest.MonkeyPatch, gate: Gate
) -> None:
    pool = hubs_pool
    monkeypatch.setattr("hubpool.threadpool.is_lookup", lambda func: func is len)
    assert pool.apply(len, ([1],)) == 1
    lookups = pool._lookups
    assert lookups is not None
    before = pool.maxsize
    pool.maxsize = before + 5
    assert lookups.maxsize == before + 5
    pool.maxsize = before
    assert lookups._report_errors == pool._report_errors
    held = lookups.spawn(gate)
    gate.await_entered()
    # Those look-ups are its tasks, too.
    assert len(pool) == 1
    assert pool.join(timeout=0.01) is False
    gate.open()
    held.get()
    assert pool.join(timeout=10) is True
