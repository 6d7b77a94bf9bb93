"""Dump every service's database into a folder, with the manifest that a restore is held against."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import psycopg

from bazarutod.backup import BackupError, Tell, fingerprint, manifest, programs
from bazarutod.backup.folder import flush
from libs import clock
from libs.version import VERSION

# The roles that the database's objects and rights name, and its owner.
_ROLES = """
    SELECT r.rolname, r.rolcanlogin FROM pg_roles r WHERE r.rolname !~ '^pg_' AND r.oid IN (
        SELECT d.refobjid FROM pg_shdepend d JOIN pg_database b ON b.oid = d.dbid
            WHERE b.datname = current_database() AND d.refclassid = 'pg_authid'::regclass
        UNION SELECT b.datdba FROM pg_database b WHERE b.datname = current_database())
"""
_OWNER = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"


def back_up(urls: Mapping[str, str], folder: Path, tell: Tell) -> manifest.Manifest:
    """Back up the databases of `urls` (by service) into `folder`, which appears when all of it is there and whole."""
    folder = folder.absolute()
    if folder.exists():
        raise BackupError(f"{folder} exists; a backup is never written over another one")
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished.mkdir(mode=0o700)
        content = _back_up(urls, unfinished, tell)
        manifest.write(content, unfinished)
        for path in (*unfinished.iterdir(), unfinished):  # only what is on the disk is a backup
            flush(path)
        unfinished.rename(folder)
        return content
    except OSError as error:
        raise BackupError(f"{folder}: {error.strerror}") from error
    except psycopg.Error as error:
        raise BackupError(str(error).strip()) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _back_up(urls: Mapping[str, str], folder: Path, tell: Tell) -> manifest.Manifest:
    with ExitStack() as stack:
        # All moments first, one right after the other: the databases are then as near to one moment as can be.
        started = time.monotonic()
        taken_at = clock.real_now()
        snapshots = {service: _snapshot(stack, url) for service, url in urls.items()}
        spread_ms = round((time.monotonic() - started) * 1000)
        dumps = {}
        for service, (connection, snapshot) in snapshots.items():
            tell(f"Dumping {service}")
            dumps[service] = _dump(connection, snapshot, urls[service], folder / f"{service}.dump")
        versions = [connection.info.server_version for connection, _ in snapshots.values()]
    return manifest.Manifest(
        version=VERSION, server_version=max(versions), taken_at=taken_at, spread_ms=spread_ms, dumps=dumps
    )


def _snapshot(stack: ExitStack, url: str) -> tuple[psycopg.Connection, str]:
    """A transaction that sees one moment, and that moment's name, by which pg_dump sees it too."""
    connection = stack.enter_context(psycopg.connect(url, connect_timeout=10, application_name="bazarutod backup"))
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    return connection, fingerprint.single(connection, "SELECT pg_export_snapshot()")[0]


def _dump(connection: psycopg.Connection, snapshot: str, url: str, file: Path) -> manifest.Dump:
    content = fingerprint.take(connection)
    file.touch(mode=0o600)
    programs.run("pg_dump", "--format=custom", f"--snapshot={snapshot}", "--no-password", f"--file={file}", url=url)
    return manifest.Dump(
        database=connection.info.dbname,
        owner=fingerprint.single(connection, _OWNER)[0],
        roles=dict(connection.execute(_ROLES).fetchall()),
        file=file.name,
        size=file.stat().st_size,
        sha256=manifest.sha256(file),
        content=content,
    )
