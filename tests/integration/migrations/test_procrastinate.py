"""The installed procrastinate is the one that our revisions and our own statements about its tables were written for.

A version that does something else fails here. What to look at stands beside each digest; then mend our statements, add
a revision with the new migrations to each service, and write the new digests down.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from procrastinate import sql
from procrastinate.schema import SchemaManager, migrations_path
from psycopg.rows import dict_row

import services.users
from libs.db import migrations
from libs.jobs import fencing, operating, rescue
from tests.integration.migrations import catalogue

LAST = "03.04.00_50_post_add_retry_failed_job_procedure.sql"  # the last that a revision applies

AT = datetime(2030, 1, 1, tzinfo=UTC)
RETRIED = {"status": "todo", "attempts": 3, "scheduled_at": AT, "priority": 7, "queue_name": "mailers", "lock": "b"}

# Each function of the wheel's schema that says what ours say in another way, or that ours rely on.
FUNCTIONS = {
    "procrastinate_fetch_job_v2": ("8193b4d061eaf7a2", "fencing._FETCH calls it, and reads every column of its row"),
    "procrastinate_finish_job_v1": ("e2d27b34bcbe0d3e", "fencing._FINISH stands for it"),
    "procrastinate_retry_job_v2": (
        "2120fa18ea96d8bd",
        "fencing._RETRY, rescue._RELEASE and operating._RETRY stand for it",
    ),
    "procrastinate_cancel_job_v1": ("82c9f315e4f2b927", "operating._CANCEL stands for it"),
    "procrastinate_trigger_function_status_events_insert_v1": (
        "3973091d4a0b5b39",
        "fencing._FETCH and operating._SELECT read these",
    ),
    "procrastinate_trigger_function_status_events_update_v1": (
        "ed03e3cc0a4716ee",
        "history._PAST and history._OLD read these",
    ),
    "procrastinate_trigger_function_scheduled_events_v1": ("713122df4b02397e", "operating._SELECT leaves these out"),
    "procrastinate_notify_queue_job_inserted_v1": ("945ed201e1e4f405", "operating.resume sends what it sends"),
    "procrastinate_notify_queue_abort_job_v1": ("ff4a5020a3b0f80f", "operating._CANCEL is heard of through it"),
    "procrastinate_unlink_periodic_defers_v1": ("7c36fb69992f1160", "history.delete_old relies on it"),
    "procrastinate_register_worker_v1": ("f1d7aacd75df6547", "operating.workers and rescue._STALLED read its row"),
    "procrastinate_unregister_worker_v1": (
        "76644ecb869785f9",
        "rescue._STALLED takes the jobs of a worker that is gone",
    ),
    "procrastinate_update_heartbeat_v1": ("5fac18d80797eefa", "rescue._STALLED believes in it"),
    "procrastinate_prune_stalled_workers_v1": (
        "4462e0a7706e82b4",
        "rescue._STALLED takes the jobs of the workers that it takes off the list",
    ),
}
# The library's statements in whose place ours are made.
QUERIES = {
    "fetch_job": ("cdfaf364035990e2", "fencing._FETCH"),
    "finish_job": ("46012253eb4695e3", "fencing._FINISH"),
    "retry_job": ("8e4ad4efcf834ca4", "fencing._RETRY, operating._RETRY"),
    "cancel_job": ("ef28571fbeed0a0e", "operating._CANCEL"),
    "delete_old_jobs": ("c41e060c16f86806", "history._OLD"),
    "list_jobs": ("d8fa0c0e347b3969", "operating._SELECT"),
    "list_jobs_to_abort": ("b414dbd1ebe83854", "operating._CANCEL, which writes what it asks for"),
    "select_stalled_jobs_by_heartbeat": ("5ed3078a15a498d3", "rescue._STALLED"),
}


@pytest.fixture
def wheel(empty: str) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    """A database with the tables of the installed version."""
    with psycopg.connect(empty, autocommit=True, row_factory=dict_row) as connection:
        connection.execute(SchemaManager.get_schema())
        yield connection


def test_tables_of_our_revisions_are_those_that_the_installed_version_expects(make_empty: Callable[[], str]) -> None:
    migrated = make_empty()
    migrations.upgrade(migrated, services.users)
    with psycopg.connect(make_empty()) as installed, psycopg.connect(migrated) as ours:
        installed.execute(SchemaManager.get_schema())
        of_library = [line for line in catalogue.describe(ours) if catalogue.LIBRARY in line.partition(":")[0]]
        assert of_library == catalogue.describe(installed)


def test_no_migration_of_the_wheel_is_without_a_revision() -> None:
    assert [path.name for path in sorted(migrations_path.glob("*.sql")) if path.name > LAST] == []


def test_functions_that_ours_stand_for_say_what_they_said(wheel: psycopg.Connection[dict[str, Any]]) -> None:
    functions = wheel.execute("SELECT proname, prosrc FROM pg_proc").fetchall()
    assert _look_at({row["proname"]: row["prosrc"] for row in functions}, FUNCTIONS) == []


def test_statements_that_ours_stand_for_say_what_they_said() -> None:
    assert _look_at(dict(sql.queries), QUERIES) == []


def test_finish_writes_what_the_library_writes_and_lets_go_of_the_worker(
    wheel: psycopg.Connection[dict[str, Any]],
) -> None:
    for status in ("succeeded", "failed", "aborted"):
        for abort_requested in (False, True):
            job = {"status": "doing", "attempts": 2, "abort_requested": abort_requested}
            values = {"status": status, "delete_job": False}
            theirs = _change(wheel, job, sql.queries["finish_job"], values)
            assert theirs == {"status": status, "attempts": 3} | ({"abort_requested": False} if abort_requested else {})
            assert _change(wheel, job, fencing._FINISH, values) == theirs | {"worker_id": None}


def test_retry_writes_what_the_library_writes_and_lets_go_of_the_worker(
    wheel: psycopg.Connection[dict[str, Any]],
) -> None:
    job = {"status": "doing", "attempts": 2, "lock": "a"}
    theirs = _change(
        wheel, job, sql.queries["retry_job"],
        {"retry_at": AT, "new_priority": 7, "new_queue_name": "mailers", "new_lock": "b"},
    )  # fmt: skip
    assert theirs == RETRIED
    ours = _change(wheel, job, fencing._RETRY, {"retry_at": AT, "priority": 7, "queue": "mailers", "lock": "b"})
    assert ours == theirs | {"worker_id": None}


def test_retry_of_a_cancelled_job_aborts_it_where_the_library_fails_it(
    wheel: psycopg.Connection[dict[str, Any]],
) -> None:
    job = {"status": "doing", "abort_requested": True}
    theirs = _change(
        wheel,
        job,
        sql.queries["retry_job"],
        {"retry_at": AT} | dict.fromkeys(("new_priority", "new_queue_name", "new_lock")),
    )
    assert theirs == {"status": "failed"}
    ours = _change(wheel, job, fencing._RETRY, {"retry_at": AT, "priority": None, "queue": None, "lock": None})
    assert ours == {
        "status": "aborted", "attempts": 1, "abort_requested": False, "worker_id": None, "scheduled_at": AT,
    }  # fmt: skip


def test_rescue_writes_the_columns_that_the_library_s_retry_writes(wheel: psycopg.Connection[dict[str, Any]]) -> None:
    waits = {"max_attempts": 8, "endless": [], "retry_wait": 1.0, "retry_cap": 60.0, "counted": 1}
    rescued = _change(wheel, {"status": "doing", "attempts": 2}, rescue._NAMED, waits)
    assert rescued.pop("scheduled_at") > datetime.now(UTC)
    assert rescued == {"status": "todo", "attempts": 3, "worker_id": None}


def test_operator_s_retry_writes_the_columns_that_the_library_s_writes(
    wheel: psycopg.Connection[dict[str, Any]],
) -> None:
    job = {"status": "failed", "attempts": 2}
    keep = dict.fromkeys(("new_priority", "new_queue_name", "new_lock"))
    theirs = _change(wheel, job, sql.queries["retry_job"], {"retry_at": AT} | keep)
    assert theirs == {"status": "todo", "attempts": 3, "scheduled_at": AT}
    ours = _change(wheel, job, operating._RETRY, {"states": ["failed"], "queue": None})
    assert ours.pop("scheduled_at") <= datetime.now(UTC) + timedelta(seconds=5)
    assert ours == {"status": "todo", "attempts": 0, "worker_id": None}


@pytest.mark.parametrize("status", ["todo", "doing"])
def test_operator_s_cancel_writes_what_the_library_writes(
    wheel: psycopg.Connection[dict[str, Any]], status: str
) -> None:
    theirs = _change(
        wheel, {"status": status}, sql.queries["cancel_job"], {"abort": status == "doing", "delete_job": False}
    )
    assert theirs == ({"status": "cancelled"} if status == "todo" else {"abort_requested": True})
    assert _change(wheel, {"status": status}, operating._CANCEL, {"states": [status], "queue": None}) == theirs


def test_fetch_writes_the_status_and_the_worker_only(wheel: psycopg.Connection[dict[str, Any]]) -> None:
    fetched = _change(wheel, {"status": "todo", "worker_id": None}, sql.queries["fetch_job"], {"queues": None})
    assert fetched.pop("worker_id") is not None
    assert fetched == {"status": "doing"}


def _look_at(installed: dict[str, str], known: dict[str, tuple[str, str]]) -> list[str]:
    """What is no longer as it was, and which of our statements that concerns."""
    digests = {name: hashlib.sha256(text.encode()).hexdigest()[:16] for name, text in installed.items()}
    return [
        f"{name} is {digests.get(name, 'gone')}, {look}"
        for name, (digest, look) in known.items()
        if digests.get(name) != digest
    ]


def _change(
    connection: psycopg.Connection[dict[str, Any]], job: dict[str, Any], statement: str, values: dict[str, Any]
) -> dict[str, Any]:
    """Make a job, make a statement about it, and return the columns that it changed with their new values."""
    worker = _one(connection, "INSERT INTO procrastinate_workers DEFAULT VALUES RETURNING id")["id"]
    row = {"queue_name": "default", "task_name": "t", "worker_id": worker} | job
    columns = ", ".join(row)
    places = ", ".join(f"%({column})s" for column in row)
    before = _one(connection, f"INSERT INTO procrastinate_jobs ({columns}) VALUES ({places}) RETURNING *", row)
    names = {"job_id": before["id"], "ids": [before["id"]], "worker_id": worker}
    connection.execute(statement.encode(), names | values)
    after = _one(connection, "SELECT * FROM procrastinate_jobs WHERE id = %(job_id)s", names)
    connection.execute("DELETE FROM procrastinate_jobs")
    return {column: value for column, value in after.items() if value != before[column]}


def _one(
    connection: psycopg.Connection[dict[str, Any]], statement: str, values: dict[str, Any] | None = None
) -> dict[str, Any]:
    row = connection.execute(statement.encode(), values).fetchone()
    assert row is not None
    return row
