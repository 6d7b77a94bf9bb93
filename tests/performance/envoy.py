"""Envoy's gRPC-JSON transcoder in front of the policies service: what a gateway costs that is made of C++.

It transcodes and does nothing else: no access log, no traces, no token is looked at.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from tests.performance import ground
from tests.performance.ground import Ground
from tests.performance.load import CannotMeasure
from tests.support.servers import free_address

_SERVICE = "bazaruto.policies.v1.PolicyService"
_HTTP2 = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_TRANSCODER = "envoy.extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder"
_ROUTER = "envoy.extensions.filters.http.router.v3.Router"


@contextmanager
def running(shared: Ground) -> Iterator[tuple[str, int]]:
    """Serve within, one worker thread on the measured core; gives the URL of the read and the process id."""
    if importlib.util.find_spec("envoy") is None:
        raise CannotMeasure("Envoy is missing: make .venv/.bench")
    address = free_address()
    file = shared.folder / "envoy.json"
    file.write_text(json.dumps(_configuration(address, shared.settings.services["policies"].target)))
    arguments = ["envoy._main", "--config-path", str(file), "--concurrency", "1", "--log-level", "error"]
    arguments += ["--use-dynamic-base-id"]
    url = f"http://{address}{shared.path}"
    with ground.running_server(shared, "envoy", arguments, url) as pid:
        yield url, pid


def _configuration(listen: str, target: str) -> dict[str, Any]:
    transcoder = {
        "@type": f"type.googleapis.com/{_TRANSCODER}",
        "proto_descriptor": str(Path(str(files("bazaruto").joinpath("descriptors.binpb")))),
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
