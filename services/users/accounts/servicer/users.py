"""The gRPC face of users and log-ins: parse, load, decide, save, reply."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import grpc
import structlog
from google.protobuf import duration_pb2, empty_pb2
from prometheus_client import Counter
from sqlalchemy.orm import Session

from bazaruto.users.v1 import auth_pb2, auth_pb2_grpc
from bazaruto.users.v1 import user_pb2 as pb
from bazaruto.users.v1 import user_pb2_grpc as rpc_pb
from libs import audit, ids
from libs.cache import Cache
from libs.config import AuthSettings
from libs.db import Database
from libs.errors import AlreadyExists, DomainError, FieldInvalid, Invalid, ResourceNotFound
from libs.rpc import calls, idempotency, values
from libs.rpc.pages import Page
from services.users.accounts.adapters.hashing import Hasher, new_secret
from services.users.accounts.adapters.signing import SigningKeys
from services.users.accounts.adapters.throttling import Throttle, TooManyAttempts, keys_of, keys_of_registration
from services.users.accounts.flows import registering, updating
from services.users.accounts.rules import user
from services.users.accounts.rules.password import CredentialsInvalid
from services.users.accounts.rules.session import (
    RefreshTokenInvalid,
    RefreshTokenReused,
    digest_of,
    rotate,
    start_session,
)
from services.users.accounts.rules.user import Role, State, User, UserDisabled
from services.users.accounts.store import users

log = structlog.get_logger("users")

_failures = Counter("bazaruto_auth_failed_logins_total", "Log-ins and refreshes that were refused", ["reason"])
_FAILURES = {
    reason: _failures.labels(reason)  # there from the start, so that the first failure is an increase
    for reason in ("unknown_email", "wrong_password", "user_disabled", "throttled", "refresh_invalid", "refresh_reused")
}
_REFUSALS: dict[type[DomainError], str] = {
    RefreshTokenInvalid: "refresh_invalid",
    RefreshTokenReused: "refresh_reused",
    UserDisabled: "user_disabled",
}
_ROLES = {
    Role.CUSTOMER: pb.User.ROLE_CUSTOMER,
    Role.AGENT: pb.User.ROLE_AGENT,
    Role.UNDERWRITER: pb.User.ROLE_UNDERWRITER,
    Role.ADJUSTER: pb.User.ROLE_ADJUSTER,
    Role.FINANCE: pb.User.ROLE_FINANCE,
    Role.ADMIN: pb.User.ROLE_ADMIN,
}
_STATES = {State.ACTIVE: pb.User.STATE_ACTIVE, State.DISABLED: pb.User.STATE_DISABLED}


class UserServicer(rpc_pb.UserServiceServicer):
    """Answers the calls of `UserService`."""

    def __init__(self, database: Database, hasher: Hasher, users: Cache[User], throttle: Throttle) -> None:
        self._database = database
        self._hasher = hasher
        self._users = users
        self._throttle = throttle

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
                    datetime.now(UTC),
                    phone=request.phone,
                    locale=request.locale,
                )
                with self._database.transaction() as session:
                    idempotency.claim(session)
                    registering.save_customer(session, account)
                    reply = user_to_proto(account.user)
                    idempotency.keep(session, reply)
        except (AlreadyExists, Invalid):
            self._throttle.failed(attempt)
            raise
        return reply

    def GetUser(self, request: pb.GetUserRequest, context: grpc.ServicerContext) -> pb.User:
        user_id = _user_id(request.user_id, "user_id")
        # Asked before anything is looked up: whom one may not see takes as long as who does not exist.
        is_visible = calls.caller().scope.covers(user_id)
        account = self._users.get(str(user_id), lambda: self._load(user_id)) if is_visible else None
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
            account = users.find_user(session, user_id)
            if account is None:
                raise ResourceNotFound(resource="user")
            calls.current().check_etag(account.etag)
            changed = user.update(account, changes, datetime.now(UTC))
            if changed is not account:
                updating.save(session, account, changed)
            reply = user_to_proto(changed)
            idempotency.keep(session, reply)
        self._users.replace(str(user_id), changed)
        return reply

    def ListUsers(self, request: pb.ListUsersRequest, context: grpc.ServicerContext) -> pb.ListUsersResponse:
        caller = calls.caller()
        page = Page.of(request, "users", caller.subject)
        with self._database.reading() as session:
            rows = users.list_of(session, caller.scope, page.after_as(UUID), page.fetch)
        shown, token = page.cut(rows, key=lambda item: item.id)
        return pb.ListUsersResponse(users=[user_to_proto(item) for item in shown], next_page_token=token)

    def _load(self, user_id: UUID) -> User | None:
        with self._database.reading() as session:
            return users.find_user(session, user_id)


class AuthServicer(auth_pb2_grpc.AuthServiceServicer):
    """Answers the calls of `AuthService`."""

    def __init__(
        self, database: Database, hasher: Hasher, keys: SigningKeys, settings: AuthSettings, throttle: Throttle
    ) -> None:
        self._database = database
        self._hasher = hasher
        self._keys = keys
        self._settings = settings
        self._throttle = throttle

    def LogIn(self, request: auth_pb2.LogInRequest, context: grpc.ServicerContext) -> auth_pb2.Tokens:
        attempt = keys_of(request.email, calls.current().client_address)
        try:
            self._throttle.check(attempt)
        except TooManyAttempts:
            _note_failure("throttled", None)
            raise
        found, known_hash = self._find_credentials(request.email)
        # Without an account the same work is done for nobody, so that the time does not tell who has one.
        if not self._hasher.matches(request.password, known_hash) or found is None or known_hash is None:
            seconds = self._throttle.failed(attempt)
            self._refused("wrong_password" if found else "unknown_email", found, wait_seconds=seconds)
            raise CredentialsInvalid
        if found.state is State.DISABLED:
            self._refused("user_disabled", found)
            raise UserDisabled
        new_hash = self._hasher.hash(request.password) if self._hasher.is_outdated(known_hash) else None
        now, secret = datetime.now(UTC), new_secret()
        started, token = start_session(
            found, now, self._settings.refresh_token_lifetime, session_id=ids.new(), secret=secret
        )
        with self._database.transaction() as session:
            users.add_session(session, started, token)
            if new_hash:
                users.replace_password_hash(session, found.id, known_hash, new_hash)
            user_id = ids.encode("usr", found.id)
            audit.record(session, "login_succeeded", user_id, actor=user_id, session_id=ids.encode("ses", started.id))
        self._throttle.succeeded(attempt[0])
        return self._tokens(found, now, secret)

    def RefreshTokens(self, request: auth_pb2.RefreshTokensRequest, context: grpc.ServicerContext) -> auth_pb2.Tokens:
        now, secret = datetime.now(UTC), new_secret()
        with self._database.transaction() as session:
            holder, refusal = _advance(session, digest_of(request.refresh_token), now, secret)
        if holder is None or refusal is not None:
            refusal = refusal or RefreshTokenInvalid()
            _note_failure(_REFUSALS[type(refusal)], holder)
            raise refusal
        return self._tokens(holder, now, secret)

    def LogOut(self, request: auth_pb2.LogOutRequest, context: grpc.ServicerContext) -> empty_pb2.Empty:
        with self._database.transaction() as session:
            users.revoke_session(session, digest_of(request.refresh_token), datetime.now(UTC))
        return empty_pb2.Empty()

    def ListPublicKeys(
        self, request: auth_pb2.ListPublicKeysRequest, context: grpc.ServicerContext
    ) -> auth_pb2.JsonWebKeySet:
        return auth_pb2.JsonWebKeySet(keys=[auth_pb2.JsonWebKey(**key) for key in self._keys.json_web_keys()])

    def _refused(self, reason: str, holder: User | None, **told: object) -> None:
        """Note a log-in that fails. What was typed is not kept anywhere."""
        _note_failure(reason, holder)
        user_id = ids.encode("usr", holder.id) if holder else ""
        audit.record_alone(self._database, "login_failed", user_id, reason=reason, **told)

    def _find_credentials(self, email: str) -> tuple[User, str] | tuple[None, None]:
        """The account of an address with its hash; nothing also for what cannot be an address."""
        try:
            address = user.normalise_email(email)
        except FieldInvalid:
            return None, None
        # On a replica, who has just signed up is not known yet, and would be taken for somebody who guesses.
        with self._database.reading(fresh=True) as session:
            return users.find_credentials(session, address) or (None, None)

    def _tokens(self, holder: User, now: datetime, refresh_token: str) -> auth_pb2.Tokens:
        roles = [role.value for role in holder.roles]
        return auth_pb2.Tokens(
            access_token=self._keys.sign(self._settings, holder.id, roles, now),
            token_type="Bearer",  # noqa: S106 - a kind of token, not one
            expires_in=duration_pb2.Duration(seconds=int(self._settings.access_token_lifetime.total_seconds())),
            refresh_token=refresh_token,
            user_id=ids.encode("usr", holder.id),
        )


def _advance(session: Session, digest: bytes, now: datetime, secret: str) -> tuple[User | None, DomainError | None]:
    """Use a refresh token up and put its successor in its place.

    Returns its holder, and why it is refused if it is. Not raised: that would undo the revocation of a session
    whose token was used twice.
    """
    locked = users.lock_token(session, digest)
    if locked is None:
        return None, None
    holder, started, token = locked
    try:
        used, successor = rotate(started, token, now, secret=secret)
        holder.check_active()
    except RefreshTokenReused as error:
        users.revoke_session(session, digest, now)
        session_id = ids.encode("ses", started.id)
        audit.record(session, "token_reused", ids.encode("usr", holder.id), session_id=session_id)
        return holder, error
    except (RefreshTokenInvalid, UserDisabled) as error:
        return holder, error
    users.replace_token(session, used, successor)
    return holder, None


def _note_failure(reason: str, holder: User | None) -> None:
    """Count and log a refused log-in. What was typed is not logged: people type passwords in the wrong field."""
    _FAILURES[reason].inc()
    told = {"user_id": ids.encode("usr", holder.id), "email": holder.email} if holder else {}
    log.warning("authentication failed", reason=reason, **told)


def _user_id(text: str, field: str) -> UUID:
    """The user whom a request names; `me` is the caller."""
    if text != "me":
        return ids.decode("usr", text, field)
    caller = calls.caller().user_id
    if caller is None:  # a service has no account
        raise ResourceNotFound(resource="user")
    return caller


def user_to_proto(found: User) -> pb.User:
    """The account as callers see it."""
    return pb.User(
        user_id=ids.encode("usr", found.id),
        email=found.email,
        full_name=found.full_name,
        phone=found.phone,
        locale=found.locale,
        roles=[_ROLES[role] for role in found.roles],
        state=_STATES[found.state],
        create_time=values.time_to_proto(found.created_at),
        update_time=values.time_to_proto(found.updated_at),
        etag=found.etag,
    )
