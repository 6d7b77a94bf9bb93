"""One platform for all end-to-end tests of a run, and one that those of its operation break and mend."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.operations import Operated, operated_platform
from tests.support.buyer import Buyer
from tests.support.platform import Platform, running_platform


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """Every process of the platform, started as people start it."""
    with running_platform() as running:
        yield running


@pytest.fixture(scope="module")
def running() -> Iterator[Operated]:
    """A platform to operate, for the tests of one file."""
    with operated_platform() as started:
        yield started


@pytest.fixture
def operated(running: Operated) -> Operated:
    """Well again, whatever the test before did to it."""
    running.recover()
    return running


@pytest.fixture
def buyer(platform: Platform) -> Iterator[Buyer]:
    """A signed-up customer."""
    with httpx.Client(base_url=platform.url, timeout=30) as http:
        customer = Buyer(http)
        customer.sign_up()
        yield customer
