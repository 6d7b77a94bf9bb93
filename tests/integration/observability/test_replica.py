"""A real read replica: what is read from it, and what happens when it is behind, frozen or gone."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psutil
import psycopg
import pytest
import sqlalchemy as sa
from prometheus_client import REGISTRY

from bazarutod import embedded
from bazarutod.backup import programs
from libs.config import DbSettings
from libs.db import Database, Query
from tests.support.sections import section
from tests.support.waiting import until

pytestmark = [pytest.mark.xdist_group("replica"), pytest.mark.timeout(180)]


@dataclass
class Pair:
    """A primary and its replica."""

    primary: embedded.Server
    replica: embedded.Server

    def sql(self, query: str) -> None:
        with psycopg.connect(self.primary.url("postgres"), autocommit=True) as connection:
            connection.execute(query.encode())

    def processes(self, words: str) -> list[psutil.Process]:
        """Processes of the replica whose title has these words."""
        pid = int((self.replica.folder / "postmaster.pid").read_text().splitlines()[0])
        return [child for child in psutil.Process(pid).children() if words in " ".join(child.cmdline())]


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with tempfile.TemporaryDirectory(prefix="bazaruto-replica-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        primary = embedded.start(folder / "primary", throwaway=True)
        copy = folder / "replica"
        copy.mkdir(mode=0o700)
        programs.run(
            "pg_basebackup", "-R", "-X", "stream", "-c", "fast", f"--pgdata={copy}", url=primary.url("postgres")
        )
        embedded.give_to_server(copy)
        replica = embedded.start(copy, throwaway=True)
        made = Pair(primary, replica)
        made.sql("CREATE TABLE notes (id int PRIMARY KEY, text text)")
        try:
            yield made
        finally:
            if (copy / "postmaster.pid").exists():
                replica.stop()
            primary.stop()


@contextmanager
def opened(pair: Pair, max_lag: float = 5.0) -> Iterator[Database]:
    settings = section(DbSettings, max_connections=3, replica_max_lag=timedelta(seconds=max_lag))
    database = Database(pair.primary.url("postgres"), settings, "test-replica", pair.replica.url("postgres"))
    database.open()
    try:
        yield database
    finally:
        database.close()


def reads_from_replica(database: Database, *, fresh: bool = False) -> bool:
    with database.reading(fresh=fresh) as session:
        return bool(session.execute(sa.text("SELECT pg_is_in_recovery()")).scalar_one())


def looked(database: Database) -> bool:
    """Whether the replica is read from, after a look at it."""
    database.look_at_replica()
    return reads_from_replica(database)


def lag() -> float | None:
    return REGISTRY.get_sample_value("bazaruto_db_replica_lag_seconds")


def test_reads_go_to_the_replica_once_it_was_looked_at(pair: Pair) -> None:
    with opened(pair) as database:
        assert not reads_from_replica(database)
        until(lambda: looked(database))
        assert not reads_from_replica(database, fresh=True)
        where = Query(sa.select(sa.func.pg_is_in_recovery().label("replica")))
        assert database.read(where)[0].replica
        with database.transaction() as session:
            assert not session.execute(sa.text("SELECT pg_is_in_recovery()")).scalar_one()


def test_replica_that_is_behind_is_not_read_from_and_its_lag_is_shown(pair: Pair) -> None:
    with opened(pair, max_lag=0.5) as database:
        until(lambda: looked(database))
        receivers = pair.processes("walreceiver")
        assert receivers
        try:
            for receiver in receivers:
                receiver.send_signal(signal.SIGSTOP)
            pair.sql("INSERT INTO notes SELECT coalesce(max(id), 0) + 1, 'late' FROM notes")
            until(lambda: not looked(database) and (lag() or 0) > 0.5)
        finally:
            for receiver in receivers:
                receiver.send_signal(signal.SIGCONT)
        until(lambda: looked(database) and lag() == 0)


def test_reads_go_on_without_the_replica_and_come_back_to_it(pair: Pair) -> None:
    with opened(pair) as database:
        until(lambda: looked(database))
        pair.replica.stop()
        try:
            for _ in range(5):  # nobody has looked yet: the first read finds out by itself
                assert not reads_from_replica(database)
            database.look_at_replica()
            assert not reads_from_replica(database)
        finally:
            embedded.start(pair.replica.folder, throwaway=True, options=(f"port={pair.replica.port}",))
        until(lambda: looked(database))
