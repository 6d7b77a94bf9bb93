"""Fixtures of the tests of jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.integration.jobs.queue import Queue


@pytest.fixture
def queue(make_database: Callable[[str], str]) -> Iterator[Queue]:
    """An empty queue, and what its workers do."""
    made = Queue(make_database("users"))
    yield made
    made.close()
