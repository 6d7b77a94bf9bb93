"""A filled database, an empty one beside it, and the scripts."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from tests.deploy.backup.scripts import Scripts
from tests.support import postgres
from tests.support.books import fill_books

_numbers = itertools.count()


@pytest.fixture
def scripts(tmp_path: Path, make_database: Callable[[str], str]) -> Scripts:
    """The scripts, set up to back up a database of payments with a few journals."""
    (tmp_path / "metrics").mkdir()
    (tmp_path / "backups").mkdir()
    url = make_database("payments")
    fill_books(url)
    return Scripts(tmp_path, url)


@pytest.fixture
def empty() -> Iterator[str]:
    """The URL of an empty database on the same server."""
    server, name = postgres.server(), f"test_empty_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0'.encode())
        yield server.url(name)
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())
