"""What workers and servers show of their queues, and how jobs that are over for long are forgotten."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest
from prometheus_client import REGISTRY

from libs import jobs
from libs.config import DbSettings
from libs.db import Database
from libs.jobs import QUEUES, history, operating
from tests.integration.jobs import worker
from tests.integration.jobs.queue import Queue
from tests.support.sections import section

pytestmark = pytest.mark.xdist_group("jobs")


def shown(name: str, queue: str) -> float:
    """A metric of one queue, as this process shows it."""
    return REGISTRY.get_sample_value(name, {"queue": queue}) or 0.0


def observe(url: str) -> tuple[int, int]:
    """Look at the queues once, as a server does every two seconds."""
    database = Database(url, section(DbSettings), "test-measures")
    database.open()
    with database.reading() as session:
        counts = jobs.observe(session)
        assert counts == jobs.count(session)
    database.close()
    return counts


def test_gauges_equal_what_the_database_counts(queue: Queue) -> None:
    queue.defer(worker.NOTE, "a", "b")
    queue.defer(worker.MAIL, "letter")
    queue.defer(worker.GIVE_UP, "hopeless")
    queue.rows("UPDATE procrastinate_jobs SET status = 'failed' WHERE task_name = 'test.give_up'")
    queue.rows("UPDATE procrastinate_jobs SET status = 'doing' WHERE args->>'name' = 'b'")
    queue.rows("UPDATE procrastinate_events SET at = now() - interval '70 s'")
    with psycopg.connect(queue.url, autocommit=True) as connection:
        operating.pause(connection, "mailers")
    assert observe(queue.url) == (2, 1)
    for name, expected in (
        ("bazaruto_jobs_pending", {"default": 1, "mailers": 1}),
        ("bazaruto_jobs_doing", {"default": 1}),
        ("bazaruto_jobs_failed", {"default": 1}),
        ("bazaruto_queue_paused", {"mailers": 1}),
    ):
        assert {q: shown(name, q) for q in QUEUES} == dict.fromkeys(QUEUES, 0) | expected
    assert 70 <= shown("bazaruto_jobs_oldest_due_seconds", "mailers") < 100


def test_job_that_waits_for_its_time_is_not_due(queue: Queue) -> None:
    queue.defer(worker.NOTE, "later")
    queue.rows("UPDATE procrastinate_jobs SET scheduled_at = now() + interval '1 h'")
    observe(queue.url)
    assert shown("bazaruto_jobs_pending", "default") == 1
    assert shown("bazaruto_jobs_oldest_due_seconds", "default") == 0


def test_retries_and_delays_are_counted(queue: Queue) -> None:
    retries = shown("bazaruto_job_retries_total", "default")
    starts = shown("bazaruto_job_start_delay_seconds_count", "default")
    queue.defer(worker.RAISE, "poison")
    queue.run_due()
    assert shown("bazaruto_job_retries_total", "default") == retries + 1
    assert shown("bazaruto_job_start_delay_seconds_count", "default") == starts + 1


def test_past_equals_what_happened(queue: Queue) -> None:
    queue.defer(worker.NOTE, "a", "b", "c")
    queue.defer(worker.GIVE_UP, "hopeless")
    queue.defer(worker.RAISE, "poison")
    queue.run_due()
    with psycopg.connect(queue.url, autocommit=True) as connection:
        counts = history.past(connection, timedelta(hours=1))["default"]
        assert (counts.completed, counts.failed, counts.retried, counts.cancelled) == (3, 1, 1, 0)
        assert history.past(connection, timedelta(0)) == {}


def test_old_jobs_are_deleted_in_steps_and_failed_ones_stay(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_AT_ONCE", 2)
    queue.defer(worker.NOTE, "a", "b", "c", "d", "e")
    queue.defer(worker.GIVE_UP, "hopeless")
    queue.run_due()
    queue.rows("UPDATE procrastinate_events SET at = at - interval '8 d'")
    queue.defer(worker.NOTE, "fresh")
    queue.run_due()
    with psycopg.connect(queue.url, autocommit=True) as connection:
        assert history.count_old(connection, timedelta(days=7)) == 5
        assert history.delete_old(connection, timedelta(days=7)) == 5
    assert queue.states() == {"hopeless": "failed", "fresh": "succeeded"}
    assert queue.rows(
        "SELECT count(*) FROM procrastinate_events WHERE job_id NOT IN (SELECT id FROM procrastinate_jobs)"
    ) == [(0,)]


def test_every_worker_forgets_old_jobs_by_itself(queue: Queue) -> None:
    queue.defer(worker.NOTE, "old")
    queue.run_due()
    queue.rows("UPDATE procrastinate_events SET at = at - interval '8 d'")
    queue.rows(
        "INSERT INTO procrastinate_jobs (queue_name, task_name, args)"
        " VALUES ('default', 'jobs.delete_old', '{\"timestamp\": 0}')"
    )
    queue.run_due()
    assert queue.states() == {"jobs.delete_old": "succeeded"}


def test_history_of_a_hundred_thousand_jobs_is_not_read_to_fetch_or_count(queue: Queue) -> None:
    queue.rows(
        "INSERT INTO procrastinate_jobs (queue_name, task_name, status)"
        " SELECT 'default', 'test.note', 'succeeded' FROM generate_series(1, 100000)"
    )
    queue.rows("ANALYZE procrastinate_jobs")
    queue.defer(worker.NOTE, "a")
    plan = "\n".join(row[0] for row in queue.rows("EXPLAIN " + _filled(jobs.measures.DEPTHS)))
    assert "Seq Scan on procrastinate_jobs" not in plan
    assert "idx_jobs_open" in plan
    queue.run_due()
    assert queue.effects() == ["a"]


def _filled(statement: str) -> str:
    return statement.replace("%(queues)s", "ARRAY['default', 'mailers']")
