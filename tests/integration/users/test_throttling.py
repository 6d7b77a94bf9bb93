"""Guessing passwords at a real server: with Redis, without, and while Redis is away."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import psycopg
import pytest
from google.rpc import error_details_pb2
from prometheus_client import REGISTRY

from bazaruto.users.v1 import auth_pb2
from libs.redis import Link
from services.users.accounts.adapters.throttling import Throttle
from tests.integration.users.house import PASSWORD, House
from tests.integration.users.test_accounts import outcome
from tests.support.errors import reason_of, status_of
from tests.support.people import People
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.xdist_group("users-cache")
WRONG = "wrong-carrinha-47"
Start = Callable[..., House]


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    server = RedisServer()
    yield server
    server.stop()


@pytest.fixture
def start(
    start_server: Callable[..., grpc.Channel], make_database: Callable[[str], str], people: People
) -> Callable[..., House]:
    """`start(url)` serves with throttling; on another server's database when `url` is given."""
    return lambda link=None, url="": House(start_server, url or make_database("users"), people, throttle=Throttle(link))


@pytest.fixture
def link(redis: RedisServer) -> Iterator[Link]:
    with redis.client() as client:
        client.flushall()
    link = Link(redis.url)
    yield link
    link.close()


def guess(house: House, email: str, times: int, password: str = WRONG) -> list[str]:
    """How that many attempts end."""
    return [outcome(house.log_in, email, password) for _ in range(times)]


def delay_of(house: House, email: str) -> float:
    """How long a refused attempt is told to wait."""
    with pytest.raises(grpc.RpcError) as refused:
        house.log_in(email)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert reason_of(refused.value) == "TOO_MANY_ATTEMPTS"
    retry_info = error_details_pb2.RetryInfo()
    assert any(detail.Unpack(retry_info) for detail in status_of(refused.value).details)
    return float(retry_info.retry_delay.ToTimedelta().total_seconds())


def test_after_five_failures_even_the_right_password_has_to_wait(start: Start) -> None:
    house = start()
    user = house.register()
    assert guess(house, user.email, 5) == ["CREDENTIALS_INVALID"] * 5
    seconds = delay_of(house, user.email)
    assert 0 < seconds <= 1
    time.sleep(seconds)
    assert outcome(house.log_in, user.email) == "ok"


def test_who_finds_out_by_registering_who_has_an_account_has_to_wait(start: Start) -> None:
    house = start()
    emails = [house.register().email for _ in range(8)]
    ends = [outcome(house.register, email) for email in emails[:6]]
    assert ends == ["EMAIL_TAKEN"] * 5 + ["TOO_MANY_ATTEMPTS"]
    with psycopg.connect(house.url) as connection:
        refused = connection.execute("SELECT count(*) FROM audit_events WHERE action = 'user_creation_failed'")
        assert refused.fetchone() == (5,)
    assert outcome(house.log_in, emails[0]) == "ok"


def test_unknown_account_is_made_to_wait_like_any_other(start: Start) -> None:
    house = start()
    assert guess(house, "nobody@example.com", 6) == ["CREDENTIALS_INVALID"] * 5 + ["TOO_MANY_ATTEMPTS"]


def test_wait_doubles_with_each_further_failure(start: Start) -> None:
    house = start()
    user = house.register()
    guess(house, user.email, 5)
    time.sleep(delay_of(house, user.email))
    assert guess(house, user.email, 1) == ["CREDENTIALS_INVALID"]
    assert 1 < delay_of(house, user.email) <= 2


def test_one_address_that_tries_many_accounts_has_to_wait(start: Start) -> None:
    house = start()
    users = [house.register() for _ in range(6)]
    assert [outcome(house.log_in, user.email, WRONG) for user in users[:5]] == ["CREDENTIALS_INVALID"] * 5
    assert outcome(house.log_in, users[5].email) == "TOO_MANY_ATTEMPTS"


def test_account_that_many_addresses_try_has_to_wait(start: Start, people: People) -> None:
    house = start()
    user = house.register()
    request = auth_pb2.LogInRequest(email=user.email, password=WRONG)
    proof = people.service("gateway").authorization

    def from_address(number: int) -> str:
        metadata: Any = (("x-forwarded-for", f"203.0.113.{number}"), ("x-forwarded-by", proof))
        return outcome(house.auth.LogIn, request, metadata=metadata)

    assert [from_address(number) for number in range(6)] == ["CREDENTIALS_INVALID"] * 5 + ["TOO_MANY_ATTEMPTS"]


def test_address_that_somebody_made_up_is_not_believed(start: Start) -> None:
    house = start()
    users = [house.register() for _ in range(6)]
    ended = [
        outcome(
            house.auth.LogIn,
            auth_pb2.LogInRequest(email=user.email, password=WRONG),
            metadata=(("x-forwarded-for", f"203.0.113.{number}"),),
        )
        for number, user in enumerate(users)
    ]
    assert ended == ["CREDENTIALS_INVALID"] * 5 + ["TOO_MANY_ATTEMPTS"]


def test_success_begins_the_count_of_the_account_anew(start: Start, people: People) -> None:
    house = start()
    user = house.register()
    proof = people.service("gateway").authorization

    def from_address(number: int, password: str) -> str:
        request = auth_pb2.LogInRequest(email=user.email, password=password)
        metadata: Any = (("x-forwarded-for", f"203.0.113.{number}"), ("x-forwarded-by", proof))
        return outcome(house.auth.LogIn, request, metadata=metadata)

    assert {from_address(number, WRONG) for number in range(4)} == {"CREDENTIALS_INVALID"}
    assert from_address(50, PASSWORD) == "ok"
    assert {from_address(number, WRONG) for number in range(4)} == {"CREDENTIALS_INVALID"}


def test_attempts_that_wait_are_counted_as_failed_log_ins(start: Start) -> None:
    house = start()
    user = house.register()

    def counted() -> float:
        names = ("wrong_password", "throttled")
        counts = (REGISTRY.get_sample_value("bazaruto_auth_failed_logins_total", {"reason": name}) for name in names)
        return sum(value or 0 for value in counts)

    before = counted()
    guess(house, user.email, 11)
    assert counted() - before == 11


def test_audit_log_tells_when_waiting_began(start: Start) -> None:
    house = start()
    user = house.register()
    guess(house, user.email, 7)
    waits = house.sql("SELECT details ->> 'wait_seconds' FROM audit_events WHERE action = 'login_failed' ORDER BY id")
    assert waits == [("0.0",)] * 4 + [("1.0",)]  # attempts that are not looked at add nothing


def test_two_servers_count_together_in_redis(start: Start, link: Link, redis: RedisServer) -> None:
    one = start(link)
    other = start(Link(redis.url), one.url)
    user = one.register()
    ended = guess(one, user.email, 3) + guess(other, user.email, 3)
    assert ended == ["CREDENTIALS_INVALID"] * 5 + ["TOO_MANY_ATTEMPTS"]
    assert outcome(one.log_in, user.email) == "TOO_MANY_ATTEMPTS"
    with redis.client() as client:
        keys = list(client.scan_iter())
        assert keys
        assert all(client.ttl(key) >= 0 for key in keys)  # nothing stays for ever
        assert user.email not in str(keys)


def test_while_redis_is_away_guessing_is_still_throttled(start: Start, link: Link, redis: RedisServer) -> None:
    house = start(link)
    user = house.register()
    redis.stop()
    try:
        assert guess(house, user.email, 6) == ["CREDENTIALS_INVALID"] * 5 + ["TOO_MANY_ATTEMPTS"]
    finally:
        redis.start()
