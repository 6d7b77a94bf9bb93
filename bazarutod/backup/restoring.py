"""Restore a backup into empty databases, and hold what came out against what went in.

Each dump is restored into a database under a temporary name. Only when all of them are compared do they get their
names; until then the server's databases are as they were.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bazarutod.backup import BackupError, Tell, fingerprint, manifest, programs
from bazarutod.backup.manifest import Dump, Manifest

_SUFFIX = "_restoring"
_ASIDE = "_empty"


def restore(folder: Path, server_url: str, tell: Tell, *, jobs: int = 2) -> Manifest:
    """Restore the backup in `folder` to a server, as its superuser. `BackupError` says why nothing was changed."""
    tell("Checking the files")
    backup = check(folder)
    try:
        with psycopg.connect(server_url, autocommit=True, connect_timeout=10) as server:
            _check_server(server, server_url, backup)
            _make_roles(server, backup)
            with _temporary_databases(server, backup):
                for service, dump in backup.dumps.items():
                    tell(f"Restoring {service}")
                    _restore(dump, folder / dump.file, _url(server_url, dump.database + _SUFFIX), jobs)
                tell("Giving the databases their names")
                _give_names(server, backup)
    except psycopg.Error as error:
        raise BackupError(str(error).strip()) from error
    return backup


def check(folder: Path) -> Manifest:
    """Read a backup and hold every file against its manifest, without touching anything."""
    backup = manifest.read(folder)
    manifest.verify(backup, folder)
    return backup


def compare(dump: Dump, url: str) -> list[str]:
    """What differs between a dump and the database of a URL, in words."""
    with psycopg.connect(url, connect_timeout=10) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        return fingerprint.differences(dump.content, fingerprint.take(connection))


def _check_server(server: psycopg.Connection, server_url: str, backup: Manifest) -> None:
    """Find every reason to refuse before anything is made."""
    if server.info.server_version // 10000 < backup.server_version // 10000:
        raise BackupError(
            f"the backup is of PostgreSQL {backup.server_version // 10000},"
            f" the server is the older {server.info.server_version // 10000}"
        )
    superuser = server.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    if superuser != (True,):
        raise BackupError(f"{server.info.user} is no superuser; a restore makes databases, roles and extensions")
    for dump in backup.dumps.values():
        if _exists(server, dump.database + _SUFFIX):
            raise BackupError(f"the database {dump.database}{_SUFFIX} exists: does another restore run?")
        if _exists(server, dump.database + _ASIDE):
            raise BackupError(
                f"the database {dump.database}{_ASIDE} exists: an earlier restore ended before it dropped it."
                " See that it is empty and drop it. Nothing was changed."
            )
        if not _exists(server, dump.database):
            continue
        with psycopg.connect(_url(server_url, dump.database), connect_timeout=10) as connection:
            if not fingerprint.is_empty(connection):
                raise BackupError(f"the database {dump.database} is not empty. Nothing was changed.")


def _make_roles(server: psycopg.Connection, backup: Manifest) -> None:
    """Make the roles that the server lacks. They get no password: that is no part of a backup."""
    for dump in backup.dumps.values():
        for role, may_login in dump.roles.items():
            if not server.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone():
                login = sql.SQL("LOGIN" if may_login else "NOLOGIN")
                server.execute(sql.SQL("CREATE ROLE {} {}").format(sql.Identifier(role), login))


@contextmanager
def _temporary_databases(server: psycopg.Connection, backup: Manifest) -> Iterator[None]:
    """Databases under temporary names; what still has one at the end is dropped."""
    try:
        for dump in backup.dumps.values():
            name, owner = sql.Identifier(dump.database + _SUFFIX), sql.Identifier(dump.owner)
            server.execute(
                sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8'").format(name, owner)
            )
            server.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(name))
        yield
    finally:
        for dump in backup.dumps.values():
            name = sql.Identifier(dump.database + _SUFFIX)
            server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))


def _restore(dump: Dump, file: Path, url: str, jobs: int) -> None:
    options = ("--exit-on-error", "--no-password", f"--jobs={jobs}", f"--dbname={_name(url)}")
    programs.run("pg_restore", *options, file, url=url)
    if deviations := compare(dump, url):
        raise BackupError(f"{dump.database} is not what was backed up: {'; '.join(deviations)}. It was dropped again.")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET client_min_messages = error")  # system tables that only their owner may analyze
        connection.execute("ANALYZE")


def _give_names(server: psycopg.Connection, backup: Manifest) -> None:
    """Put the restored databases in the place of the empty ones: all of them, or none.

    The server does not rename several in one transaction. So the empty ones are set aside first, which it refuses for
    one that somebody is connected to; then every name goes back to where it was.
    """
    names = [dump.database for dump in backup.dumps.values()]
    empty = [name for name in names if _exists(server, name)]
    moves = [(name, name + _ASIDE) for name in empty] + [(name + _SUFFIX, name) for name in names]
    moved: list[tuple[str, str]] = []
    try:
        for old, new in moves:
            _rename(server, old, new)
            moved.append((old, new))
    except psycopg.Error:
        for old, new in reversed(moved):
            _rename(server, new, old)
        raise
    for name in empty:
        server.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name + _ASIDE)))


def _rename(server: psycopg.Connection, old: str, new: str) -> None:
    server.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(old), sql.Identifier(new)))


def _exists(server: psycopg.Connection, database: str) -> bool:
    return server.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone() is not None


def _url(server_url: str, database: str) -> str:
    return make_conninfo(server_url, dbname=database)


def _name(conninfo: str) -> str:
    return str(conninfo_to_dict(conninfo)["dbname"])
