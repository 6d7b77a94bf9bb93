"""How long who guesses passwords has to wait, and under which keys they are counted."""

from __future__ import annotations

import pytest

from services.users.accounts.rules.attempts import keys_of, wait_after


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, 0), (4, 0), (5, 1), (6, 2), (7, 4), (10, 32), (14, 512), (15, 900), (16, 900), (10**9, 900)],
)
def test_five_failures_are_free_and_then_the_wait_doubles_up_to_15_minutes(failures: int, seconds: float) -> None:
    assert wait_after(failures) == seconds


def test_addresses_of_one_ipv6_network_count_as_one() -> None:
    assert keys_of("a", "2001:db8::1") == keys_of("a", "2001:db8::ffff:2")
    assert keys_of("a", "2001:db8::1") != keys_of("a", "2001:db8:0:1::1")
    assert keys_of("a", "::ffff:203.0.113.9") == keys_of("a", "203.0.113.9")


def test_key_does_not_tell_the_address_of_an_account() -> None:
    assert "ana" not in keys_of("ana@example.com", "203.0.113.9")[0]
