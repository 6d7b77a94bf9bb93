"""Fixtures of the tests of users."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import pytest

from tests.integration.users.house import House
from tests.support.people import People


@pytest.fixture
def house(start_server: Callable[..., grpc.Channel], make_database: Callable[[str], str], people: People) -> House:
    """A users server with an empty database."""
    return House(start_server, make_database("users"), people)
