"""A route with all that a request on it needs, put together once at start."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc.aio
from protobuf import Registry

from gateway import metadata
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
    longest: float
    """The most seconds that a call may take."""
    checks_token: bool
    headers: tuple[tuple[bytes, bytes], ...]
    """Of every answer of this route."""


def build(
    routes: Iterable[Route], registry: Registry, channels: Mapping[str, grpc.aio.Channel]
) -> dict[Route, Endpoint]:
    """The endpoint of every route."""
    return {route: _endpoint(route, registry, channels[route.service]) for route in routes}


def _endpoint(route: Route, registry: Registry, channel: grpc.aio.Channel) -> Endpoint:
    name = full_name(route.rpc)
    call: Callable[..., Any] = channel.unary_stream(name) if route.streaming else channel.unary_unary(name)
    headers = (_DEPRECATION,) if route.rpc.deprecated else ()
    return Endpoint(route, Transcoder(route, registry), call, metadata.longest(route), not route.is_public, headers)
