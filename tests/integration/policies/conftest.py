"""What every test of policies starts with."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import pytest

from tests.integration.policies.house import House


@pytest.fixture
def house(start_server: Callable[..., grpc.Channel], make_database: Callable[[str], str]) -> House:
    """A policies server, with a database of its own."""
    return House(start_server, make_database("policies"))
