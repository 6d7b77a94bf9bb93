"""One service and one gateway for all tests that change neither."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.integration.gateway.gateway_process import (
    RunningGateway,
    Service,
    running_gateway,
    running_service,
)


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    """The service of the sample contract."""
    with running_service() as running:
        yield running


@pytest.fixture(scope="session")
def gateway(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """The gateway in front of it."""
    folder = tmp_path_factory.mktemp("gateway")
    extra = {"GATEWAY__TRUSTED_PROXIES": '["127.0.0.2/32"]', "GATEWAY__MAX_BODY_BYTES": "100000"}
    with running_gateway(folder, service.target, **extra) as running:
        yield running


@pytest.fixture
def client(gateway: RunningGateway) -> Iterator[httpx.Client]:
    """An HTTP client of the gateway."""
    with gateway.client() as made:
        yield made
