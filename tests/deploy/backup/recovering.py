"""Servers that archive their log, and servers that recover from it."""

from __future__ import annotations

import shlex
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from bazarutod import embedded
from bazarutod.backup import fingerprint
from tests.deploy.backup.scripts import FOLDER

DOES_NOT_OPEN = (embedded.EmbeddedError, psycopg.OperationalError)
NOTES = "CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY, text text NOT NULL)"


def start_archiving(folder: Path, *options: str) -> embedded.Server:
    """A server on `folder/pg` that archives its log into `folder/archive` with the script."""
    archive = folder / "archive"
    archive.mkdir()
    embedded.give_to_server(archive)
    shutil.copy(FOLDER / "wal-archive.sh", folder)  # where the server's user can run it
    command = shlex.quote(f"archive_command={folder}/wal-archive.sh %p %f {archive}")
    return embedded.start(folder / "pg", throwaway=True, options=("archive_mode=on", command, *options))


def note(connection: psycopg.Connection, text: str) -> None:
    """Write many rows with a text."""
    connection.execute("INSERT INTO notes (text) SELECT %s FROM generate_series(1, 500)", (text,))


def texts(connection: psycopg.Connection) -> set[str]:
    """The texts that there are."""
    return {text for (text,) in connection.execute("SELECT DISTINCT text FROM notes")}


@contextmanager
def started(data_folder: Path) -> Iterator[str]:
    """The URL of a server on a restored data folder, when it takes writes. It can be read while it still replays."""
    embedded.give_to_server(data_folder)
    server = embedded.start(data_folder, throwaway=True)
    try:
        deadline = time.monotonic() + 30
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            while fingerprint.single(connection, "SELECT pg_is_in_recovery()")[0]:
                assert time.monotonic() < deadline, "the log is replayed in half a minute"
                time.sleep(0.02)
        yield server.url("postgres")
    finally:
        with suppress(embedded.EmbeddedError):  # it stopped by itself
            server.stop()
