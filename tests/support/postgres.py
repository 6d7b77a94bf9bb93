"""One PostgreSQL server for a whole run of the tests; every test that asks gets a database of its own.

Each service's migrations run once, into a template; a test's database is a copy of it.
"""

from __future__ import annotations

import fcntl
import importlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from bazarutod import embedded
from libs.db import migrations

FOLDER = "TEST_RUN_FOLDER"  # set by the process that begins the run; the parallel ones inherit it
_numbers = itertools.count()


def begin_run() -> None:
    """Make the folder of this run; the server starts when a test first asks for a database."""
    folder = Path(tempfile.mkdtemp(prefix="bazaruto-tests-"))
    folder.chmod(0o711)  # as root, the server runs as another user
    os.environ[FOLDER] = str(folder)


def end_run() -> None:
    """Stop the server, if a test started it, and remove the folder."""
    folder = Path(os.environ.pop(FOLDER))
    data_folder = folder / "pg"
    if (data_folder / "postmaster.pid").exists():
        embedded.start(data_folder).stop()
    shutil.rmtree(folder, ignore_errors=True)


def server() -> embedded.Server:
    """The server of this run."""
    with alone():
        return embedded.start(Path(os.environ[FOLDER]) / "pg", throwaway=True, options=("max_connections=500",))


def new_database(service: str) -> str:
    """The URL of a fresh database with the service's tables."""
    running = server()
    name = f"test_{service}_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(running.url("postgres"), autocommit=True) as connection:
        template = _template(running, connection, service)
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
    return running.url(name)


def _template(running: embedded.Server, connection: psycopg.Connection, service: str) -> str:
    name = f"template_{service}"
    with alone():
        exists = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
        if not exists:
            connection.execute(f'CREATE DATABASE "{name}_new"')
            url = running.url(f"{name}_new")
            migrations.upgrade(url, importlib.import_module(f"services.{service}"))
            connection.execute(f'ALTER DATABASE "{name}_new" RENAME TO "{name}"')
    return name


@contextmanager
def alone() -> Iterator[None]:
    """Only one of the parallel test processes at a time."""
    with (Path(os.environ[FOLDER]) / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
