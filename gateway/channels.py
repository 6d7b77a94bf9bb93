"""Channels to the services: one for each service and worker, and what is repeated on them."""

from __future__ import annotations

import json
from collections.abc import Iterable

import grpc.aio

from gateway.contracts import full_name
from gateway.routes import Route

_REQUIRED = 1  # bazaruto.options.v1.Idempotency
_MAX_MESSAGE = 4 << 20  # bytes
_RETRY = {
    "maxAttempts": 3,
    "initialBackoff": "0.1s",
    "maxBackoff": "1s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}


def connect(target: str, routes: Iterable[Route]) -> grpc.aio.Channel:
    """A channel to one service. It connects when it is first used, and goes around the replicas."""
    return grpc.aio.insecure_channel(
        target,
        options=(
            ("grpc.service_config", service_config(routes)),
            ("grpc.enable_retries", 1),
            ("grpc.keepalive_time_ms", 60_000),
            ("grpc.keepalive_timeout_ms", 20_000),
            # A service that comes back is found within a second, not after the library's two minutes.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1_000),
            ("grpc.max_receive_message_length", _MAX_MESSAGE),
        ),
    )


def service_config(routes: Iterable[Route]) -> str:
    """Repeat what is safe to repeat: reads, and calls that cannot be made without an idempotency key."""
    safe = {full_name(r.rpc)[1:] for r in routes if r.http_method == "GET" or r.idempotency == _REQUIRED}
    names = [dict(zip(("service", "method"), name.split("/"), strict=True)) for name in sorted(safe)]
    config = {
        "loadBalancingConfig": [{"round_robin": {}}],
        "healthCheckConfig": {"serviceName": ""},
        "methodConfig": [{"name": names, "retryPolicy": _RETRY}] if names else [],
        "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
    }
    return json.dumps(config)
