"""`bazarutod jobs` and `bazarutod queues`: what they show is what the databases hold, and what they say is done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from bazarutod.command import app
from bazarutod.stack import SERVICES
from libs.jobs import QUEUES

pytestmark = pytest.mark.xdist_group("jobs")

_INSERT = """
    INSERT INTO procrastinate_jobs (queue_name, task_name, status, args, attempts, scheduled_at)
    VALUES (%s, 'test.job', %s::procrastinate_job_status, %s, %s, now() + %s::interval) RETURNING id
"""


class Desk:
    """An operator at the platform's databases."""

    def __init__(self, databases: dict[str, psycopg.Connection]) -> None:
        self._databases = databases

    def job(
        self,
        service: str,
        queue: str = "default",
        status: str = "todo",
        at: str | None = None,
        ended: str = "0 s",
        **arguments: Any,
    ) -> str:
        """Put a job there; one that is over ended `ended` ago. Returns its id, as `users:42`."""
        attempts = 0 if status == "todo" else 1
        ((number,),) = self.rows(service, _INSERT, queue, status, json.dumps(arguments), attempts, at)
        if status not in ("todo", "doing"):
            for event in ("started", status):
                self.rows(
                    service,
                    "INSERT INTO procrastinate_events (job_id, type, at)"
                    " VALUES (%s, %s::procrastinate_job_event_type, now() - %s::interval)",
                    number,
                    event,
                    ended,
                )
        return f"{service}:{number}"

    def status(self, job: str) -> tuple[Any, ...]:
        """State, tries, and whether somebody wants it cancelled."""
        service, _, number = job.partition(":")
        query = "SELECT status::text, attempts, abort_requested FROM procrastinate_jobs WHERE id = %s"
        (row,) = self.rows(service, query, number)
        return row

    def rows(self, service: str, query: str, *values: object) -> list[tuple[Any, ...]]:
        """What a service's database says."""
        cursor = self._databases[service].execute(query.encode(), values)
        return cursor.fetchall() if cursor.description else []

    def run(self, *words: str, code: int = 0) -> str:
        """What `bazarutod` says; it must end with `code`."""
        done = CliRunner().invoke(app, list(words), terminal_width=200)
        assert done.exit_code == code, done.output
        return done.output

    def json(self, *words: str, code: int = 0) -> Any:
        """What it says as JSON."""
        return json.loads(self.run(*words, "--json", code=code))


@pytest.fixture
def desk(make_database: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Desk]:
    """The databases of all services, found by the configuration."""
    monkeypatch.chdir(tmp_path)  # where no platform runs
    monkeypatch.setenv("COLUMNS", "200")
    with ExitStack() as stack:
        databases = {}
        for service in SERVICES:
            url = make_database(service)
            monkeypatch.setenv(f"BAZARUTO_SERVICES__{service.upper()}__DB_URL", url)
            databases[service] = stack.enter_context(psycopg.connect(url, autocommit=True))
        yield Desk(databases)


def test_statistics_equal_what_the_databases_count(desk: Desk) -> None:
    for status, count in (("todo", 3), ("doing", 1), ("failed", 2), ("succeeded", 4), ("cancelled", 1)):
        for _ in range(count):
            desk.job("users", "mailers", status)
    desk.job("payments", "mailers")
    desk.job("payments", "payments")
    desk.job("users", "mailers", "succeeded", ended="2 h")
    stats = desk.json("jobs", "stats", "--queue", "mailers", "--duration", "1h")
    assert stats["duration_seconds"] == 3600
    assert stats["total"] == {
        "pending": 4,
        "processing": 1,
        "failed": 2,
        "completed": 4,
        "retried": 0,
        "failed_for_good": 2,
        "cancelled": 1,
    }
    users = next(row for row in stats["queues"] if row["service"] == "users")
    ((pending, failed),) = desk.rows(
        "users",
        "SELECT count(*) FILTER (WHERE status = 'todo'), count(*) FILTER (WHERE status = 'failed')"
        " FROM procrastinate_jobs WHERE queue_name = 'mailers'",
    )
    assert (users["pending"], users["failed"]) == (pending, failed)
    assert 0 <= users["p95_seconds"] < 5
    assert {row["queue"] for row in stats["queues"]} == {"mailers"}
    assert desk.json("jobs", "stats", "--duration", "3h")["total"]["completed"] == 5
    assert "mailers" in desk.run("jobs", "stats", "--queue", "mailers")


def test_queues_show_depth_age_and_workers(desk: Desk) -> None:
    desk.job("users", "mailers", at="-90 s")
    desk.job("users", "mailers", at="1 h")
    desk.job("policies", "processing", "aborted")
    worker = "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - %s::interval) RETURNING id"
    ((alive,),) = desk.rows("users", worker, "2 s")
    desk.rows("quotes", worker, "10 min")
    job = desk.job("users", "default", "doing")
    desk.rows("users", "UPDATE procrastinate_jobs SET worker_id = %s WHERE id = %s", alive, job.split(":")[1])
    listing = desk.json("queues", "list")
    queues = {queue["queue"]: queue for queue in listing["queues"]}
    assert tuple(queues) == QUEUES
    assert queues["mailers"]["pending"] == 2
    assert 90 <= queues["mailers"]["oldest_due_seconds"] < 120
    assert queues["processing"]["cancelled"] == 1
    assert [(w["service"], w["processing"], w["alive"]) for w in listing["workers"]] == [
        ("users", 1, True),
        ("quotes", 0, False),
    ]
    assert 2 <= listing["workers"][0]["heartbeat_seconds"] < 20
    shown = desk.run("queues", "list")
    assert all(word in shown for word in ("mailers", "alive", "silent", "no worker"))


def test_oldest_due_job_of_no_set_time_is_as_old_as_its_deferral(desk: Desk) -> None:
    first = desk.job("users", "mailers")
    desk.job("users", "mailers")
    desk.rows(
        "users", "UPDATE procrastinate_events SET at = now() - interval '50 s' WHERE job_id = %s", first.split(":")[1]
    )
    assert 50 <= desk.json("queues", "list", "--service", "users")["queues"][0]["oldest_due_seconds"] < 80


def test_list_is_filtered_by_queue_status_service_and_limit(desk: Desk) -> None:
    letter = desk.job("users", "mailers", "failed", user_id="x")
    desk.job("users", "default", "failed")
    payment = desk.job("payments", "payments", "failed")
    desk.job("payments", "payments", "succeeded")
    assert [job["id"] for job in desk.json("jobs", "list", "--queue", "mailers", "--status", "failed")] == [letter]
    assert [job["status"] for job in desk.json("jobs", "list", "--service", "payments")] == ["completed", "failed"]
    assert len(desk.json("jobs", "list", "--status", "failed")) == 3
    assert len(desk.json("jobs", "list", "--limit", "1")) == 2  # of each service that has any
    shown = desk.run("jobs", "list", "--status", "failed")
    assert letter in shown
    assert payment in shown
    assert "No jobs." in desk.run("jobs", "list", "--status", "pending")


def test_one_job_is_shown_with_its_history_and_without_secrets(desk: Desk) -> None:
    trace = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}
    job = desk.job("policies", "payments", "failed", policy_id="p", payment_method="tok_visa", _trace=trace)
    details = desk.json("jobs", "show", job)
    assert details["arguments"] == {"policy_id": "p", "payment_method": "***"}
    assert details["trace_id"] == "ab" * 16
    assert [event["event"] for event in details["events"]] == ["started", "failed"]
    shown = desk.run("jobs", "show", job)
    assert "tok_visa" not in shown
    assert "failed" in shown


def test_retry_by_id_and_of_a_queue(desk: Desk) -> None:
    one = desk.job("users", "mailers", "failed")
    other = desk.job("users", "mailers", "failed")
    cancelled = desk.job("users", "mailers", "cancelled")
    elsewhere = desk.job("payments", "payments", "failed")
    assert desk.json("jobs", "retry", "--id", one) == {"done": [one], "left": []}
    assert [desk.status(job)[0] for job in (one, other, elsewhere)] == ["todo", "failed", "failed"]
    assert desk.json("jobs", "retry", "--queue", "mailers", "--all")["done"] == [other]
    assert desk.status(other) == ("todo", 0, False)
    assert desk.status(cancelled)[0] == "cancelled"
    assert desk.json("jobs", "retry", "--id", cancelled)["done"] == [cancelled]
    assert desk.json("jobs", "retry", "--all", "--service", "payments")["done"] == [elsewhere]


def test_retry_puts_one_periodic_job_back_where_only_one_may_wait(desk: Desk) -> None:
    jobs = [desk.job("users", "default", "failed") for _ in range(3)]
    desk.rows("users", "UPDATE procrastinate_jobs SET queueing_lock = 'once'")
    assert desk.json("jobs", "retry", "--all")["done"] == [jobs[-1]]
    assert desk.json("jobs", "retry", "--all")["done"] == []
    refusal = desk.run("jobs", "retry", "--id", jobs[0], code=1)
    assert "not one that retry is for" in refusal


def test_cancel_takes_waiting_jobs_and_marks_a_running_one(desk: Desk) -> None:
    waiting = desk.job("users", "mailers")
    other = desk.job("users", "default")
    running = desk.job("users", "mailers", "doing")
    failed = desk.job("users", "mailers", "failed")
    assert desk.json("jobs", "cancel", "--queue", "mailers", "--all")["done"] == [waiting]
    assert [desk.status(job)[0] for job in (waiting, other, running, failed)] == [
        "cancelled",
        "todo",
        "doing",
        "failed",
    ]
    assert desk.json("jobs", "cancel", "--id", running, "--id", failed)["done"] == [running, failed]
    assert desk.status(running) == ("doing", 1, True)
    assert desk.status(failed)[0] == "cancelled"
    assert waiting in desk.run("jobs", "cancel", "--id", waiting, code=1)


def test_cleanup_deletes_what_ended_long_ago_and_nothing_else(desk: Desk) -> None:
    for status, ended in (("succeeded", "8 d"), ("succeeded", "6 d"), ("failed", "8 d"), ("cancelled", "8 d")):
        desk.job("users", "mailers", status, ended=ended)
    desk.job("users", "mailers")
    count = "SELECT count(*) FROM procrastinate_jobs"
    preview = desk.json("jobs", "cleanup", "--older-than", "7d", "--dry-run")
    assert preview == {"dry_run": True, "deleted": {"users": 2, "quotes": 0, "policies": 0, "payments": 0}}
    assert desk.rows("users", count) == [(5,)]
    assert "users: 2 jobs deleted" in desk.run("jobs", "cleanup", "--older-than", "7d")
    assert desk.rows("users", count) == [(3,)]
    assert desk.json("jobs", "cleanup", "--failed", "--older-than", "7d")["deleted"]["users"] == 1
    assert desk.json("jobs", "cleanup", "--older-than", "1h", "--queue", "payments")["deleted"]["users"] == 0


def test_pause_and_resume_reach_every_service(desk: Desk) -> None:
    assert desk.json("queues", "pause", "mailers")["changed"] == dict.fromkeys(SERVICES, True)
    assert desk.json("queues", "pause", "mailers")["changed"] == dict.fromkeys(SERVICES, False)
    assert desk.json("queues", "list")["queues"][0]["paused_in"] == list(SERVICES)
    assert "paused" in desk.run("queues", "list")
    assert desk.json("queues", "resume", "mailers", "--service", "quotes")["changed"] == {"quotes": True}
    assert desk.rows("users", "SELECT queue FROM paused_queues") == [("mailers",)]
    assert "paused in users, policies, payments" in desk.run("queues", "list")
    assert "was not paused" in desk.run("queues", "resume", "mailers")


def test_monitor_looks_again_and_again(desk: Desk) -> None:
    lines = desk.run("queues", "monitor", "--interval", "100ms", "--duration", "2s", "--json").splitlines()
    assert len(lines) >= 2
    assert all(json.loads(line)["queues"][0]["queue"] == "mailers" for line in lines)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["jobs", "stats", "--queue", "mailer"], "there is no queue 'mailer'"),
        (["jobs", "list", "--service", "claims"], "there is no service 'claims'"),
        (["jobs", "list", "--status", "dead"], "there is no status 'dead'"),
        (["jobs", "stats", "--duration", "soon"], "'soon' is not a duration"),
        (["jobs", "show", "users:x"], "is no job of users"),
        (["jobs", "show", "42"], "is no job of users"),
        (["jobs", "retry"], "give either --id"),
        (["jobs", "retry", "--all", "--id", "users:1"], "give either --id"),
        (["queues", "pause", "nowhere"], "there is no queue 'nowhere'"),
    ],
)
def test_wrong_words_are_refused_clearly(desk: Desk, words: list[str], message: str) -> None:
    assert message in " ".join(desk.run(*words, code=2).replace("│", " ").split())


def test_job_that_is_not_there_is_an_error(desk: Desk) -> None:
    assert "there is no job users:99" in desk.run("jobs", "show", "users:99", code=1)


def test_command_says_which_database_it_lacks(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAZARUTO_SERVICES__QUOTES__DB_URL", "postgresql://nobody@127.0.0.1:9/nothing")
    assert "the database of quotes does not answer" in desk.run("queues", "list", code=1)
    monkeypatch.delenv("BAZARUTO_SERVICES__QUOTES__DB_URL")
    assert "where the database of quotes is" in desk.run("queues", "list", code=1)


def test_guides_two_commands_find_the_platform_that_runs(desk: Desk, tmp_path: Path) -> None:
    names = [f"BAZARUTO_SERVICES__{service.upper()}__DB_URL" for service in SERVICES]
    (tmp_path / ".run").mkdir()
    state = {"pid": os.getpid(), "environment": {name: os.environ[name] for name in names}}
    (tmp_path / ".run" / "state.json").write_text(json.dumps(state))
    plain = {name: value for name, value in os.environ.items() if not name.startswith("BAZARUTO_")}
    program = Path(sys.executable).parent / "bazarutod"
    for words in (["jobs", "stats", "--queue", "mailers"], ["queues", "list"]):
        done = subprocess.run([program, *words], env=plain, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert "queue" in done.stdout
