"""A token is good for whom it was signed, for as long as it says, and for nobody who forges one."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from libs import ids
from libs.auth import TokenInvalid, public_key
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


def test_published_keys_verify_what_the_private_ones_sign(people: People) -> None:
    published = {key["kid"]: public_key(key) for key in people.keys.json_web_keys()}
    raw = [key.public_bytes(Encoding.Raw, PublicFormat.Raw) for key in published.values()]
    assert raw == [key.public_bytes(Encoding.Raw, PublicFormat.Raw) for key in people.keys.public.values()]
