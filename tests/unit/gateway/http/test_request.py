"""What a request says of itself: its caller's address, its id, headers that count once."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from tests.unit.gateway.http_request import request

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("198.51.100.7", "203.0.113.9", "198.51.100.7"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "1.2.3.4, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.3", "10.0.0.3"),
        ("fd00::1", "2001:db8::1", "2001:db8::1"),
    ],
)
def test_a_forwarded_address_counts_behind_a_proxy_only(peer: str, forwarded: str, address: str) -> None:
    assert request(("x-forwarded-for", forwarded), peer=peer).client_address(PROXIES) == address


def test_without_proxies_nothing_is_forwarded() -> None:
    assert request(("x-forwarded-for", "1.2.3.4"), peer="10.0.0.1").client_address(()) == "10.0.0.1"


@pytest.mark.parametrize("name", ["authorization", "idempotency-key", "content-type"])
def test_a_header_that_counts_once_must_not_come_twice(name: str) -> None:
    http_request = request((name, "a"), (name, "b"))
    assert http_request.wrong is not None
    assert http_request.wrong.status == 400


@pytest.mark.parametrize(("given", "echoed"), [("abc-1", "abc-1"), ("a b", "made"), ("x" * 129, "made"), ("", "made")])
def test_a_request_id_is_echoed_if_it_is_a_plain_one(given: str, echoed: str) -> None:
    assert request(("x-request-id", given)).request_id("made") == echoed
