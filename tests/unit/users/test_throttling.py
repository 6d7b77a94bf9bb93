"""How long who guesses passwords has to wait."""

from __future__ import annotations

import pytest

from bazarutod.ports import free_port
from libs.redis import Link
from services.users.accounts.adapters.throttling import Throttle, TooManyAttempts, keys_of, wait_after

ANA = keys_of("ana@example.com", "203.0.113.9")


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, 0), (4, 0), (5, 1), (6, 2), (7, 4), (10, 32), (14, 512), (15, 900), (16, 900), (10**9, 900)],
)
def test_five_failures_are_free_and_then_the_wait_doubles_up_to_15_minutes(failures: int, seconds: float) -> None:
    assert wait_after(failures) == seconds


def test_sixth_attempt_has_to_wait() -> None:
    throttle = Throttle()
    for _ in range(5):
        throttle.check(ANA)
        throttle.failed(ANA)
    with pytest.raises(TooManyAttempts) as refused:
        throttle.check(ANA)
    assert 0 < refused.value.retry_after <= 1


def test_account_waits_wherever_the_attempts_come_from() -> None:
    throttle = Throttle()
    for number in range(5):
        throttle.failed(keys_of("ana@example.com", f"203.0.113.{number}"))
    with pytest.raises(TooManyAttempts):
        throttle.check(keys_of("Ana@Example.com", "198.51.100.1"))
    throttle.check(keys_of("eve@example.com", "198.51.100.1"))


def test_address_waits_whomever_it_tries() -> None:
    throttle = Throttle()
    for number in range(5):
        throttle.failed(keys_of(f"person{number}@example.com", "203.0.113.9"))
    with pytest.raises(TooManyAttempts):
        throttle.check(keys_of("somebody@example.com", "203.0.113.9"))
    throttle.check(keys_of("somebody@example.com", "203.0.113.10"))


def test_success_clears_the_account_and_not_the_address() -> None:
    throttle = Throttle()
    for _ in range(5):
        throttle.failed(ANA)
    throttle.succeeded(ANA[0])
    throttle.check(keys_of("ana@example.com", "198.51.100.1"))
    with pytest.raises(TooManyAttempts):
        throttle.check(ANA)


def test_without_redis_the_process_counts_for_itself() -> None:
    throttle = Throttle(Link(f"redis://127.0.0.1:{free_port()}/0"))
    for _ in range(5):
        throttle.check(ANA)
        throttle.failed(ANA)
    with pytest.raises(TooManyAttempts):
        throttle.check(ANA)


def test_addresses_of_one_ipv6_network_count_as_one() -> None:
    assert keys_of("a", "2001:db8::1") == keys_of("a", "2001:db8::ffff:2")
    assert keys_of("a", "2001:db8::1") != keys_of("a", "2001:db8:0:1::1")
    assert keys_of("a", "::ffff:203.0.113.9") == keys_of("a", "203.0.113.9")


def test_key_does_not_tell_the_address_of_an_account() -> None:
    assert "ana" not in ANA[0]
