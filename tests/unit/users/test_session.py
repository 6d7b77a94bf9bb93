"""Sessions: tokens that work once, and the end of a session whose token comes back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.users.accounts.adapters.hashing import new_secret
from services.users.accounts.rules import user
from services.users.accounts.rules.session import (
    RefreshToken,
    RefreshTokenInvalid,
    RefreshTokenReused,
    UserSession,
    digest_of,
    rotate,
    start_session,
)
from services.users.accounts.rules.user import Role

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
MONTH = timedelta(days=30)


def started(role: Role = Role.CUSTOMER, lifetime: timedelta = MONTH) -> tuple[UserSession, RefreshToken]:
    person = user.register("a@b.c", "A", "", "", NOW, user_id=UUID(int=1), roles=(role,))
    return start_session(person, NOW, lifetime, session_id=UUID(int=2), secret="first")


def test_secret_has_256_bits_and_is_never_the_same() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert all(len(secret) == 43 for secret in secrets)  # 32 bytes, base64url


@given(st.text(max_size=256), st.text(max_size=256))
def test_any_text_has_a_digest_of_32_bytes_of_its_own(one: str, other: str) -> None:
    assert len(digest_of(one)) == 32
    assert (digest_of(one) == digest_of(other)) is (one == other)


def test_session_begins_with_one_unused_token() -> None:
    session, token = started()
    assert (token.digest, token.session_id, token.used_at) == (digest_of("first"), session.id, None)
    assert session.expires_at == token.expires_at == NOW + MONTH


def test_rotation_uses_the_token_up_and_gives_a_successor() -> None:
    session, token = started()
    later = NOW + timedelta(minutes=10)
    used, successor = rotate(session, token, later, secret="second")
    assert used == replace(token, used_at=later)
    assert (successor.digest, successor.session_id, successor.used_at) == (digest_of("second"), session.id, None)


def test_token_that_comes_back_is_told_apart() -> None:
    session, token = started()
    used, _ = rotate(session, token, NOW, secret="second")
    with pytest.raises(RefreshTokenReused):
        rotate(session, used, NOW, secret="third")


def test_nothing_works_in_a_revoked_session() -> None:
    session, token = started()
    revoked = replace(session, revoked_at=NOW)
    for each in (token, replace(token, used_at=NOW)):
        with pytest.raises(RefreshTokenInvalid):
            rotate(revoked, each, NOW, secret="second")


@given(st.lists(st.integers(1, 10 * 24 * 3600), min_size=1, max_size=30))
def test_refreshing_never_prolongs_a_session(pauses: list[int]) -> None:
    session, token = started()
    now = NOW
    for pause in pauses:
        now += timedelta(seconds=pause)
        if now >= NOW + MONTH:
            with pytest.raises(RefreshTokenInvalid):
                rotate(session, token, now, secret="x")
            return
        _, token = rotate(session, token, now, secret="x")
        assert token.expires_at == NOW + MONTH


def test_session_ends_at_its_very_moment() -> None:
    session, token = started()
    rotate(session, token, NOW + MONTH - timedelta(microseconds=1), secret="x")
    with pytest.raises(RefreshTokenInvalid):
        rotate(session, token, NOW + MONTH, secret="x")


@pytest.mark.parametrize("role", sorted(set(Role) - {Role.CUSTOMER}))
def test_staff_log_in_every_day_and_after_a_break(role: Role) -> None:
    session, token = started(role)
    assert session.expires_at == NOW + timedelta(hours=12)
    with pytest.raises(RefreshTokenInvalid):
        rotate(session, token, NOW + timedelta(minutes=30), secret="x")
    _, second = rotate(session, token, NOW + timedelta(minutes=29), secret="x")
    assert second.expires_at == NOW + timedelta(minutes=59)


def test_used_token_of_staff_is_still_told_apart_after_the_break() -> None:
    session, token = started(Role.ADMIN)
    with pytest.raises(RefreshTokenReused):
        rotate(session, replace(token, used_at=NOW), NOW + timedelta(hours=1), secret="x")


def test_staff_never_stay_longer_than_configured() -> None:
    session, token = started(Role.ADMIN, timedelta(minutes=5))
    assert session.expires_at == token.expires_at == NOW + timedelta(minutes=5)
