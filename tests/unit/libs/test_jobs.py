"""Kinds of jobs, and when one that failed is tried again."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from procrastinate.jobs import Job
from pydantic import ValidationError

from libs.config import JobSettings
from libs.jobs import QUEUES, GiveUp, JobKind, Nothing, UnknownQueue, required
from libs.jobs.link import is_refusal, wait_before
from libs.jobs.retrying import Retry
from tests.support.sections import section


def job(attempts: int) -> Job:
    return Job(id=1, queue="default", lock=None, queueing_lock=None, task_name="test.job", attempts=attempts)


def waits(settings: JobSettings) -> list[int | None]:
    """The seconds before each further try, and None where there is none."""
    delays: list[int | None] = []
    for attempt in range(settings.max_attempts):
        decision = Retry(settings).get_retry_decision(exception=OSError(), job=job(attempt))
        if decision is None:
            delays.append(None)
        else:
            assert decision.retry_at is not None
            delays.append(round((decision.retry_at - datetime.now(UTC)).total_seconds()))
    return delays


@pytest.mark.parametrize("queue", QUEUES)
def test_kind_of_job_waits_in_a_known_queue(queue: str) -> None:
    assert JobKind("test.job", Nothing, queue).queue == queue


def test_kind_of_job_with_an_unknown_queue_cannot_be_made() -> None:
    with pytest.raises(UnknownQueue, match="there is no queue 'mailer'; the queues are mailers, notifications"):
        JobKind("test.job", Nothing, "mailer")


SWEEP = JobKind("test.sweep", Nothing, daily="03:23")


@given(st.integers(0, 2**32))
def test_daily_kind_occurs_once_between_every_moment_and_the_same_of_the_next_day(second: int) -> None:
    now = datetime.fromtimestamp(second, UTC)
    last, following = SWEEP.last_occurrence(now), SWEEP.next_occurrence(now)
    assert last <= now < following
    assert following - last == timedelta(days=1)
    assert (last.hour, last.minute, last.second) == (3, 23, 0)
    assert SWEEP.last_occurrence(last) == last


@pytest.mark.parametrize("daily", ["3", "25:00", "at noon"])
def test_daily_kind_needs_a_time_of_the_day(daily: str) -> None:
    with pytest.raises(ValueError, match=r"isoformat|hour must be"):
        JobKind("test.sweep", Nothing, daily=daily)


@dataclass(frozen=True, slots=True)
class Letter:
    """The arguments of a kind."""

    user_id: UUID
    due: date
    tries: int = 0


LETTER = JobKind("test.letter", Letter)
SENT = Letter(UUID(int=7), date(2026, 11, 29), 3)


def test_arguments_of_a_job_come_back_from_json_with_their_types() -> None:
    assert LETTER.load(json.loads(json.dumps(LETTER.dump(SENT)))) == SENT


def test_job_of_before_an_argument_was_added_has_its_default() -> None:
    stored = LETTER.dump(SENT)
    del stored["tries"]
    assert LETTER.load(stored) == replace(SENT, tries=0)


@pytest.mark.parametrize("wrong", [{"user_id": "nobody"}, {"due": None}, {"tries": "three"}])
def test_argument_of_another_type_is_named(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        LETTER.load(LETTER.dump(SENT) | wrong)


def test_job_whose_row_is_missing_gives_up_and_names_it() -> None:
    assert required(7, "policy", UUID(int=1)) == 7
    with pytest.raises(GiveUp, match="there is no policy 00000000-0000-0000-0000-000000000001"):
        required(None, "policy", UUID(int=1))


def test_waits_grow_up_to_the_cap_and_end() -> None:
    settings = section(JobSettings, retry_wait=timedelta(seconds=10), retry_cap=timedelta(minutes=5), max_attempts=6)
    *delays, last = waits(settings)
    assert last is None
    for seconds, plain in zip(delays, (10, 40, 160, 300, 300), strict=True):
        assert seconds is not None
        assert 0.75 * plain <= seconds <= min(1.25 * plain, 301)


def test_job_that_gives_up_is_not_tried_again() -> None:
    assert Retry(section(JobSettings)).get_retry_decision(exception=GiveUp(), job=job(0)) is None


def test_endless_job_is_tried_after_its_last_try_unless_it_gives_up() -> None:
    settings = section(JobSettings, retry_cap=timedelta(minutes=5), max_attempts=3)
    retry = Retry(settings, {"test.job"})
    decision = retry.get_retry_decision(exception=OSError(), job=job(500))
    assert decision is not None
    assert decision.retry_at is not None
    assert (decision.retry_at - datetime.now(UTC)).total_seconds() <= 301
    assert retry.get_retry_decision(exception=GiveUp(), job=job(0)) is None


def test_many_tries_do_not_overflow_the_wait() -> None:
    settings = section(JobSettings, max_attempts=1000)
    decision = Retry(settings).get_retry_decision(exception=OSError(), job=job(900))
    assert decision is not None


def test_waits_for_a_database_double_up_to_five_seconds_and_differ() -> None:
    for attempt, plain in enumerate((0.5, 1, 2, 4, 5, 5)):
        assert 0.8 * plain <= wait_before(attempt) <= 1.2 * plain
    assert wait_before(10_000) <= 6
    assert len({wait_before(0) for _ in range(10)}) > 1


@pytest.mark.parametrize(
    "message",
    [
        'FATAL:  password authentication failed for user "users"',
        'FATAL:  role "users" does not exist',
        'FATAL:  database "bazaruto_users" does not exist',
        'FATAL:  no pg_hba.conf entry for host "10.0.0.7", user "users", database "bazaruto_users", no encryption',
        "fe_sendauth: no password supplied",
        "FATAL:  no such database: bazaruto_users",
    ],
)
def test_refusal_is_not_waited_for(message: str) -> None:
    assert is_refusal(psycopg.OperationalError(message))


@pytest.mark.parametrize(
    "message",
    [
        "connection refused",
        "connection timeout expired",
        "FATAL:  the database system is starting up",
        "FATAL:  the database system is shutting down",
        "FATAL:  sorry, too many clients already",
        "[Errno -2] Name or service not known",
    ],
)
def test_absence_is_waited_for(message: str) -> None:
    assert not is_refusal(psycopg.OperationalError(message))
