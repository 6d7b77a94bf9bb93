"""One payments server and database for each test."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import pytest

from tests.integration.payments.house import House
from tests.support.people import People


@pytest.fixture
def house(start_server: Callable[..., grpc.Channel], make_database: Callable[[str], str], people: People) -> House:
    return House(start_server, make_database("payments"), people)
