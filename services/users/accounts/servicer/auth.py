"""The gRPC face of log-ins."""

from __future__ import annotations

import grpc
from google.protobuf import empty_pb2

from bazaruto.users.v1 import auth_pb2 as pb
from bazaruto.users.v1 import auth_pb2_grpc as rpc_pb
from libs import clock, ids
from libs.config import AuthSettings
from libs.db import Database
from libs.rpc import calls
from services.users.accounts.adapters.hashing import new_secret
from services.users.accounts.adapters.signing import SigningKeys
from services.users.accounts.flows import ending
from services.users.accounts.flows.logging_in import Authenticator
from services.users.accounts.flows.rights import Rights
from services.users.accounts.messages import json_web_key_to_proto, tokens_to_proto
from services.users.accounts.rules.session import UserSession


class AuthServicer(rpc_pb.AuthServiceServicer):
    """Answers the calls of `AuthService`."""

    def __init__(
        self,
        database: Database,
        authenticator: Authenticator,
        rights: Rights,
        keys: SigningKeys,
        settings: AuthSettings,
    ) -> None:
        self._database = database
        self._authenticator = authenticator
        self._rights = rights
        self._keys = keys
        self._settings = settings

    def LogIn(self, request: pb.LogInRequest, context: grpc.ServicerContext) -> pb.Tokens:
        refresh_token = new_secret()
        client_address = calls.current().client_address
        user_session = self._authenticator.log_in(request.email, request.password, client_address, refresh_token)
        return self._tokens(user_session, refresh_token)

    def RefreshTokens(self, request: pb.RefreshTokensRequest, context: grpc.ServicerContext) -> pb.Tokens:
        successor = new_secret()
        user_session = self._authenticator.refresh(request.refresh_token, successor, clock.real_now())
        return self._tokens(user_session, successor)

    def LogOut(self, request: pb.LogOutRequest, context: grpc.ServicerContext) -> empty_pb2.Empty:
        self._authenticator.log_out(request.refresh_token, clock.real_now())
        return empty_pb2.Empty()

    def ListEndedSessions(
        self, request: pb.ListEndedSessionsRequest, context: grpc.ServicerContext
    ) -> pb.ListEndedSessionsResponse:
        ended = ending.list_ended(self._database, self._settings.access_token_lifetime)
        return pb.ListEndedSessionsResponse(session_ids=[ids.encode("ses", session_id) for session_id in ended])

    def ListPublicKeys(self, request: pb.ListPublicKeysRequest, context: grpc.ServicerContext) -> pb.JsonWebKeySet:
        return pb.JsonWebKeySet(keys=[json_web_key_to_proto(key) for key in self._keys.json_web_keys()])

    def _tokens(self, user_session: UserSession, refresh_token: str) -> pb.Tokens:
        now = clock.real_now()
        user, until = self._rights.of(user_session, now)
        expires_at = now + self._settings.access_token_lifetime
        if until is not None:
            expires_at = min(expires_at, until)
        access_token = self._keys.sign(self._settings, user, now, expires_at)
        return tokens_to_proto(user_session.user_id, access_token, expires_at - now, refresh_token)
