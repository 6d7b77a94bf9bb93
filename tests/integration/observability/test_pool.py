"""The keys of the pool, each against a real PostgreSQL: the server counts, not the client."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from prometheus_client import REGISTRY

import services.users
from libs.config import DbSettings
from libs.db import Database, DatabaseUnavailable, PoolExhausted, migrations, when_committed
from libs.db.pool import PoolTooLarge, check_capacity
from libs.errors import ConcurrentChange
from libs.telemetry import metrics
from tests.support import postgres
from tests.support.sections import section
from tests.support.waiting import quickest, until

MakeDatabase = Callable[[str], str]


@contextmanager
def opened(url: str, **settings: Any) -> Iterator[Database]:
    database = Database(url, section(DbSettings, **settings), "test-pool")
    database.open()
    try:
        yield database
    finally:
        database.close()


@contextmanager
def held(database: Database, count: int) -> Iterator[None]:
    """So many connections are in use."""
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(database.reading()).execute(sa.text("SELECT 1"))
        yield


def backends(url: str) -> set[int]:
    """The processes of the server that work for the pool."""
    query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'test-pool' AND datname = current_database()"
    with psycopg.connect(url, autocommit=True) as connection:
        return {row[0] for row in connection.execute(query)}


def gauge(name: str, **labels: str) -> float | None:
    metrics.page()  # brings it up to date, as a look at /metrics does
    return REGISTRY.get_sample_value(name, labels)


@pytest.fixture
def url(make_database: MakeDatabase) -> str:
    return make_database("users")


def test_no_more_connections_are_made_than_the_most(url: str) -> None:
    may_end = threading.Event()
    settings = {"max_connections": 3, "acquire_timeout": timedelta(seconds=60)}
    with opened(url, **settings) as database, ThreadPoolExecutor(12) as threads:

        def ask(_: int) -> None:
            with database.reading() as session:
                session.execute(sa.text("SELECT 1"))
                may_end.wait(60)

        asking = [threads.submit(ask, number) for number in range(24)]
        try:
            until(lambda: len(backends(url)) == 3 and gauge("bazaruto_db_connections_waiting") == 9)
            assert len(backends(url)) == 3
        finally:
            may_end.set()
        for one in asking:
            one.result()
        assert len(backends(url)) == 3


def test_the_least_connections_are_there_from_the_start(url: str) -> None:
    with opened(url, min_connections=4, max_connections=8):
        until(lambda: len(backends(url)) == 4)


def test_connections_are_renewed_after_their_lifetime(url: str) -> None:
    with opened(url, min_connections=1, max_connections=1, max_lifetime=timedelta(seconds=1)) as database:
        database.ping()
        first = backends(url)

        def renewed() -> bool:
            database.ping()  # once it is given back too old, another one takes its place
            return bool(backends(url)) and not backends(url) & first

        until(renewed)


def test_idle_connections_are_closed_down_to_the_least(url: str) -> None:
    with opened(url, min_connections=1, max_connections=4, idle_timeout=timedelta(seconds=0.5)) as database:
        with held(database, 4):
            assert len(backends(url)) == 4
        until(lambda: len(backends(url)) == 1)


def test_waiting_for_a_connection_ends_after_its_time(url: str) -> None:
    with opened(url, max_connections=2, acquire_timeout=timedelta(seconds=1)) as database, held(database, 2):
        timeouts = gauge("bazaruto_db_connection_timeouts_total") or 0

        def gives_up() -> bool:
            with pytest.raises(PoolExhausted):
                database.ping()
            return True

        assert 0.9 < quickest(gives_up, 2) < 2
        assert gauge("bazaruto_db_connection_timeouts_total") == timeouts + 2


@pytest.mark.parametrize("count", [0, 1, 3])
def test_gauges_follow_what_is_held_exactly(url: str, count: int) -> None:
    with opened(url, max_connections=4) as database:
        with held(database, 3):
            pass  # three are made, and wait in the pool
        with held(database, count):
            assert gauge("bazaruto_db_connections_active") == count
            assert gauge("db_client_connections", state="used") == count
            until(lambda: gauge("bazaruto_db_connections_idle") == 3 - count)
            assert gauge("bazaruto_db_connections_max") == 4


def test_who_waits_for_a_connection_is_counted(url: str) -> None:
    with opened(url, max_connections=1) as database:
        waiting = threading.Thread(target=database.ping)
        with held(database, 1):
            waiting.start()
            until(lambda: gauge("bazaruto_db_connections_waiting") == 1)
        waiting.join()
        assert gauge("bazaruto_db_connections_waiting") == 0


def test_pool_larger_than_the_server_allows_is_refused_with_key_and_reason(url: str) -> None:
    check_capacity(url, section(DbSettings, max_connections=400), 1)
    with pytest.raises(PoolTooLarge, match=r"db.max_connections: 400 in each of 2 processes is more than the 497"):
        check_capacity(url, section(DbSettings, max_connections=400), 2)
    with pytest.raises(PoolTooLarge, match=r"db.max_connections: 600 is more than the 497 that the server allows"):
        check_capacity(url, section(DbSettings, max_connections=600), 1)


def test_limit_of_a_database_counts_too(url: str) -> None:
    with psycopg.connect(postgres.server().url("postgres"), autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{url.rpartition("/")[2]}" CONNECTION LIMIT 5'.encode())
    with pytest.raises(PoolTooLarge, match="the 5 that the server allows"):
        check_capacity(url, section(DbSettings, max_connections=6), 1)


def test_server_that_does_not_answer_does_not_stop_the_start() -> None:
    check_capacity("postgresql://nobody@127.0.0.1:1/none", section(DbSettings, max_connections=600), 1)


def test_connections_that_the_server_closed_are_replaced_before_anybody_notices(url: str) -> None:
    with opened(url, min_connections=3, max_connections=3) as database:
        with held(database, 3):
            pass
        with psycopg.connect(url, autocommit=True) as connection:
            for pid in (ended := backends(url)):
                connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
        until(lambda: not backends(url) & ended)
        for _ in range(6):
            database.ping()


def test_connection_that_breaks_while_it_is_in_use_makes_room_for_another(url: str) -> None:
    def breaks_off() -> None:
        with database.transaction() as session:
            pid = session.scalar(sa.text("SELECT pg_backend_pid()"))
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("SELECT pg_terminate_backend(%s, 10000)", (pid,))
            session.execute(sa.text("SELECT 1"))

    with opened(url, min_connections=1, max_connections=2) as database:
        for _ in range(3):
            with pytest.raises(DatabaseUnavailable):
                breaks_off()
        assert database.pool.lent == 0
        with held(database, 2):
            pass


def test_server_that_is_not_there_is_unavailable_and_not_a_full_pool() -> None:
    settings = {"acquire_timeout": timedelta(seconds=0.3), "max_connections": 1}
    with opened("postgresql://nobody@127.0.0.1:1/none", **settings) as database, pytest.raises(DatabaseUnavailable):
        database.ping()


def test_deadlock_is_a_lost_race_that_is_counted_here_and_by_the_server(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE seats (id int PRIMARY KEY, taken int NOT NULL)")
        connection.execute("INSERT INTO seats VALUES (1, 0), (2, 0)")
    both = threading.Barrier(2)

    def book(first: int, second: int) -> str:
        try:
            with database.transaction() as session:
                take = sa.text("UPDATE seats SET taken = taken + 1 WHERE id = :id")
                session.execute(take, {"id": first})
                both.wait(60)
                session.execute(take, {"id": second})
        except ConcurrentChange:
            return "lost"
        return "won"

    lost = REGISTRY.get_sample_value("bazaruto_db_lost_races_total", {"kind": "deadlock"}) or 0
    settings = {"lock_timeout": timedelta(seconds=5), "max_connections": 2}
    with opened(url, **settings) as database, ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(book, (1, 2), (2, 1))) == ["lost", "won"]
    assert REGISTRY.get_sample_value("bazaruto_db_lost_races_total", {"kind": "deadlock"}) == lost + 1
    counted = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"

    def deadlocks() -> int:
        with psycopg.connect(url) as connection:
            return connection.execute(counted).fetchone()[0]  # type: ignore[index,no-any-return]

    until(lambda: deadlocks() == 1)


def test_durations_of_queries_are_kept_by_their_verb(url: str) -> None:
    def count(verb: str) -> float:
        return REGISTRY.get_sample_value("db_client_operation_duration_seconds_count", {"db_operation_name": verb}) or 0

    before = count("SELECT"), count("OTHER")
    with opened(url) as database:
        database.ping()
        with database.transaction() as session:
            session.execute(sa.text("LOCK TABLE users"))
    assert (count("SELECT"), count("OTHER")) == (before[0] + 1, before[1] + 1)


def test_what_was_not_committed_is_not_counted(url: str) -> None:
    done: list[str] = []
    with opened(url) as database:
        with suppress(LookupError), database.transaction() as session:
            when_committed(session, lambda: done.append("undone"))
            raise LookupError
        with database.transaction() as session:
            session.execute(sa.text("SELECT 1"))
            when_committed(session, lambda: done.append("committed"))
            assert done == []
    assert done == ["committed"]


def test_empty_url_is_refused_by_the_name_of_its_key() -> None:
    for use in (
        lambda: check_capacity("", section(DbSettings, prepare_threshold=0), 1),
        lambda: Database("", section(DbSettings), "test-pool"),
        lambda: migrations.upgrade("", services.users),
    ):
        with pytest.raises(ValueError, match=r"services\.\*\.db_url"):
            use()


def test_server_that_has_become_a_standby_is_unavailable_and_left(make_database: MakeDatabase) -> None:
    with opened(make_database("users")) as database:
        before = backends(database.url)
        with database.reading() as session:
            session.execute(sa.text("SELECT set_config('default_transaction_read_only', 'on', false)"))
        write = sa.text("CREATE TABLE things (id int)")
        with pytest.raises(DatabaseUnavailable), database.transaction() as session:
            session.execute(write)
        with database.transaction() as session:
            session.execute(write)
        assert not before & backends(database.url)


def test_error_of_a_statement_does_not_tell_what_people_entered(url: str) -> None:
    wrong = sa.text("INSERT INTO users_that_are_not_there (email) VALUES (:email)")
    with opened(url) as database, pytest.raises(sa.exc.ProgrammingError) as failed, database.transaction() as session:
        session.execute(wrong, {"email": "ana@example.com"})
    assert "users_that_are_not_there" in str(failed.value)
    assert "ana@example.com" not in str(failed.value)
