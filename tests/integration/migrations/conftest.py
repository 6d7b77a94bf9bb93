"""Fixtures of the tests of migrations."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import psycopg
import pytest

from tests.support import postgres

_numbers = itertools.count()


@pytest.fixture
def make_empty() -> Iterator[Callable[[], str]]:
    """`make_empty()` gives the URL of a database without tables."""
    with ExitStack() as databases:
        yield lambda: databases.enter_context(_database())


@pytest.fixture
def empty(make_empty: Callable[[], str]) -> str:
    """The URL of a database without tables."""
    return make_empty()


@contextmanager
def _database() -> Iterator[str]:
    server, name = postgres.server(), f"test_migrations_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0'.encode())
        yield server.url(name)
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())
