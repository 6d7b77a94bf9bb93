"""Channels to the services: one for each service and worker, and what is repeated on them."""

from __future__ import annotations

from collections.abc import Iterable

import grpc.aio

from gateway.contracts.descriptors import full_name
from gateway.contracts.routes import Route
from libs.rpc import connection

_MAX_MESSAGE = 4 << 20  # bytes


def connect(target: str, routes: Iterable[Route]) -> grpc.aio.Channel:
    """A channel to one service. It connects when it is first used, and goes around the replicas."""
    options = (*connection.options(repeated(routes)), ("grpc.max_receive_message_length", _MAX_MESSAGE))
    return grpc.aio.insecure_channel(target, options)


def repeated(routes: Iterable[Route]) -> list[dict[str, str]]:
    """What is safe to repeat: what changes nothing, and calls that cannot be made without an idempotency key."""
    safe = {full_name(r.rpc)[1:] for r in routes if r.is_repeatable}
    return [dict(zip(("service", "method"), name.split("/"), strict=True)) for name in sorted(safe)]
