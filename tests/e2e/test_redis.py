"""Redis as the platform uses it: bounded, hit far more often than missed, and nothing in it stays for ever."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from tests.support.buyer import Buyer
from tests.support.platform import Platform

pytestmark = pytest.mark.xdist_group("platform")


@pytest.fixture
def server(platform: Platform) -> Iterator[Any]:
    """The platform's own Redis."""
    with redis.Redis.from_url(platform.environment["BAZARUTO_REDIS__URL"]) as client:
        yield client


def test_memory_is_bounded_and_the_least_used_goes_first(server: Any) -> None:
    assert server.config_get("maxmemory-policy") == {"maxmemory-policy": "allkeys-lru"}
    assert int(server.config_get("maxmemory")["maxmemory"]) == 64 << 20
    assert server.info("memory")["used_memory"] < 64 << 20


def test_reads_hit_far_more_often_than_they_miss(server: Any, buyer: Buyer) -> None:
    before = server.info("stats")
    for _ in range(200):
        assert buyer.call("GET", "/v1/users/me")["userId"] == buyer.user_id
    after = server.info("stats")
    hits, misses = (after[name] - before[name] for name in ("keyspace_hits", "keyspace_misses"))
    assert hits >= 199
    assert hits / (hits + misses) > 0.9


def test_gauge_of_connections_equals_the_list_of_them(server: Any, buyer: Buyer) -> None:
    buyer.call("GET", "/v1/users/me")
    for _ in range(5):  # connections come and go between the two questions
        if server.info("clients")["connected_clients"] == len(server.client_list()):
            return
    pytest.fail("the gauge never equalled the list")


def test_every_key_has_an_end(server: Any, buyer: Buyer) -> None:
    buyer.call("GET", "/v1/users/me")
    buyer.call("POST", "/v1/auth/login", {"email": "nobody@example.com", "password": "wrong"}, accept=(401,))
    keys = list(server.scan_iter())
    assert any(b"users:user" in key for key in keys)
    assert any(b"users:attempts" in key for key in keys)
    assert [key for key in keys if server.ttl(key) == -1] == []
