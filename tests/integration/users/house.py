"""A users server with its database, and the people who live there."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import grpc
import psycopg

from bazaruto.users.v1 import auth_pb2, auth_pb2_grpc, customer_pb2_grpc, partner_pb2_grpc, user_pb2_grpc
from bazaruto.users.v1 import user_pb2 as pb
from libs.cache import Cache
from libs.config import Settings
from libs.db import Database
from libs.rpc.server import Server
from services.users.accounts.adapters import caching
from services.users.accounts.adapters.hashing import Hasher
from services.users.accounts.adapters.throttling import Throttle
from services.users.accounts.flows import registering
from services.users.accounts.flows.logging_in import Authenticator
from services.users.accounts.flows.rights import Rights
from services.users.accounts.rules.user import User
from services.users.accounts.servicer.auth import AuthServicer
from services.users.accounts.servicer.users import UserServicer
from services.users.partners.flows import selling
from services.users.partners.servicer import PartnerServicer
from services.users.people.adapters.sealing import FieldKeys
from services.users.people.flows import making
from services.users.people.servicer import CustomerServicer
from services.users.people.store import links
from tests.support.people import People

PASSWORD = "baobab-carrinha-47"
PRODUCTS = frozenset({"home", "motor", "travel"})
"""Those that there are, as far as partners are asked."""
_numbers = itertools.count()


class House:
    """Both gRPC services on one server, as `main.py` serves them."""

    def __init__(
        self,
        start: Callable[..., grpc.Channel],
        url: str,
        people: People,
        users: Cache[User] | None = None,
        throttle: Throttle | None = None,
    ) -> None:
        """Nobody is made to wait after wrong passwords, unless the test brings a throttle of its own."""
        self.url = url

        def build(server: Server, database: Database, settings: Settings) -> None:
            self.database = database
            hasher = Hasher()
            chosen = throttle or Throttle(free=1_000_000)
            authenticator = Authenticator(database, hasher, chosen, settings.auth.refresh_token_lifetime)
            auth = AuthServicer(
                database,
                authenticator,
                Rights(database, links.find_parties, selling.membership_of),
                people.keys,
                settings.auth,
            )
            server.add(
                user_pb2_grpc.add_UserServiceServicer_to_server,
                UserServicer(database, hasher, users or caching.in_process(), chosen, making.make_of_user),
            )
            server.add(
                customer_pb2_grpc.add_CustomerServiceServicer_to_server,
                CustomerServicer(database, FieldKeys.load(people.field_keys)),
            )
            partners = PartnerServicer(database, PRODUCTS.__contains__)
            server.add(partner_pb2_grpc.add_PartnerServiceServicer_to_server, partners)
            server.add(auth_pb2_grpc.add_AuthServiceServicer_to_server, auth)

        channel = start("users", url, build)
        self.users = user_pb2_grpc.UserServiceStub(channel)
        self.auth = auth_pb2_grpc.AuthServiceStub(channel)
        self.partners = partner_pb2_grpc.PartnerServiceStub(channel)
        self.customers = customer_pb2_grpc.CustomerServiceStub(channel)

    def register(self, email: str = "", password: str = PASSWORD, **fields: str) -> pb.User:
        """Register somebody; without an address, somebody new."""
        email = email or f"person{next(_numbers)}@example.com"
        full_name = fields.pop("full_name", "Ana Sitoe")
        return self.users.RegisterUser(
            pb.RegisterUserRequest(email=email, password=password, full_name=full_name, **fields)
        )

    def log_in(self, email: str, password: str = PASSWORD) -> auth_pb2.Tokens:
        """Log in."""
        return self.auth.LogIn(auth_pb2.LogInRequest(email=email, password=password))

    def refresh(self, refresh_token: str) -> auth_pb2.Tokens:
        """Exchange a refresh token."""
        return self.auth.RefreshTokens(auth_pb2.RefreshTokensRequest(refresh_token=refresh_token))

    def log_out(self, refresh_token: str) -> None:
        """Log out."""
        self.auth.LogOut(auth_pb2.LogOutRequest(refresh_token=refresh_token))

    def get(self, authorization: str, user_id: str = "me") -> pb.User:
        """Read a user."""
        return self.users.GetUser(pb.GetUserRequest(user_id=user_id), metadata=(("authorization", authorization),))

    def update(
        self, authorization: str, user_id: str = "me", mask: list[str] | None = None, if_match: str = "", **fields: Any
    ) -> pb.User:
        """Change a user; without a mask, the fields that are given."""
        request = pb.UpdateUserRequest(user=pb.User(user_id=user_id, **fields))
        request.update_mask.paths.extend(fields if mask is None else mask)
        metadata = (("authorization", authorization), *((("if-match", if_match),) if if_match else ()))
        return self.users.UpdateUser(request, metadata=metadata)

    def grant(self, admin: str, user_id: str, role: pb.User.Role.ValueType) -> pb.User:
        """Give a role."""
        request = pb.GrantRoleRequest(user_id=user_id, role=role)
        return self.users.GrantRole(request, metadata=(("authorization", admin),))

    def revoke(self, admin: str, user_id: str, role: pb.User.Role.ValueType) -> pb.User:
        """Take a role away."""
        request = pb.RevokeRoleRequest(user_id=user_id, role=role)
        return self.users.RevokeRole(request, metadata=(("authorization", admin),))

    def staff(self, admin: str, role: pb.User.Role.ValueType) -> pb.User:
        """Somebody new with a role of the insurer's staff, or an agent."""
        user = self.register()
        self.revoke(admin, user.user_id, pb.User.ROLE_CUSTOMER)
        return self.grant(admin, user.user_id, role)

    def admin(self) -> str:
        """The authorization of a new admin, made as by the command."""
        user = registering.create_admin(
            self.database, f"admin{next(_numbers)}@example.com", PASSWORD, "Rui Admin", datetime.now(UTC)
        )
        return bearer(self.log_in(user.email))

    def newcomer(self) -> tuple[pb.User, str]:
        """Somebody new who has logged in: the user, and their authorization."""
        user = self.register()
        return user, bearer(self.log_in(user.email))

    def sql(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask the database, or change it behind the service's back."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(query.encode(), values)
            return cursor.fetchall() if cursor.description else []


def bearer(tokens: auth_pb2.Tokens) -> str:
    """The authorization that a log-in gives."""
    return f"Bearer {tokens.access_token}"
