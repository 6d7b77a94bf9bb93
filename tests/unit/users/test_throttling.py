"""Who guesses passwords is counted, and made to wait."""

from __future__ import annotations

import pytest

from bazarutod.ports import free_port
from libs.redis import Link
from services.users.accounts.adapters.throttling import Throttle
from services.users.accounts.rules.attempts import TooManyAttempts, keys_of

ANA = keys_of("ana@example.com", "203.0.113.9")


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
