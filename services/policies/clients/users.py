"""The users service as policies calls it."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from uuid import UUID

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bazaruto.users.v1 import auth_pb2 as users_pb
from bazaruto.users.v1 import auth_pb2_grpc as users_rpc
from bazaruto.users.v1 import customer_pb2 as customers_pb
from bazaruto.users.v1 import customer_pb2_grpc as customers_rpc
from libs import ids
from libs.identity.verification import public_key


class Users:
    """The users service."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._auth = users_rpc.AuthServiceStub(channel)
        self._customers = customers_rpc.CustomerServiceStub(channel)

    def check_customer(self, customer_id: str) -> None:
        """Refuse a party that the caller may not read, as one that does not exist; users decides that."""
        self._customers.GetCustomer(customers_pb.GetCustomerRequest(customer_id=customer_id))

    def partner_of(self, customer_id: str) -> UUID | None:
        """The partner who serves a party; `check_customer` as well."""
        customer = self._customers.GetCustomer(customers_pb.GetCustomerRequest(customer_id=customer_id))
        return ids.decode("par", customer.partner_id) if customer.partner_id else None

    def public_keys(self) -> Mapping[str, Ed25519PublicKey]:
        """The keys that verify access tokens, by id. `NeighbourUnavailable` when users does not answer."""
        keys = self._auth.ListPublicKeys(users_pb.ListPublicKeysRequest()).keys
        return {key.kid: public_key({"kty": key.kty, "crv": key.crv, "x": key.x}) for key in keys}

    def ended_sessions(self) -> AbstractSet[UUID]:
        """The log-ins whose access tokens are refused. `NeighbourUnavailable` when users does not answer."""
        listed = self._auth.ListEndedSessions(users_pb.ListEndedSessionsRequest()).session_ids
        return {ids.decode("ses", session_id) for session_id in listed}
