"""The public keys that verify access tokens, fetched from the users service."""

from __future__ import annotations

from collections.abc import Mapping

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bazaruto.users.v1 import auth_pb2 as pb
from bazaruto.users.v1 import auth_pb2_grpc as rpc_pb
from libs.identity.verification import public_key


class RemoteKeys:
    """Asks the users service for its keys; the verifier asks when it meets a key that it does not know."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._auth = rpc_pb.AuthServiceStub(channel)

    def __call__(self) -> Mapping[str, Ed25519PublicKey]:
        """The keys by id. `NeighbourUnavailable` when the users service does not answer."""
        keys = self._auth.ListPublicKeys(pb.ListPublicKeysRequest()).keys
        return {key.kid: public_key({"kty": key.kty, "crv": key.crv, "x": key.x}) for key in keys}
