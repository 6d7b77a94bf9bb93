"""Dumps as SQL, one file for each database and one for the roles: made, checked, and restored into an empty database.

They need nothing but `psql` to be read. `dumping.py` makes the other kind, with a manifest of what is in it.
"""

from __future__ import annotations

import gzip
import re
import shutil
import sys
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Final

import psycopg

from bazarutod.backup import BackupError, fingerprint, programs, sealing, server
from bazarutod.backup.folder import taken
from bazarutod.backup.manifest import sha256
from bazarutod.backup.settings import Settings
from libs import clock

_CHUNK: Final = 1 << 20
_EDGE: Final = 1 << 16  # bytes that surely hold the first and the last lines
_FIRST_LINE: Final = re.compile(rb"-- PostgreSQL database (cluster )?dump")
_LAST_LINE: Final = re.compile(rb"-- PostgreSQL database (cluster )?dump complete")
_ROLE: Final = re.compile(rb"(?:CREATE|ALTER) ROLE (\S+?);?\s")
_UNREADABLE = (gzip.BadGzipFile, EOFError, zlib.error, programs.ProgramFailed)


def back_up(settings: Settings) -> None:
    """Dump databases and roles, check the dumps, seal and upload them, and only then forget old ones."""
    server.check_client(settings)
    stamp = f"{clock.real_now().astimezone():%Y%m%d_%H%M%S}"
    with taken(settings) as folder:
        sealed = []
        for database in settings.databases:
            suffix = "" if len(settings.databases) == 1 else f"_{database}"
            file = folder.work / f"backup_{stamp}{suffix}.sql.gz"
            _dump(settings, file, f"the dump of {database}", "pg_dump", database)
            sealed.append(sealing.seal(settings, file))
        # The roles belong to the server and are in no dump; without them no dump can be restored on a new server.
        file = folder.work / f"roles_{stamp}.sql.gz"
        _dump(settings, file, "the dump of the roles", "pg_dumpall", "postgres", "--roles-only", "--no-role-passwords")
        sealed.append(sealing.seal(settings, file))
        names = [folder.publish(file) for file in sealed]
        folder.upload(*names)
        folder.prune("backup_*.sql.gz*", "roles_*.sql.gz*")
        folder.report_success("dump")


def restore(settings: Settings, file: Path) -> None:
    """Restore one dump into an empty database, or make the roles that the server lacks, in one transaction.

    The file is checked to its last byte before the server is asked for anything.
    """
    _check_sum(file)
    if not _is_whole(settings, file):
        raise BackupError(f"{file} is damaged, or no dump, or its key is another one; nothing was changed")
    if file.name.startswith("roles_"):
        _restore_roles(settings, file)
        return
    url = server.conninfo(settings, settings.db_name)
    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            is_empty = fingerprint.is_empty(connection)
    except psycopg.OperationalError as error:
        raise BackupError(
            f"the database {settings.db_name} cannot be reached: {str(error).strip()};"
            f" make it first: createdb --owner=ROLE {settings.db_name}"
        ) from error
    if not is_empty:
        raise BackupError(f"the database {settings.db_name} is not empty; restore into a new one and swap the names")
    with sealing.opened(settings, file) as stream, gzip.open(stream) as text:
        _execute(url, _chunks(text), f"the restore failed; {settings.db_name} is as empty as before")
    print(f"restored {file.name} into {settings.db_name}", file=sys.stderr)


def _dump(settings: Settings, file: Path, subject: str, program: str, database: str, *options: str) -> None:
    url = server.conninfo(settings, database)
    with (
        programs.output(
            programs.program(program), "--no-password", *options, url=url, failure=f"{subject} failed"
        ) as dump,
        gzip.open(file, "wb", compresslevel=6) as packed,
    ):
        shutil.copyfileobj(dump, packed, _CHUNK)
    if not _is_whole(settings, file):
        raise BackupError(f"{subject} is not whole")


def _is_whole(settings: Settings, file: Path) -> bool:
    """Whether a dump is sound to its last byte, with the first and the last line that pg_dump writes."""
    try:
        with sealing.opened(settings, file) as stream, gzip.open(stream) as text:
            first = last = text.read(_EDGE)
            for chunk in _chunks(text):
                last = (last + chunk)[-_EDGE:]
    except _UNREADABLE:
        return False
    return any(map(_FIRST_LINE.fullmatch, first.splitlines()[:10])) and any(
        map(_LAST_LINE.fullmatch, last.splitlines()[-11:])
    )


def _check_sum(file: Path) -> None:
    if not file.is_file():
        raise BackupError(f"there is no file {file}")
    if not file.stat().st_size:
        raise BackupError(f"{file} is empty")
    beside = file.with_name(f"{file.name}.sha256")
    if not beside.is_file():
        raise BackupError(f"{file} has no {beside} beside it; make one only if you know the file is whole")
    if beside.read_text().split() != [sha256(file), file.name]:
        raise BackupError(f"{file} is damaged: its checksum is another one")


def _restore_roles(settings: Settings, file: Path) -> None:
    """Make the roles that the server lacks; those that are there keep their rights."""
    url = server.conninfo(settings)
    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            rows = connection.execute("SELECT quote_ident(rolname) FROM pg_roles").fetchall()
    except psycopg.OperationalError as error:
        raise BackupError(f"the server {settings.db_host} does not answer: {str(error).strip()}") from error
    there = {name.encode() for (name,) in rows}
    with sealing.opened(settings, file) as stream, gzip.open(stream) as text:
        _execute(url, _roles_but(there, text), "the roles were not restored")
    print(f"the server has the roles of {file.name}; give them passwords", file=sys.stderr)


def _roles_but(there: set[bytes], text: Iterable[bytes]) -> Iterator[bytes]:
    for line in text:
        role = _ROLE.match(line)
        if not (role and role[1] in there):
            yield line


def _execute(url: str, statements: Iterable[bytes], failure: str) -> None:
    """All of the statements, or none."""
    options = ("-X", "-q", "-o", "/dev/null", "-v", "ON_ERROR_STOP=1", "--single-transaction", "--no-password")
    programs.feed(programs.program("psql"), *options, url=url, content=statements, failure=failure)


def _chunks(stream: IO[bytes] | gzip.GzipFile) -> Iterator[bytes]:
    while chunk := stream.read(_CHUNK):
        yield chunk
