"""A token is good for whom it was signed, for as long as it says, and for nobody who forges one."""

from __future__ import annotations

import base64
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from libs import ids
from libs.errors import Unavailable
from libs.identity import verification
from libs.identity.callers import TokenInvalid
from libs.identity.verification import TokenVerifier, public_key
from tests.support.people import People


def _claims(people: People, **changes: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "sub": ids.encode("usr", ids.new()),
        "iss": people.auth.issuer,
        "aud": people.auth.audience,
        "iat": now,
        "exp": now + timedelta(minutes=5),
        "roles": ["customer"],
    } | changes


def _signed(people: People, **changes: Any) -> str:
    key = people.keys.keys[people.keys.newest]
    return "Bearer " + jwt.encode(
        _claims(people, **changes), key, algorithm="EdDSA", headers={"kid": people.keys.newest}
    )


def test_signed_token_names_its_user_and_roles(people: People) -> None:
    admin = people.admin()
    caller = people.verifier().verify(admin.authorization)
    assert (caller.user_id, caller.roles) == (admin.id, frozenset({"admin"}))


def test_service_token_names_its_service(people: People) -> None:
    assert people.verifier().verify(people.service("policies").authorization).service == "policies"


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": datetime(2020, 1, 1, tzinfo=UTC)},
        {"nbf": datetime(2100, 1, 1, tzinfo=UTC)},
        {"aud": "somebody-else"},
        {"iss": "somebody-else"},
        {"sub": "pol_01m86535y1eaws2ywvkrpm6m62"},
        {"sub": "root"},
        {"exp": None},
    ],
)
def test_token_with_a_wrong_claim_is_refused(people: People, changes: dict[str, Any]) -> None:
    with pytest.raises(TokenInvalid):
        people.verifier().verify(_signed(people, **changes))


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", "Bearer a.b.c", "Basic dTpw", "Bearer " + "x" * 5000]
)
def test_malformed_authorization_is_refused(people: People, authorization: str) -> None:
    with pytest.raises(TokenInvalid):
        people.verifier().verify(authorization)


def test_unsigned_token_is_refused(people: People) -> None:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value, default=str).encode()).decode().rstrip("=")

    token = f"Bearer {part({'alg': 'none', 'kid': people.keys.newest})}.{part(_claims(people))}."
    with pytest.raises(TokenInvalid):
        people.verifier().verify(token)


def test_public_key_used_as_a_shared_secret_is_refused(people: People) -> None:
    raw = people.keys.public[people.keys.newest].public_bytes(Encoding.Raw, PublicFormat.Raw)
    token = jwt.encode(_claims(people), raw, algorithm="HS256", headers={"kid": people.keys.newest})
    with pytest.raises(TokenInvalid):
        people.verifier().verify(f"Bearer {token}")


@pytest.mark.parametrize("kid", ["", "unknown", "../../etc/passwd"])
def test_token_of_an_unknown_key_is_refused(people: People, kid: str) -> None:
    token = jwt.encode(_claims(people), Ed25519PrivateKey.generate(), algorithm="EdDSA", headers={"kid": kid})
    with pytest.raises(TokenInvalid):
        people.verifier().verify(f"Bearer {token}")


class Published:
    """The keys as the users service publishes them, until it cannot be reached."""

    def __init__(self, people: People) -> None:
        self.keys = dict(people.keys.public)
        self.is_away = False
        self.asked = threading.Semaphore(0)

    def __call__(self) -> dict[str, Ed25519PublicKey]:
        self.asked.release()
        if self.is_away:
            raise Unavailable
        return self.keys


def _verifies(verifier: TokenVerifier, authorization: str) -> bool:
    try:
        return bool(verifier.verify(authorization))
    except TokenInvalid:
        return False


def test_removed_key_is_no_longer_trusted_when_the_keys_are_fetched_anew(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "KEYS_TRUSTED", 0.0)
    published = Published(people)
    verifier, known = TokenVerifier(people.auth, published, frozenset), people.customer().authorization
    assert _verifies(verifier, known)
    published.keys = {}
    deadline = time.monotonic() + 5
    while _verifies(verifier, known) and time.monotonic() < deadline:
        time.sleep(0.001)
    assert not _verifies(verifier, known)
    assert not _verifies(verifier, people.customer().authorization)


def test_last_keys_stay_good_while_the_users_service_is_away(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "KEYS_TRUSTED", 0.0)
    published = Published(people)
    verifier, known = TokenVerifier(people.auth, published, frozenset), people.customer().authorization
    verifier.verify(known)
    published.is_away = True
    verifier.verify(known)
    assert published.asked.acquire(timeout=5)
    assert published.asked.acquire(timeout=5)
    assert verifier.verify(known)
    assert verifier.verify(people.customer().authorization)


def test_keys_are_not_fetched_while_they_are_fresh(people: People) -> None:
    published = Published(people)
    verifier = TokenVerifier(people.auth, published, frozenset)
    for _ in range(3):
        verifier.verify(people.customer().authorization)
    assert published.asked.acquire(blocking=False)
    assert not published.asked.acquire(timeout=0.05)


class Ended:
    """The log-ins that the users service says were ended, until it cannot be reached."""

    def __init__(self) -> None:
        self.sessions: set[UUID] = set()
        self.is_away = False
        self.asked = threading.Semaphore(0)

    def __call__(self) -> frozenset[UUID]:
        self.asked.release()
        if self.is_away:
            raise Unavailable
        return frozenset(self.sessions)


def test_token_of_an_ended_log_in_is_refused_as_soon_as_that_is_known(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "SESSIONS_TRUSTED", 0.0)
    ended, session = Ended(), ids.new()
    verifier = TokenVerifier(people.auth, lambda: people.keys.public, ended)
    known, other = people.customer(session=session).authorization, people.customer(session=ids.new()).authorization
    assert _verifies(verifier, known)
    ended.sessions = {session}
    deadline = time.monotonic() + 5
    while _verifies(verifier, known) and time.monotonic() < deadline:
        time.sleep(0.001)
    assert not _verifies(verifier, known)
    assert _verifies(verifier, other)


def test_first_token_after_a_time_without_calls_waits_for_the_ended_log_ins(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "SESSIONS_TRUSTED", 0.0)
    monkeypatch.setattr(verification, "SESSIONS_STALE", 0.0)
    ended, session = Ended(), ids.new()
    verifier, known = TokenVerifier(people.auth, lambda: people.keys.public, ended), people.customer(session=session)
    assert _verifies(verifier, known.authorization)
    ended.sessions = {session}
    assert not _verifies(verifier, known.authorization)


def test_last_ended_log_ins_are_refused_while_the_users_service_is_away(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "SESSIONS_TRUSTED", 0.0)
    monkeypatch.setattr(verification, "SESSIONS_STALE", 0.0)
    ended, session = Ended(), ids.new()
    ended.sessions = {session}
    verifier = TokenVerifier(people.auth, lambda: people.keys.public, ended)
    assert not _verifies(verifier, people.customer(session=session).authorization)
    ended.is_away = True
    assert not _verifies(verifier, people.customer(session=session).authorization)
    assert _verifies(verifier, people.customer(session=ids.new()).authorization)


def test_ended_log_ins_are_asked_for_once_while_they_are_fresh(people: People) -> None:
    ended = Ended()
    verifier = TokenVerifier(people.auth, lambda: people.keys.public, ended)
    for _ in range(3):
        verifier.verify(people.customer(session=ids.new()).authorization)
    assert ended.asked.acquire(blocking=False)
    assert not ended.asked.acquire(blocking=False)


def test_many_threads_verify_more_tokens_than_are_remembered(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "_CACHED_TOKENS", 3)
    verifier, tokens = people.verifier(), [people.customer() for _ in range(8)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            for caller, person in pool.map(
                lambda n: (verifier.verify(tokens[n % 8].authorization), tokens[n % 8]), range(2000)
            ):
                assert caller.user_id == person.id
    finally:
        sys.setswitchinterval(interval)
    assert len(verifier._known) == 3


def test_published_keys_verify_what_the_private_ones_sign(people: People) -> None:
    published = {key["kid"]: public_key(key) for key in people.keys.json_web_keys()}
    raw = [key.public_bytes(Encoding.Raw, PublicFormat.Raw) for key in published.values()]
    assert raw == [key.public_bytes(Encoding.Raw, PublicFormat.Raw) for key in people.keys.public.values()]
