"""The platform's own contracts through the gateway: to whatever is sent, the answer is one that the document tells."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.integration.gateway.gateway_process import RunningGateway, running_gateway
from tests.support.servers import free_address

# What the services refuse is not looked at here: the stand-in below answers everything.
CHECKS = "not_a_server_error,response_schema_conformance,content_type_conformance,unsupported_method"


class _Anything(grpc.GenericRpcHandler):
    """Answers every method with an empty message."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        if handler_call_details.method.startswith("/grpc.health"):
            return None
        if handler_call_details.method.rpartition("/")[2].startswith("Watch"):
            return grpc.unary_stream_rpc_method_handler(lambda _request, _context: iter([b""]))
        return grpc.unary_unary_rpc_method_handler(lambda _request, _context: b"")


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[RunningGateway]:
    """A gateway with the packaged contracts, in front of services that agree with everything."""
    server = grpc.server(ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((_Anything(),))
    server.add_insecure_port(address := free_address())
    server.start()
    with running_gateway(tmp_path, address, GATEWAY__DESCRIPTORS="") as running:
        yield running
    server.stop(0).wait()


@pytest.mark.timeout(3600)
def test_generated_requests_are_answered_as_the_document_says(platform: RunningGateway, tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("schemathesis")
    # Bounds and wrong kinds of every parameter come in any case; what is drawn by chance beside them takes long.
    drawn = "100" if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else "2"
    options = ["--checks", CHECKS, "--phases", "coverage,fuzzing", "--max-examples", drawn, "--seed", "1", "--no-color"]
    ended = subprocess.run(
        [program, "run", f"{platform.url}/openapi.json", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-5000:] + ended.stderr[-1000:]
