"""The services that payments calls: users and policies."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from uuid import UUID

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bazaruto.policies.v1 import policy_pb2 as policies_pb
from bazaruto.policies.v1 import policy_pb2_grpc as policies_rpc
from bazaruto.users.v1 import auth_pb2 as users_pb
from bazaruto.users.v1 import auth_pb2_grpc as users_rpc
from libs import ids
from libs.identity.verification import public_key
from libs.rpc import values


class Users:
    """The users service."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._auth = users_rpc.AuthServiceStub(channel)

    def public_keys(self) -> Mapping[str, Ed25519PublicKey]:
        """The keys that verify access tokens, by id. `NeighbourUnavailable` when users does not answer."""
        keys = self._auth.ListPublicKeys(users_pb.ListPublicKeysRequest()).keys
        return {key.kid: public_key({"kty": key.kty, "crv": key.crv, "x": key.x}) for key in keys}

    def ended_sessions(self) -> AbstractSet[UUID]:
        """The log-ins whose access tokens are refused. `NeighbourUnavailable` when users does not answer."""
        listed = self._auth.ListEndedSessions(users_pb.ListEndedSessionsRequest()).session_ids
        return {ids.decode("ses", session_id) for session_id in listed}


class Policies:
    """The policies service."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._policies = policies_rpc.PolicyServiceStub(channel)

    def activate_policy(self, policy_id: UUID, payment_id: UUID, paid_at: datetime, term_number: int) -> None:
        """Let cover of a term begin because its first premium is paid. Repeating it changes nothing."""
        self._policies.ActivatePolicy(
            policies_pb.ActivatePolicyRequest(
                policy_id=ids.encode("pol", policy_id),
                payment_id=ids.encode("pay", payment_id),
                paid_time=values.time_to_proto(paid_at),
                term_number=term_number,
            )
        )

    def close_not_taken(self, policy_id: UUID, invoice_id: UUID, term_number: int) -> bool:
        """Have a policy closed whose first premium was not paid in time; False when nothing was to be closed.

        What follows for its billing comes back as a transaction of the policy. Repeating it changes nothing.
        """
        request = policies_pb.CloseNotTakenRequest(
            policy_id=ids.encode("pol", policy_id),
            invoice_id=ids.encode("inv", invoice_id),
            term_number=term_number,
        )
        return self._policies.CloseNotTaken(request).result == policies_pb.CloseNotTakenResponse.RESULT_CLOSED
