"""A route with all that a request on it needs, put together once at start."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc.aio
from protobuf import Registry

from gateway.contracts.descriptors import full_name
from gateway.contracts.routes import Route
from gateway.transcode.transcoding import Transcoder

_DEPRECATION = (b"deprecation", b"true")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How one route is answered by its service."""

    route: Route
    transcoder: Transcoder
    call: Callable[..., Any]
    """Makes the call: `grpc.aio` knows the types of its multicallables by their stubs only."""
    max_seconds: float
    """The most that a call may take, and what it gets when its caller asks for nothing."""
    max_body_bytes: int
    honours_if_match: bool
    checks_token: bool
    headers: tuple[tuple[bytes, bytes], ...]
    """Of every answer of this route."""


def build(
    routes: Iterable[Route], registry: Registry, channels: Mapping[str, grpc.aio.Channel], max_body_bytes: int
) -> dict[Route, Endpoint]:
    """The endpoint of every route. None takes a larger body than `max_body_bytes`, whatever its contract says."""
    return {route: _endpoint(route, registry, channels[route.service], max_body_bytes) for route in routes}


def _endpoint(route: Route, registry: Registry, channel: grpc.aio.Channel, max_body_bytes: int) -> Endpoint:
    name = full_name(route.rpc)
    call: Callable[..., Any] = channel.unary_stream(name) if route.streaming else channel.unary_unary(name)
    headers = (_DEPRECATION,) if route.rpc.deprecated else ()
    limits = route.options.limits
    return Endpoint(
        route=route,
        transcoder=Transcoder(route, registry),
        call=call,
        max_seconds=limits.seconds,
        max_body_bytes=min(limits.body_bytes, max_body_bytes),
        honours_if_match=limits.if_match,
        checks_token=not route.is_public,
        headers=headers,
    )
