"""How a connection to a service behaves, for its neighbours and for the gateway alike.

One layer repeats calls, and only what is safe to repeat: between services every method is, by its key or its nature.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

_RETRY: Final = {
    "maxAttempts": 3,
    "initialBackoff": "0.1s",
    "maxBackoff": "1s",
    "backoffMultiplier": 2,
    # CANCELLED without having been asked to is what a server says to a call that comes while it leaves.
    "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
}

Options = tuple[tuple[str, str | int], ...]


def options(repeated: Sequence[dict[str, str]]) -> Options:
    """Options of a channel on which the `repeated` methods are tried up to three times; `{}` names all of them."""
    return (
        ("grpc.service_config", service_config(repeated)),
        ("grpc.enable_retries", 1),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        # A service that comes back is found within a second, not after the library's two minutes.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1_000),
    )


def service_config(repeated: Sequence[dict[str, str]]) -> str:
    """The part of it that gRPC takes as JSON: go around the replicas that are well, and repeat."""
    config = {
        "loadBalancingConfig": [{"round_robin": {}}],
        "healthCheckConfig": {"serviceName": ""},
        "methodConfig": [{"name": repeated, "retryPolicy": _RETRY}] if repeated else [],
        "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
    }
    return json.dumps(config)
