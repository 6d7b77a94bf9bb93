"""Reading a user through the cache, with a real database and a real Redis that dies, hangs and comes back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
import sqlalchemy as sa

from libs.redis import Link
from services.users.accounts.adapters import caching
from tests.integration.users.house import PASSWORD, House
from tests.integration.users.test_accounts import outcome
from tests.support.people import People
from tests.support.redis_server import RedisServer
from tests.support.waiting import quickest, until

pytestmark = pytest.mark.xdist_group("users-cache")


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    """One Redis for these tests; each finds it empty."""
    server = RedisServer()
    yield server
    server.stop()


@pytest.fixture
def redis(redis_server: RedisServer) -> RedisServer:
    with redis_server.client() as client:
        client.flushall()
    return redis_server


@pytest.fixture
def shared(
    start_server: Callable[..., grpc.Channel], make_database: Callable[[str], str], people: People, redis: RedisServer
) -> Iterator[House]:
    """A users server that keeps what it reads in Redis."""
    link = Link(redis.url)
    yield House(start_server, make_database("users"), people, caching.in_redis(link))
    link.close()


@contextmanager
def counted_queries() -> Iterator[list[str]]:
    """The statements that read users, from every engine of this process."""
    statements: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "FROM users" in statement:
            statements.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)


def test_first_read_is_one_query_and_the_second_none(house: House) -> None:
    user, authorization = house.newcomer()
    with counted_queries() as queries:
        assert house.get(authorization) == user
        assert len(queries) == 1
        assert house.get(authorization, user.user_id) == user
        assert len(queries) == 1


def test_with_redis_too_the_second_read_is_no_query(shared: House) -> None:
    user, authorization = shared.newcomer()
    with counted_queries() as queries:
        assert [shared.get(authorization) for _ in range(3)] == [user] * 3
    assert len(queries) == 1


def test_change_is_seen_at_once_also_by_another_server(
    shared: House, redis: RedisServer, start_server: Callable[..., grpc.Channel], people: People
) -> None:
    other = House(start_server, shared.url, people, caching.in_redis(Link(redis.url)))
    _, authorization = shared.newcomer()
    assert shared.get(authorization) == other.get(authorization)
    changed = shared.update(authorization, full_name="Ana Maria")
    with counted_queries() as queries:
        assert other.get(authorization) == shared.get(authorization) == changed
    assert queries == []


def test_refused_change_leaves_what_is_kept(shared: House) -> None:
    user, authorization = shared.newcomer()
    shared.get(authorization)
    assert outcome(shared.update, authorization, if_match='"9"', full_name="Eve") == "CONCURRENT_CHANGE"
    assert shared.get(authorization) == user


def test_everything_in_redis_ends_within_five_minutes_and_holds_no_secret(shared: House, redis: RedisServer) -> None:
    user, authorization = shared.newcomer()
    shared.get(authorization)
    shared.update(authorization, phone="+258841234567")
    with redis.client() as client:
        keys = list(client.scan_iter())
        assert len(keys) == 1
        for key in keys:
            assert 289 < client.ttl(key) <= 300
            kept = client.get(key).decode()
            assert user.email in kept
            assert "argon2" not in kept
            assert PASSWORD not in kept


def test_what_is_kept_of_others_is_not_shown(shared: House, people: People) -> None:
    user, authorization = shared.newcomer()
    shared.get(authorization)
    with counted_queries() as queries:
        assert outcome(shared.get, people.customer().authorization, user.user_id) == "RESOURCE_NOT_FOUND"
    assert queries == []  # nothing is looked up, so that the time tells nothing either
    assert shared.get(people.admin().authorization, user.user_id) == user


def test_herd_on_a_cold_cache_is_one_query(shared: House, redis: RedisServer) -> None:
    _, authorization = shared.newcomer()
    shared.get(authorization)
    with redis.client() as client:
        client.flushall()
    with counted_queries() as queries, ThreadPoolExecutor(30) as pool:
        list(pool.map(lambda _: shared.get(authorization), range(200)))
    assert len(queries) == 1


def test_redis_that_is_gone_is_done_without(shared: House, redis: RedisServer) -> None:
    user, authorization = shared.newcomer()
    shared.get(authorization)
    redis.stop()
    try:
        with counted_queries() as queries:
            assert [shared.get(authorization) for _ in range(3)] == [user] * 3
        assert len(queries) == 3
        changed = shared.update(authorization, full_name="Ana Maria")
        assert shared.get(authorization) == changed
    finally:
        redis.start()


def test_redis_that_hangs_costs_a_moment_once_and_nothing_old_comes_back_with_it(
    shared: House, redis: RedisServer
) -> None:
    _, authorization = shared.newcomer()
    shared.get(authorization)
    redis.hang()
    try:
        started = time.perf_counter()
        changed = shared.update(authorization, full_name="Ana Maria")
        assert time.perf_counter() - started < 2
        assert quickest(lambda: shared.get(authorization) == changed, 20) < 0.25  # the limit of a question
    finally:
        redis.go_on()

    def is_replaced() -> bool:
        assert shared.get(authorization) == changed
        with redis.client() as client:
            return b"Ana Maria" in (client.get(client.keys()[0]) or b"")

    until(is_replaced)  # the old value is in Redis still; what this server is owed replaces it before anything is read


def test_what_another_program_version_kept_is_read_anew(shared: House, redis: RedisServer) -> None:
    user, authorization = shared.newcomer()
    shared.get(authorization)
    with redis.client() as client:
        [key] = client.keys()
        client.set(key, b'1:{"form": "unknown"}', ex=60)
    assert shared.get(authorization) == user
