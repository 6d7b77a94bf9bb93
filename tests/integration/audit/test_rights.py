"""The audit log under the role of its service: it adds, and has no right to do more."""

from __future__ import annotations

import importlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from bazarutod import embedded
from libs.db import migrations
from tests.support import postgres

ADD = "INSERT INTO audit_events VALUES (gen_random_uuid(), now(), 'x', 'y', '', NULL, NULL, '{}', '', '')"


@pytest.fixture
def urls() -> Iterator[dict[str, str]]:
    """Databases that belong to the roles of their services, as on a real machine."""
    server = postgres.server()
    urls = embedded.create_databases(server, f"_{uuid4().hex[:8]}")
    yield urls
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        for url in urls.values():
            name = url.rpartition("/")[2]
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())
            connection.execute(f'DROP ROLE "{name}"'.encode())


@pytest.mark.parametrize("service", ["users", "policies", "payments"])
def test_role_of_the_service_adds_and_reads_and_cannot_do_more(urls: dict[str, str], service: str) -> None:
    migrations.upgrade(urls[service], importlib.import_module(f"services.{service}"))
    with psycopg.connect(urls[service], autocommit=True) as connection:
        connection.execute(ADD)
        assert connection.execute("SELECT count(*) FROM audit_events").fetchone() == (1,)
        for statement in (
            "UPDATE audit_events SET actor = 'somebody else'",
            "DELETE FROM audit_events",
            "TRUNCATE audit_events",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied") as refused:
                connection.execute(statement.encode())
            assert refused.value.sqlstate == "42501"
        assert connection.execute("SELECT actor FROM audit_events").fetchall() == [("y",)]


def test_sealed_log_cannot_be_opened_again_by_the_role_of_the_service(urls: dict[str, str]) -> None:
    migrations.upgrade(urls["policies"], importlib.import_module("services.policies"))
    name = urls["policies"].rpartition("/")[2]
    _seal(name)
    _seal(name)  # a second time changes nothing
    with psycopg.connect(urls["policies"], autocommit=True) as connection:
        before = connection.execute("SELECT count(*) FROM audit_events").fetchone()
        connection.execute(ADD)
        connection.execute("GRANT DELETE ON audit_events TO CURRENT_USER")  # a warning, and no right
        for statement in (
            "DELETE FROM audit_events",
            "ALTER TABLE audit_events DISABLE TRIGGER ALL",
            "DROP TRIGGER audit_events_append_only ON audit_events",
            "DROP TABLE audit_events",
            "CREATE OR REPLACE FUNCTION refuse_change_of_audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())
        after = connection.execute("SELECT count(*) FROM audit_events").fetchone()
    assert before is not None
    assert after == (before[0] + 1,)


def _seal(database: str) -> None:
    """What an administrator does once."""
    server = postgres.server()
    script = Path(__file__).parents[3] / "deploy/security/seal-audit.sql"
    command = [str(embedded.binaries() / "psql"), "-v", "ON_ERROR_STOP=1", "-v", f"service={database}", "-q"]
    connection = ["-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", "-d", database, "-f", "-"]
    subprocess.run([*command, *connection], input=script.read_bytes(), check=True, timeout=30)
