"""The server that is backed up, or restored to: where it is, and whether the programs here are new enough for it."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from bazarutod.backup import BackupError, programs
from bazarutod.backup.settings import Settings


def conninfo(settings: Settings, database: str = "postgres") -> str:
    """How to log in to a database of the server."""
    host, port = settings.db_host, settings.db_port
    if settings.pg_folder:
        host, port = "127.0.0.1", _port(settings.pg_folder)
    if not (host and settings.db_user):
        raise BackupError(f"{'DB_USER' if host else 'DB_HOST'} is not set: the server of the database, and its role")
    return make_conninfo(host=host, port=port, user=settings.db_user, dbname=database, **_password(settings))


def check_client(settings: Settings) -> None:
    """Refuse a `pg_dump` older than the server: it does so itself, but after it has begun and without the remedy."""
    url = conninfo(settings)
    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            version = connection.info.server_version // 10000
    except psycopg.OperationalError as error:
        raise BackupError(f"the server {settings.db_host} does not answer: {error}".strip()) from error
    printed = programs.run("pg_dump", "--version")
    client = re.search(r"\d+", printed)
    if not client or int(client[0]) < version:
        raise BackupError(
            f"pg_dump {client[0] if client else printed} is older than the server ({version});"
            f" set {programs.FOLDER} to a folder with a newer one"
        )


def _port(folder: Path) -> int:
    try:
        return int((folder / "postmaster.pid").read_text().splitlines()[3])
    except (OSError, IndexError, ValueError):
        raise BackupError(f"no server runs on {folder}") from None


def _password(settings: Settings) -> dict[str, str]:
    if not settings.db_password_file:
        return {}
    try:
        return {"password": settings.db_password_file.read_text().rstrip("\n")}
    except OSError:
        raise BackupError(f"there is no password in {settings.db_password_file}") from None
