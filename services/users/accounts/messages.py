"""Accounts as the contracts carry them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from uuid import UUID

from google.protobuf import duration_pb2
from google.type import money_pb2

from bazaruto.users.v1 import auth_pb2, authority_pb2
from bazaruto.users.v1 import user_pb2 as pb
from libs import ids
from libs.money import Money
from libs.rpc import values
from services.users.accounts.rules.authority import Authority, amounts
from services.users.accounts.rules.user import Role, State, User

_ROLES = {
    Role.CUSTOMER: pb.User.ROLE_CUSTOMER,
    Role.AGENT: pb.User.ROLE_AGENT,
    Role.UNDERWRITER: pb.User.ROLE_UNDERWRITER,
    Role.ADJUSTER: pb.User.ROLE_ADJUSTER,
    Role.FINANCE: pb.User.ROLE_FINANCE,
    Role.ADMIN: pb.User.ROLE_ADMIN,
}
_ROLES_BY_PROTO = {proto: role for role, proto in _ROLES.items()}
_STATES = {State.ACTIVE: pb.User.STATE_ACTIVE, State.DISABLED: pb.User.STATE_DISABLED}


def user_to_proto(user: User) -> pb.User:
    """The account as callers see it."""
    return pb.User(
        user_id=ids.encode("usr", user.id),
        email=user.email,
        full_name=user.full_name,
        phone=user.phone,
        locale=user.locale,
        roles=[_ROLES[role] for role in user.roles],
        state=_STATES[user.state],
        create_time=values.time_to_proto(user.created_at),
        update_time=values.time_to_proto(user.updated_at),
        etag=user.etag,
    )


def role_from_proto(role: pb.User.Role.ValueType) -> Role:
    """The role that a request names."""
    return _ROLES_BY_PROTO[role]


def authority_to_proto(authority: Authority) -> authority_pb2.Authority:
    """How far a user may decide alone."""
    message = authority_pb2.Authority(
        user_id=ids.encode("usr", authority.user_id),
        underwriting_level=authority.underwriting_level,
        claim_limits=_limits_to_proto(authority.claim_limit),
        refund_limits=_limits_to_proto(authority.refund_limit),
        write_off_limits=_limits_to_proto(authority.write_off_limit),
        etag=authority.etag,
    )
    for field, moment in (
        (message.start_time, authority.valid_from),
        (message.end_time, authority.valid_until),
        (message.update_time, authority.updated_at),
    ):
        if moment is not None:
            field.FromDatetime(moment)
    return message


def authority_from_proto(message: authority_pb2.Authority, user_id: UUID) -> Authority:
    """The authority that a user is to have. `AmountInvalid`, `FieldInvalid`."""
    start, end = values.optional(message, "start_time"), values.optional(message, "end_time")
    return Authority(
        user_id=user_id,
        underwriting_level=message.underwriting_level,
        claim_limit=_limits_from_proto(message.claim_limits, "authority.claim_limits"),
        refund_limit=_limits_from_proto(message.refund_limits, "authority.refund_limits"),
        write_off_limit=_limits_from_proto(message.write_off_limits, "authority.write_off_limits"),
        valid_from=values.time_from_proto(start) if start else None,
        valid_until=values.time_from_proto(end) if end else None,
    )


def _limits_to_proto(limits: Mapping[str, int]) -> list[money_pb2.Money]:
    return [values.money_to_proto(Money(minor, currency)) for currency, minor in sorted(limits.items())]


def _limits_from_proto(limits: Iterable[money_pb2.Money], field: str) -> dict[str, int]:
    return amounts((values.money_from_proto(limit) for limit in limits), field)


def tokens_to_proto(user_id: UUID, access_token: str, lifetime: timedelta, refresh_token: str) -> auth_pb2.Tokens:
    """Both tokens of somebody who is logged in; `lifetime` is that of the access token."""
    return auth_pb2.Tokens(
        access_token=access_token,
        token_type="Bearer",  # noqa: S106 - a kind of token, not one
        expires_in=duration_pb2.Duration(seconds=int(lifetime.total_seconds())),
        refresh_token=refresh_token,
        user_id=ids.encode("usr", user_id),
    )


def json_web_key_to_proto(key: Mapping[str, str]) -> auth_pb2.JsonWebKey:
    """A public key."""
    return auth_pb2.JsonWebKey(**key)
