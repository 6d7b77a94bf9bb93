"""`bazarutod health`: what the health check of a container or a script runs, where there is no curl and no grpcurl."""

from __future__ import annotations

import re
import sys
import urllib.request

import grpc
import typer
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bazarutod.stack import PROCESSES, Process
from libs.config import Settings, load

_ADDRESS = re.compile(r"[^\s/]+:\d{1,5}")


def run(target: str) -> None:
    """Print `healthy`, or end the program with 1."""
    if not _is_healthy(target):
        sys.exit(f"{target} is not healthy")
    typer.echo("healthy")


def _is_healthy(target: str) -> bool:
    if target.startswith(("http://", "https://")):
        return _http_ok(target)
    if _ADDRESS.fullmatch(target):
        return serving(target)
    for process in PROCESSES:
        if process.name == target:
            return _answers(load(), process)
    known = ", ".join(process.name for process in PROCESSES)
    raise typer.BadParameter(f"{target!r} is no URL, no HOST:PORT and none of {known}")


def _answers(settings: Settings, process: Process) -> bool:
    """Whether a process can do its work, as it says itself where the configuration has it listen."""
    if process.service == "gateway":
        return _http_ok(f"http://{settings.gateway.listen}/readyz")
    service = settings.services[process.service]
    return serving(service.listen) if process.verb == "serve" else _http_ok(f"http://{service.worker_metrics}/readyz")


def _http_ok(url: str) -> bool:
    """Whether an address answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - an address of our own
            return bool(answer.status == 200)
    except OSError:
        return False


def serving(address: str) -> bool:
    """Whether a server says by the gRPC health protocol that it serves."""
    with grpc.insecure_channel(address) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=2)
        except grpc.RpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
