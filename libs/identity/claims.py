"""What an access token says of its user, and the caller that is read out of it: the two sides of one form.

A claim that is empty is left out, and one that is not there is empty: a token tells only what there is to tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from libs import ids
from libs.identity.authority import AMOUNTS, Authority
from libs.identity.callers import Caller

_LIMITS = ("underwriting_level", *AMOUNTS)


def of_caller(caller: Caller) -> dict[str, Any]:
    """The claims about a user. `ValueError` when the caller is none."""
    if caller.user_id is None:
        raise ValueError("only a person has access tokens")
    claims = {
        "parties": sorted(ids.encode("cus", party) for party in caller.parties),
        "partner": ids.encode("par", caller.partner) if caller.partner else "",
        "sells": sorted(caller.sells),
        "authority": _of_authority(caller.authority),
        "sid": ids.encode("ses", caller.session) if caller.session else "",
    }
    always = {"sub": ids.encode("usr", caller.user_id), "roles": sorted(caller.roles)}
    return always | {name: value for name, value in claims.items() if value}


def caller_of(claims: Mapping[str, Any], authorization: str) -> Caller:
    """The user of a token whose signature is good. `KeyError`, `ValueError` or `FieldInvalid` for other claims."""
    partner, session = claims.get("partner"), claims.get("sid")
    return Caller(
        user_id=ids.decode("usr", claims["sub"]),
        roles=frozenset(claims["roles"]),
        parties=frozenset(ids.decode("cus", party) for party in claims.get("parties", ())),
        partner=ids.decode("par", partner) if partner else None,
        sells=frozenset(claims.get("sells", ())),
        authority=_authority_of(claims.get("authority", {})),
        session=ids.decode("ses", session) if session else None,
        authorization=authorization,
        expires_at=claims["exp"],
    )


def _of_authority(authority: Authority) -> dict[str, Any]:
    return {name: value for name in _LIMITS if (value := getattr(authority, name))}


def _authority_of(claim: Mapping[str, Any]) -> Authority:
    """What this program knows of it: one that is newer may have signed the token."""
    return Authority(**{name: claim[name] for name in _LIMITS if name in claim})
