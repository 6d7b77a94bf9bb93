"""Envoy's gRPC-JSON transcoder in front of the policies service: what a gateway costs that is made of C++.

It transcodes and does nothing else: no access log, no traces, no token is looked at.
"""

from __future__ import annotations

import importlib.util
import json
from contextlib import ExitStack
from typing import Any

from tests.performance.bench import Bench
from tests.performance.load import CannotMeasure
from tests.performance.platform import free_address
from tests.performance.readers import Reader, await_policy, settings_of, started

_SERVICE = "bazaruto.policies.v1.PolicyService"
_HTTP2 = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_TRANSCODER = "envoy.extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder"
_ROUTER = "envoy.extensions.filters.http.router.v3.Router"


def reader(bench: Bench, running: ExitStack) -> Reader:
    """Envoy in front of the policies service of this tree, with one worker thread on the measured core."""
    if importlib.util.find_spec("envoy") is None:
        raise CannotMeasure("Envoy is missing: make .venv/.bench")
    site, address = bench.site(bench.head), free_address()
    target = settings_of(site.platform, "policies")["BAZARUTO_SERVICES__POLICIES__LISTEN"]
    descriptors = bench.head.folder / "protos/gen/bazaruto/descriptors.binpb"
    file = bench.folder / "envoy.json"
    file.write_text(json.dumps(_configuration(address, target, str(descriptors))))
    arguments = ["envoy._main", "--config-path", str(file), "--concurrency", "1", "--log-level", "error"]
    pid = running.enter_context(started(bench, "envoy", [*arguments, "--use-dynamic-base-id"], {}))
    await_policy(bench, "envoy", address, site.callers)
    return Reader(address, bench.generator.file(site.callers.reads()), lambda: {"front": pid})


def _configuration(listen: str, target: str, descriptors: str) -> dict[str, Any]:
    transcoder = {
        "@type": f"type.googleapis.com/{_TRANSCODER}",
        "proto_descriptor": descriptors,
        "services": [_SERVICE],
        "print_options": {"always_print_primitive_fields": False},
    }
    manager = {
        "@type": f"type.googleapis.com/{_MANAGER}",
        "stat_prefix": "bench",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "policies", "timeout": "2s"}}],
                }
            ]
        },
        "http_filters": [
            {"name": "envoy.filters.http.grpc_json_transcoder", "typed_config": transcoder},
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"type.googleapis.com/{_ROUTER}"},
            },
        ],
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    http2 = {"@type": f"type.googleapis.com/{_HTTP2}", "explicit_http_config": {"http2_protocol_options": {}}}
    cluster = {
        "name": "policies",
        "type": "STATIC",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2},
        "load_assignment": {
            "cluster_name": "policies",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(target)}}]}],
        },
    }
    listener = {"address": _address(listen), "filter_chains": [{"filters": filters}]}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _address(text: str) -> dict[str, Any]:
    host, _, port = text.rpartition(":")
    return {"socket_address": {"address": host, "port_value": int(port)}}
