"""The audit log under the role of its service: it adds, and has no right to do more."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest

from libs.db import embedded, migrations
from tests.support import postgres

ADD = "INSERT INTO audit_events VALUES (gen_random_uuid(), now(), 'x', 'y', '', NULL, NULL, '{}', '', '')"


@pytest.fixture(scope="module")
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
