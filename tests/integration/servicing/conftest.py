"""Both services, for all tests of a file: each has policies of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import grpc
import pytest

from tests.integration.servicing.book import Book
from tests.support import servers
from tests.support.people import People


@pytest.fixture(scope="module")
def book(people: People) -> Iterator[Book]:
    """Policies and payments that call each other."""
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:

        def start(service: str, url: str, build: servers.Build) -> grpc.Channel:
            settings = servers.settings_for(people, **{service: url})
            return stack.enter_context(servers.running_server(service, settings, people, build))

        made = Book(start, people, patch)
        yield made
        made.close()
