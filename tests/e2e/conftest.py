"""A platform that the tests of its operation break and mend, and a customer of the one that stays whole."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.operations import Operated, operated_platform
from tests.support.buyer import Buyer
from tests.support.platform import Platform


@pytest.fixture(scope="session")
def operated() -> Iterator[Operated]:
    """A platform to operate."""
    with operated_platform() as running:
        running.recover()
        yield running


@pytest.fixture
def recovering(operated: Operated) -> Iterator[Operated]:
    """The same for a test that breaks it: behind the test, all is well again."""
    yield operated
    operated.recover()


@pytest.fixture
def buyer(platform: Platform) -> Iterator[Buyer]:
    """A signed-up customer."""
    with httpx.Client(base_url=platform.url, timeout=30) as http:
        customer = Buyer(http)
        customer.sign_up()
        yield customer
