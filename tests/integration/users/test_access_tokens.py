"""What a token must be for anybody to believe it: forgeries, and tokens for something else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bazaruto.users.v1 import auth_pb2, user_pb2
from libs import ids
from libs.identity.callers import TokenInvalid
from libs.identity.secrets import read_secret
from libs.identity.verification import TokenVerifier, public_key
from services.users.accounts.adapters.signing import SigningKeys
from tests.integration.users.house import House, bearer
from tests.support.errors import reason_of
from tests.support.people import People

Forge = Callable[[People, dict[str, Any]], str]


def claims_of(user_id: str, **changes: object) -> dict[str, Any]:
    """Claims that would be believed, with changes: None takes one away, a duration is from now."""
    now = datetime.now(UTC)
    claims = {
        "sub": user_id, "iss": "bazaruto", "aud": "bazaruto", "iat": now, "nbf": now,
        "exp": now + timedelta(minutes=15), "jti": "1", "roles": ["admin"],
    }  # fmt: skip
    changed = {name: now + v if isinstance(v, timedelta) else v for name, v in {**claims, **changes}.items()}
    return {name: value for name, value in changed.items() if value is not None}


def signed(people: People, claims: dict[str, Any], **headers: object) -> str:
    """A token with the platform's own signature, whatever it says."""
    return jwt.encode(claims, people.keys.keys[people.keys.newest], "EdDSA", {"kid": people.keys.newest, **headers})


def unsigned(people: People, claims: dict[str, Any]) -> str:
    return jwt.encode(claims, None, "none", {"kid": people.keys.newest})  # type: ignore[arg-type]


def hmac_of(secret: bytes, claims: dict[str, Any], key_id: str) -> str:
    """HS256 by hand: the library refuses to sign with a public key."""
    times = {name: int(v.timestamp()) if isinstance(v, datetime) else v for name, v in claims.items()}
    parts = [{"alg": "HS256", "typ": "JWT", "kid": key_id}, times]
    body = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    signature = hmac.digest(secret, body.encode(), hashlib.sha256)
    return f"{body}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def keyed_with_public_pem(people: People, claims: dict[str, Any]) -> str:
    public = people.keys.public[people.keys.newest]
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return hmac_of(pem, claims, people.keys.newest)


def keyed_with_public_bytes(people: People, claims: dict[str, Any]) -> str:
    raw = people.keys.public[people.keys.newest].public_bytes(Encoding.Raw, PublicFormat.Raw)
    return hmac_of(raw, claims, people.keys.newest)


def keyed_with_internal_secret(people: People, claims: dict[str, Any]) -> str:
    """A user's token made with the secret of the services: good for nothing, its audience is another."""
    return hmac_of(read_secret(people.auth.internal_secret_file), claims, people.keys.newest)


def foreign_key(people: People, claims: dict[str, Any]) -> str:
    return jwt.encode(claims, Ed25519PrivateKey.generate(), "EdDSA", {"kid": people.keys.newest})


def unknown_key_id(people: People, claims: dict[str, Any]) -> str:
    return jwt.encode(claims, Ed25519PrivateKey.generate(), "EdDSA", {"kid": "19990101000000"})


def key_id_that_is_a_path(people: People, claims: dict[str, Any]) -> str:
    return signed(people, claims, kid="../keys/" + people.keys.newest)


def key_in_the_header(people: People, claims: dict[str, Any]) -> str:
    own = SigningKeys({"own": Ed25519PrivateKey.generate()}, "own")
    return jwt.encode(
        claims, own.keys["own"], "EdDSA", {"kid": "own", "jwk": own.json_web_keys()[0], "jku": "http://x"}
    )


def other_claims(people: People, claims: dict[str, Any]) -> str:
    """The signature of one token under the claims of another."""
    honest = signed(people, {**claims, "roles": ["customer"]}).split(".")
    return ".".join((*signed(people, claims).split(".")[:2], honest[2]))


FORGERIES: list[Forge] = [
    unsigned, keyed_with_public_pem, keyed_with_public_bytes, keyed_with_internal_secret, foreign_key,
    unknown_key_id, key_id_that_is_a_path, key_in_the_header, other_claims,
]  # fmt: skip


def assert_refused(house: House, authorization: str) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        house.get(authorization)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert reason_of(refused.value) == "TOKEN_INVALID"


def test_token_with_these_claims_would_be_believed_if_it_were_honest(house: House, people: People) -> None:
    user = house.register()
    assert house.get(f"Bearer {signed(people, claims_of(user.user_id))}") == user


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
def test_forged_token_is_refused(house: House, people: People, forge: Forge) -> None:
    user = house.register()
    assert_refused(house, f"Bearer {forge(people, claims_of(user.user_id))}")


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": timedelta(minutes=-2)},
        {"nbf": timedelta(hours=1)},
        {"aud": "bazaruto-internal"},
        {"aud": "somebody-else"},
        {"iss": "somebody-else"},
        {"exp": None},
        {"iat": None},
        {"sub": None},
        {"aud": None},
        {"iss": None},
        {"roles": None},
    ],
    ids=str,
)
def test_signed_token_that_is_not_good_here_and_now_is_refused(
    house: House, people: People, changes: dict[str, object]
) -> None:
    user = house.register()
    assert_refused(house, f"Bearer {signed(people, claims_of(user.user_id, **changes))}")


@pytest.mark.parametrize(
    "authorization", ["Bearer", "Bearer ", "Bearer x", "Bearer a.b.c", "Basic YTpi", "x", "bearer x"]
)
def test_what_is_no_token_is_refused(house: House, authorization: str) -> None:
    assert_refused(house, authorization)


def test_refresh_token_is_no_access_token(house: House) -> None:
    tokens = house.log_in(house.register().email)
    assert_refused(house, f"Bearer {tokens.refresh_token}")


def test_expired_token_of_a_service_is_refused(house: House, people: People) -> None:
    now = datetime.now(UTC)
    claims = {
        "sub": "quotes", "iss": "bazaruto", "aud": "bazaruto-internal",
        "iat": now - timedelta(hours=1), "exp": now - timedelta(minutes=30),
    }  # fmt: skip
    assert_refused(house, f"Bearer {hmac_of(read_secret(people.auth.internal_secret_file), claims, '')}")


def test_identity_in_other_metadata_means_nothing(house: House, people: People) -> None:
    _, authorization = house.newcomer()
    other = house.register()
    for name in ("x-user-id", "x-tenant", "grpc-metadata-x-user-id"):
        metadata = (("authorization", authorization), (name, other.user_id))
        assert house.users.GetUser(user_pb2.GetUserRequest(user_id="me"), metadata=metadata).user_id != other.user_id


def test_published_keys_verify_the_tokens_of_a_log_in(house: House, people: People) -> None:
    user = house.register()
    listed = house.auth.ListPublicKeys(auth_pb2.ListPublicKeysRequest()).keys
    assert [(key.kty, key.crv, key.use, key.alg) for key in listed] == [("OKP", "Ed25519", "sig", "EdDSA")]
    keys = {key.kid: public_key({"kty": key.kty, "crv": key.crv, "x": key.x}) for key in listed}
    caller = TokenVerifier(people.auth, lambda: keys, frozenset).verify(bearer(house.log_in(user.email)))
    assert (ids.encode("usr", caller.user_id or ids.new()), caller.roles) == (user.user_id, frozenset({"customer"}))


def test_no_private_part_of_a_key_is_published(house: House) -> None:
    [key] = house.auth.ListPublicKeys(auth_pb2.ListPublicKeysRequest()).keys
    assert len(base64.urlsafe_b64decode(key.x + "=")) == 32
    assert {field.name for field, _ in key.ListFields()} == {"kty", "crv", "kid", "x", "use", "alg"}


def test_token_of_a_log_in_that_was_ended_is_refused(house: House, people: People) -> None:
    user = house.register()
    first, second = house.log_in(user.email), house.log_in(user.email)
    house.log_out(first.refresh_token)
    reply = house.auth.ListEndedSessions(
        auth_pb2.ListEndedSessionsRequest(), metadata=people.service("quotes").metadata()
    )
    ended = {ids.decode("ses", session_id) for session_id in reply.session_ids}
    verifier = TokenVerifier(people.auth, lambda: people.keys.public, lambda: ended)
    assert verifier.verify(bearer(second)).session not in ended
    with pytest.raises(TokenInvalid):
        verifier.verify(bearer(first))


def test_ended_log_ins_are_for_services_alone(house: House, people: People) -> None:
    for caller in (people.customer(), people.admin(), people.service("gateway")):
        with pytest.raises(grpc.RpcError) as refusal:
            house.auth.ListEndedSessions(auth_pb2.ListEndedSessionsRequest(), metadata=caller.metadata())
        assert reason_of(refusal.value) == "ACCESS_DENIED"
