"""A filled database, an empty one beside it, and the scripts."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from bazarutod import embedded
from tests.integration.backup.scripts import Scripts, fill_books
from tests.support import postgres

_numbers = itertools.count()


@pytest.fixture
def books(make_database: Callable[[str], str]) -> str:
    """The URL of a database of payments with a few journals."""
    url = make_database("payments")
    fill_books(url)
    return url


@pytest.fixture
def scripts(tmp_path: Path, books: str) -> Scripts:
    """The scripts, set up to back up the books."""
    (tmp_path / "metrics").mkdir()
    (tmp_path / "backups").mkdir()
    return Scripts(tmp_path, books)


@pytest.fixture
def empty() -> Iterator[str]:
    """The URL of an empty database on the same server."""
    server, name = postgres.server(), f"test_empty_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0'.encode())
        yield server.url(name)
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder in which embedded servers can work, also when root runs the test."""
    with tempfile.TemporaryDirectory(prefix="bazaruto-backup-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture
def spare_server(open_folder: Path) -> Iterator[embedded.Server]:
    """A server that holds nothing."""
    server = embedded.start(open_folder / "spare", throwaway=True)
    yield server
    server.stop()
