"""The gRPC face of users."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol
from uuid import UUID

import grpc
from sqlalchemy.orm import Session

from bazaruto.users.v1 import authority_pb2
from bazaruto.users.v1 import user_pb2 as pb
from bazaruto.users.v1 import user_pb2_grpc as rpc_pb
from libs import clock, ids
from libs.cache import Cache
from libs.db import Database
from libs.errors import AlreadyExists, Invalid, ResourceNotFound
from libs.rpc import calls, idempotency
from libs.rpc.pages import Page
from services.users.accounts.adapters.hashing import Hasher
from services.users.accounts.adapters.throttling import Throttle
from services.users.accounts.flows import empowering, registering, updating
from services.users.accounts.messages import authority_from_proto, authority_to_proto, role_from_proto, user_to_proto
from services.users.accounts.rules import user
from services.users.accounts.rules.attempts import keys_of_registration
from services.users.accounts.rules.user import Role, User
from services.users.accounts.store import authorities, users

MakeParty = Callable[[Session, User, datetime], None]
"""Saves the party whom a user is who buys for themselves, unless there is one: known to a module above."""


class _NamesUser(Protocol):
    """A request that names a user."""

    user_id: str


class UserServicer(rpc_pb.UserServiceServicer):
    """Answers the calls of `UserService`."""

    def __init__(
        self, database: Database, hasher: Hasher, cached: Cache[User], throttle: Throttle, make_party: MakeParty
    ) -> None:
        self._database = database
        self._hasher = hasher
        self._cached = cached
        self._throttle = throttle
        self._make_party = make_party

    def RegisterUser(self, request: pb.RegisterUserRequest, context: grpc.ServicerContext) -> pb.User:
        attempt = keys_of_registration(calls.current().client_address)
        self._throttle.check(attempt)
        user_id = ids.new()
        try:
            with registering.failure_recorded(self._database, user_id, request.email):
                account = registering.prepare(
                    self._hasher,
                    user_id,
                    request.email,
                    request.password,
                    request.full_name,
                    clock.now(),
                    phone=request.phone,
                    locale=request.locale,
                )
                with self._database.transaction() as session:
                    idempotency.claim(session)
                    registering.save_customer(session, account)
                    self._make_party(session, account.user, account.user.created_at)
                    reply = user_to_proto(account.user)
                    idempotency.keep(session, reply)
        except (AlreadyExists, Invalid):
            self._throttle.failed(attempt)
            raise
        return reply

    def GetUser(self, request: pb.GetUserRequest, context: grpc.ServicerContext) -> pb.User:
        user_id = _user_id(request.user_id, "user_id")
        # Asked before anything is looked up: whom one may not see takes as long as who does not exist.
        is_visible = calls.scope_of_accounts().covers(user_id)
        account = self._cached.get(str(user_id), lambda: self._load(user_id)) if is_visible else None
        if account is None:
            raise ResourceNotFound(resource="user")
        return user_to_proto(account)

    def UpdateUser(self, request: pb.UpdateUserRequest, context: grpc.ServicerContext) -> pb.User:
        user_id = _user_id(request.user.user_id, "user.user_id")
        if user_id != calls.caller().user_id:  # admins too: they see everybody, and change themselves
            raise ResourceNotFound(resource="user")
        user.check_mask(request.update_mask.paths)
        changes = {path: getattr(request.user, path) for path in request.update_mask.paths}
        with self._database.transaction() as session:
            idempotency.claim(session)
            account = users.find(session, user_id)
            if account is None:
                raise ResourceNotFound(resource="user")
            calls.current().check_etag(account.etag)
            updated = updating.update(session, account, changes, clock.now())
            reply = user_to_proto(updated)
            idempotency.keep(session, reply)
        self._cached.replace(str(user_id), updated)
        return reply

    def ListUsers(self, request: pb.ListUsersRequest, context: grpc.ServicerContext) -> pb.ListUsersResponse:
        page = Page.of(request, "users", calls.caller().subject)
        with self._database.reading() as session:
            rows = users.list_of(session, calls.scope_of_accounts(), page.after_as(UUID), page.fetch)
        shown, token = page.cut(rows, key=lambda item: item.id)
        return pb.ListUsersResponse(users=[user_to_proto(item) for item in shown], next_page_token=token)

    def GrantRole(self, request: pb.GrantRoleRequest, context: grpc.ServicerContext) -> pb.User:
        role, by = role_from_proto(request.role), calls.caller().user_id

        def grant(session: Session, user_id: UUID, now: datetime) -> User:
            granted = empowering.grant(session, user_id, role, by, now)
            if role is Role.CUSTOMER:
                self._make_party(session, granted, now)
            return granted

        return self._change(request, grant)

    def RevokeRole(self, request: pb.RevokeRoleRequest, context: grpc.ServicerContext) -> pb.User:
        role = role_from_proto(request.role)
        return self._change(request, lambda session, who, now: empowering.revoke(session, who, role, now))

    def DisableUser(self, request: pb.DisableUserRequest, context: grpc.ServicerContext) -> pb.User:
        return self._change(request, empowering.disable)

    def EnableUser(self, request: pb.EnableUserRequest, context: grpc.ServicerContext) -> pb.User:
        return self._change(request, empowering.enable)

    def GetAuthority(
        self, request: authority_pb2.GetAuthorityRequest, context: grpc.ServicerContext
    ) -> authority_pb2.Authority:
        user_id = _user_id(request.user_id, "user_id")
        if not calls.scope_of_accounts().covers(user_id):
            raise ResourceNotFound(resource="user")
        with self._database.reading() as session:
            if users.find(session, user_id) is None:
                raise ResourceNotFound(resource="user")
            return authority_to_proto(authorities.find(session, user_id))

    def SetAuthority(
        self, request: authority_pb2.SetAuthorityRequest, context: grpc.ServicerContext
    ) -> authority_pb2.Authority:
        user_id = _user_id(request.authority.user_id, "authority.user_id")
        new = authority_from_proto(request.authority, user_id)
        with self._database.transaction() as session:
            idempotency.claim(session)
            call = calls.current()
            limits = empowering.set_authority(
                session, new, call.caller.user_id, lambda before: call.check_etag(before.etag)
            )
            reply = authority_to_proto(limits)
            idempotency.keep(session, reply)
        return reply

    def HasRole(self, request: pb.HasRoleRequest, context: grpc.ServicerContext) -> pb.HasRoleResponse:
        with self._database.reading() as session:
            account = users.find(session, _user_id(request.user_id, "user_id"))
        has_role = account is not None and account.can_act_as(role_from_proto(request.role))
        return pb.HasRoleResponse(has_role=has_role)

    def _change(self, request: _NamesUser, change: Callable[[Session, UUID, datetime], User]) -> pb.User:
        """Change the rights of the user whom a request names."""
        user_id = _user_id(request.user_id, "user_id")
        with self._database.transaction() as session:
            idempotency.claim(session)
            changed = change(session, user_id, clock.now())
            reply = user_to_proto(changed)
            idempotency.keep(session, reply)
        self._cached.replace(str(user_id), changed)
        return reply

    def _load(self, user_id: UUID) -> User | None:
        with self._database.reading() as session:
            return users.find(session, user_id)


def _user_id(text: str, field: str) -> UUID:
    """The user whom a request names; `me` is the caller."""
    if text != "me":
        return ids.decode("usr", text, field)
    caller = calls.caller().user_id
    if caller is None:  # a service has no account
        raise ResourceNotFound(resource="user")
    return caller
