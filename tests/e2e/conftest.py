"""One platform for all end-to-end tests of a run."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.support.buyer import Buyer
from tests.support.platform import Platform, running_platform


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """Every process of the platform, started as people start it."""
    with running_platform() as running:
        yield running


@pytest.fixture
def buyer(platform: Platform) -> Iterator[Buyer]:
    """A signed-up customer."""
    with httpx.Client(base_url=platform.url, timeout=30) as http:
        customer = Buyer(http)
        customer.sign_up()
        yield customer
