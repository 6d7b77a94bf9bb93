"""Accounts as the contracts carry them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from google.protobuf import duration_pb2

from bazaruto.users.v1 import auth_pb2
from bazaruto.users.v1 import user_pb2 as pb
from libs import ids
from libs.rpc import values
from services.users.accounts.rules.user import Role, State, User

_ROLES = {
    Role.CUSTOMER: pb.User.ROLE_CUSTOMER,
    Role.AGENT: pb.User.ROLE_AGENT,
    Role.UNDERWRITER: pb.User.ROLE_UNDERWRITER,
    Role.ADJUSTER: pb.User.ROLE_ADJUSTER,
    Role.FINANCE: pb.User.ROLE_FINANCE,
    Role.ADMIN: pb.User.ROLE_ADMIN,
}
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
