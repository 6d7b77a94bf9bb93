"""One platform, and one Prometheus that watches it, for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.ops.monitoring import Monitoring, watching
from tests.ops.sinks import Inbox, open_inbox
from tests.support.buyer import Buyer
from tests.support.platform import Platform, running_platform


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """Every process of the platform."""
    with running_platform() as running:
        yield running


@pytest.fixture(scope="session")
def inbox() -> Iterator[Inbox]:
    """Where notifications arrive."""
    with open_inbox() as opened:
        yield opened


@pytest.fixture(scope="session")
def monitoring(platform: Platform, inbox: Inbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitoring]:
    """Prometheus, Alertmanager and the exporters."""
    with watching(platform, inbox, tmp_path_factory.mktemp("monitoring")) as watched:
        yield watched


@pytest.fixture
def buyer(platform: Platform) -> Iterator[Buyer]:
    """A signed-up customer."""
    with httpx.Client(base_url=platform.url, timeout=30) as http:
        customer = Buyer(http)
        customer.sign_up()
        yield customer
