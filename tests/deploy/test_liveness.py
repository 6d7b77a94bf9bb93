"""A server whose database was never there is alive and not ready: restarting it would help nobody."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bazarutod.stack import SERVICES
from services.users.people.adapters.sealing import write_field_keys
from tests.deploy.manifests import pods
from tests.deploy.programs import eventually
from tests.support.servers import free_address


@pytest.mark.parametrize("service", SERVICES)
def test_server_without_a_database_passes_its_liveness_probe_and_no_other(service: str, tmp_path: Path) -> None:
    (container,) = pods("production")[service]["spec"]["containers"]
    listen, metrics = free_address(), free_address()
    (tmp_path / "internal").write_text("0" * 64)
    write_field_keys(tmp_path / "fields", datetime.now(UTC))
    prefix = f"BAZARUTO_SERVICES__{service.upper()}__"
    environment = {
        **os.environ,
        f"{prefix}LISTEN": listen,
        f"{prefix}METRICS": metrics,
        f"{prefix}DB_URL": "postgresql://nobody@127.0.0.1:1/nowhere",
        "BAZARUTO_AUTH__INTERNAL_SECRET_FILE": str(tmp_path / "internal"),
        "BAZARUTO_AUTH__KEY_FOLDER": str(signing_key(tmp_path / "keys")),
        "BAZARUTO_SECRETS__FIELD_KEYS": str(tmp_path / "fields"),
        "BAZARUTO_ENVIRONMENT": "test",
    }
    command = [sys.executable, "-m", f"services.{service}.main", "serve"]
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, env=environment, stdout=log) as process:
        try:
            eventually(lambda: answers(f"http://{metrics}{container['startupProbe']['httpGet']['path']}"))
            eventually(lambda: health(listen) == health_pb2.HealthCheckResponse.NOT_SERVING)
            assert answers(f"http://{metrics}{container['livenessProbe']['httpGet']['path']}")
            assert process.poll() is None
        finally:
            process.kill()


def signing_key(folder: Path) -> Path:
    """A folder with one key, as the users server asks for."""
    folder.mkdir()
    command = ["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(folder / "1.pem")]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def answers(url: str) -> bool:
    """Whether an address answers 200."""
    try:
        return httpx.get(url, timeout=3).status_code == 200
    except httpx.TransportError:
        return False


def health(address: str) -> int | None:
    """What the health protocol says of the whole server; None while nobody answers."""
    with grpc.insecure_channel(address) as channel:
        try:
            return int(health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=2).status)
        except grpc.RpcError:
            return None
