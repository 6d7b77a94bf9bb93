"""The keys that verify access tokens, asked of the method that publishes them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping

import grpc
import grpc.aio
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from protobuf import DescMethod

from gateway.contracts import descriptors
from libs.identity.verification import public_key

_PATIENCE = 1.8  # seconds


class KeysUnavailable(Exception):
    """The keys cannot be had now, or no method publishes them."""


class PublishedKeys:
    """Asks for the keys. The reply of `publisher`, as JSON, is a JSON Web Key Set."""

    def __init__(self, publisher: DescMethod | None, channels: Mapping[str, grpc.aio.Channel]) -> None:
        self._publisher = publisher
        self._channels = channels

    async def fetch(self) -> Mapping[str, Ed25519PublicKey]:
        """The keys by their ids. `KeysUnavailable` when nobody answers with any."""
        publisher = self._publisher
        if publisher is None:
            raise KeysUnavailable
        channel = self._channels[descriptors.owner(publisher)]
        ask: Callable[..., Awaitable[bytes]] = channel.unary_unary(descriptors.full_name(publisher))
        try:
            reply = publisher.output.type.from_binary(await ask(b"", timeout=_PATIENCE))
            key_set = json.loads(reply.to_json(always_emit_implicit=True))
            return {key["kid"]: public_key(key) for key in key_set["keys"]}
        except (grpc.RpcError, jwt.PyJWTError, ValueError, LookupError) as error:
            raise KeysUnavailable from error
