"""The service that quotes calls: users."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from uuid import UUID

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bazaruto.users.v1 import auth_pb2 as users_pb
from bazaruto.users.v1 import auth_pb2_grpc as users_rpc
from bazaruto.users.v1 import user_pb2 as user_pb
from bazaruto.users.v1 import user_pb2_grpc as user_rpc
from libs import ids
from libs.identity.verification import public_key


class Users:
    """The users service."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._auth = users_rpc.AuthServiceStub(channel)
        self._users = user_rpc.UserServiceStub(channel)

    def is_underwriter(self, user_id: str) -> bool:
        """Whether a user can decide on referrals. `NeighbourUnavailable` when users does not answer."""
        request = user_pb.HasRoleRequest(user_id=user_id, role=user_pb.User.ROLE_UNDERWRITER)
        return self._users.HasRole(request).has_role

    def public_keys(self) -> Mapping[str, Ed25519PublicKey]:
        """The keys that verify access tokens, by id. `NeighbourUnavailable` when users does not answer."""
        keys = self._auth.ListPublicKeys(users_pb.ListPublicKeysRequest()).keys
        return {key.kid: public_key({"kty": key.kty, "crv": key.crv, "x": key.x}) for key in keys}

    def ended_sessions(self) -> AbstractSet[UUID]:
        """The log-ins whose access tokens are refused. `NeighbourUnavailable` when users does not answer."""
        listed = self._auth.ListEndedSessions(users_pb.ListEndedSessionsRequest()).session_ids
        return {ids.decode("ses", session_id) for session_id in listed}
