"""One server of each service that keeps an audit log, with its database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest

from tests.integration.audit.reading import LoggedServer
from tests.support.people import People


@pytest.fixture
def logged(
    start_server: Callable[..., grpc.Channel], make_database: Callable[[str], str], people: People
) -> Callable[[str], Any]:
    """`logged("users")` serves it and its audit log."""
    return lambda service: LoggedServer(service, start_server, make_database(service), people)
