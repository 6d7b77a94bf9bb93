"""A service behind a real PgBouncer in transaction mode, as docs/observability.md sets it up."""

from __future__ import annotations

import os
import pwd
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
import psycopg
import pytest
import sqlalchemy as sa

from bazarutod.ports import free_port
from libs.config import DbSettings
from libs.db import Database, DatabaseUnavailable
from libs.db.pool import check_capacity
from tests.integration.users.house import House
from tests.ops.programs import program
from tests.support.people import People
from tests.support.sections import section
from tests.support.servers import Build, running_server, settings_for


@contextmanager
def pgbouncer(url: str) -> Iterator[str]:
    """A PgBouncer with two connections to the server of `url`; gives the URL that leads through it."""
    port = free_port()
    server, _, database = url.removeprefix("postgresql://").partition("@")[2].partition("/")
    host, _, server_port = server.partition(":")
    with tempfile.TemporaryDirectory(prefix="bazaruto-pgbouncer-") as name:
        folder = Path(name)
        (folder / "users.txt").write_text('"postgres" ""\n')
        (folder / "pgbouncer.ini").write_text(
            f"[databases]\n{database} = host={host} port={server_port}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = trust\nauth_file = {folder}/users.txt\n"
            "pool_mode = transaction\ndefault_pool_size = 2\nignore_startup_parameters = options\n"
        )
        command = [program("pgbouncer"), str(folder / "pgbouncer.ini")]
        if os.geteuid() == 0:  # it refuses root
            nobody = pwd.getpwnam("nobody")
            for path in (folder, *folder.iterdir()):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
            command[1:1] = ["--user", "nobody"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            through = f"postgresql://postgres@127.0.0.1:{port}/{database}"
            try:
                _wait(through)
                yield through
            finally:
                process.terminate()


def _wait(url: str) -> None:
    for _ in range(100):
        try:
            psycopg.connect(url, prepare_threshold=None).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("pgbouncer did not start")


@pytest.fixture
def urls(make_database: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    """The database's URL, and the one through PgBouncer; the time-outs are set where they survive it."""
    direct = make_database("users")
    with psycopg.connect(direct, autocommit=True) as connection:
        for setting in ("statement_timeout = '500ms'", "lock_timeout = '300ms'", "timezone = 'UTC'"):
            connection.execute(f'ALTER DATABASE "{direct.rpartition("/")[2]}" SET {setting}'.encode())
    with pgbouncer(direct) as through:
        yield direct, through


def test_service_answers_through_pgbouncer(urls: tuple[str, str], people: People) -> None:
    direct, through = urls
    with ExitStack() as stack:

        def start(service: str, url: str, build: Build) -> grpc.Channel:
            db = section(DbSettings, max_connections=10, prepare_threshold=0)
            settings = settings_for(people, **{service: url}).model_copy(update={"db": db})
            return stack.enter_context(running_server(service, settings, people, build))

        house = House(start, through, people)
        for _ in range(12):  # more often than a statement is run before it would be prepared
            user, authorization = house.newcomer()
            assert house.get(authorization).email == user.email
        with psycopg.connect(direct, autocommit=True) as connection:
            others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            assert len(connection.execute(f"SELECT pid {others}".encode()).fetchall()) <= 2


def test_time_outs_that_the_database_sets_hold_through_pgbouncer(urls: tuple[str, str]) -> None:
    database = Database(urls[1], section(DbSettings, max_connections=4, prepare_threshold=0), "test-pgbouncer")
    database.open()
    try:
        started = time.monotonic()
        with pytest.raises(DatabaseUnavailable), database.reading() as session:
            session.execute(sa.text("SELECT pg_sleep(5)"))
        assert time.monotonic() - started < 3
    finally:
        database.close()


def test_many_connections_to_pgbouncer_are_no_reason_not_to_start(urls: tuple[str, str]) -> None:
    check_capacity(urls[1], section(DbSettings, max_connections=900, prepare_threshold=0), 2)
