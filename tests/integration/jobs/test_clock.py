"""`bazarutod clock`: what falls due on the way is done at its moment, by a real worker, and time never goes back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from bazarutod import advance
from bazarutod.advance import Hand
from bazarutod.command import app
from bazarutod.running import held
from bazarutod.stack import SERVICES
from libs import clock
from libs.jobs import advancing
from tests.integration.jobs import worker
from tests.integration.jobs.queue import Queue
from tests.support.waiting import until

pytestmark = pytest.mark.xdist_group("jobs")

_OTHERS = [service for service in SERVICES if service != "users"]


class Town:
    """All services, of which one has a worker that does things; the others have one that has nothing to do."""

    def __init__(self, queue: Queue, file: Path) -> None:
        self.queue = queue
        self.file = file

    def advance(self, *words: str, code: int = 0) -> dict[str, Any]:
        """Move the clock; gives what is said as JSON."""
        done = CliRunner().invoke(app, ["clock", "advance", *words, "--json"])
        assert done.exit_code == code, done.output
        return dict(json.loads(done.stdout))

    def refused(self, *words: str) -> str:
        """What `clock` says when it will not."""
        done = CliRunner().invoke(app, ["clock", *words], terminal_width=200)
        assert done.exit_code in (1, 2), done.output
        return " ".join(done.output.replace("│", "").split())

    def show(self) -> dict[str, Any]:
        """What `clock show` says."""
        done = CliRunner().invoke(app, ["clock", "show", "--json"])
        assert done.exit_code == 0, done.output
        return dict(json.loads(done.stdout))

    def waits_for(self, name: str) -> float:
        """In how many real seconds a job may run."""
        query = (
            "SELECT extract(epoch FROM scheduled_at - now())::float8 FROM procrastinate_jobs WHERE args->>'name' = %s"
        )
        return float(self.queue.rows(query, name)[0][0])

    def sweeps(self) -> list[str]:
        """The days that were swept, in order."""
        return [name.removeprefix("sweep of ") for name in self.queue.effects() if name.startswith("sweep")]


@pytest.fixture
def town(
    queue: Queue, make_database: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Town]:
    """A town whose clock has never been moved, with nobody at work."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BAZARUTO_CLOCK__FILE", str(tmp_path / "clock"))
    for service in _OTHERS:
        url = make_database(service)
        monkeypatch.setenv(f"BAZARUTO_SERVICES__{service.upper()}__DB_URL", url)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() + interval '1 h')")
    monkeypatch.setenv("BAZARUTO_SERVICES__USERS__DB_URL", queue.url)
    kinds = {service: [worker.SWEEP] if service == "users" else [] for service in SERVICES}
    monkeypatch.setattr(advance, "daily_kinds", lambda: kinds)
    yield Town(queue, tmp_path / "clock")
    clock.follow(None)


@pytest.fixture
def busy(town: Town) -> Town:
    """The town with a worker."""
    town.queue.start_worker(clock=town.file)
    return town


def days_from_now(days: float) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


def test_jobs_that_fall_due_on_the_way_run_at_their_moment_and_in_order(busy: Town) -> None:
    # At the start of a minute: what a busy machine takes to get there stays within it.
    later, sooner, never = (days_from_now(days).replace(second=0, microsecond=0) for days in (20, 10, 60))
    for moment, name in ((later, "later"), (sooner, "sooner"), (never, "never")):
        busy.queue.defer(worker.NOTE_WHEN, name, at=moment)
    outcome = busy.advance("45d")
    notes = [name for name in busy.queue.effects() if not name.startswith("sweep")]
    assert notes == [f"sooner at {sooner:%Y-%m-%d %H:%M}", f"later at {later:%Y-%m-%d %H:%M}"]
    assert busy.queue.states()["never"] == "todo"
    assert 14.9 < busy.waits_for("never") / 86400 < 15.01
    assert outcome["offset_seconds"] / 86400 == pytest.approx(45, abs=0.01)
    assert datetime.fromisoformat(outcome["now"]) >= datetime.fromisoformat(outcome["from"]) + timedelta(days=45)


def test_every_day_that_is_passed_over_is_swept_once(busy: Town) -> None:
    until(busy.sweeps)  # the day before had been missed
    outcome = busy.advance("2w")
    first = datetime.fromisoformat(outcome["from"])
    days = [f"{first + timedelta(days=day):%Y-%m-%d}" for day in range(-1, 16)]
    assert busy.sweeps() == [day for day in days if day in busy.sweeps()]
    assert len(busy.sweeps()) == len(set(busy.sweeps())) == 15
    assert outcome["jobs"] == {"succeeded": 14, "failed": []}


def test_what_a_job_of_a_moved_clock_waits_for_is_a_moment_of_that_clock(busy: Town) -> None:
    busy.advance("36h")
    busy.queue.defer(worker.NOTE, "soon", at=clock.now() + timedelta(days=3))
    assert 2.9 < busy.waits_for("soon") / 86400 < 3.01
    assert [row["job"] for row in busy.show()["upcoming"]].count("test.note") == 1
    busy.advance("4d")
    assert "soon" in busy.queue.effects()


def test_clock_goes_to_the_day_that_is_named(busy: Town) -> None:
    day = f"{days_from_now(40):%Y-%m-%d}"
    assert busy.advance("--until", day)["now"].startswith(f"{day}T00:00:")
    assert busy.show()["advance"] == "none"


def test_time_never_goes_back(busy: Town) -> None:
    busy.advance("10d")
    before = busy.show()["now"]
    assert "time never goes back" in busy.refused("advance", "--until", f"{days_from_now(9):%Y-%m-%d}")
    assert "time never goes back" in busy.refused("advance", "0d")
    assert "not a duration" in busy.refused("advance", "soon")
    assert "neither a day" in busy.refused("advance", "--until", "christmas")
    assert "2100-01-01 00:00:00 UTC at most" in busy.refused("advance", "900000w")
    assert "give either" in busy.refused("advance", "1d", "--until", "2027-01-01")
    assert "no earlier advance was interrupted" in busy.refused("advance")
    assert busy.show()["now"] > before


def test_retry_keeps_its_real_time_and_is_waited_for(busy: Town) -> None:
    busy.queue.defer(worker.RAISE, "poison", at=days_from_now(2))
    (number,) = busy.queue.rows("SELECT id FROM procrastinate_jobs WHERE args->>'name' = 'poison'")[0]
    outcome = busy.advance("3d")
    assert outcome["jobs"]["failed"] == [f"users:{number}"]
    assert busy.queue.states()["poison"] == "failed"
    busy.queue.rows(
        "UPDATE procrastinate_jobs SET status = 'todo', attempts = 1, scheduled_at = now() + '1 h' WHERE id = %s",
        number,
    )
    assert "failed 1 times and waits to be tried again" in busy.advance("1d", "--patience", "1s", code=1)["stopped_by"]
    assert 3500 < busy.waits_for("poison") <= 3600


def test_clock_stands_still_at_the_moment_of_a_job_that_nobody_does_and_goes_on_later(busy: Town) -> None:
    due = days_from_now(5)
    busy.queue.rows("INSERT INTO paused_queues VALUES ('default')")
    busy.queue.rows("UPDATE procrastinate_jobs SET status = 'cancelled' WHERE status = 'todo'")
    busy.queue.defer(worker.MAIL, "mail", at=due)
    outcome = busy.advance("45d", "--patience", "1s", code=1)
    assert "test.sweep waits in a paused queue" in outcome["stopped_by"]
    assert busy.show()["advance"] == "interrupted"
    busy.queue.rows("DELETE FROM paused_queues")
    assert busy.advance()["offset_seconds"] / 86400 == pytest.approx(45, abs=0.01)
    assert busy.queue.states()["mail"] == "succeeded"
    assert busy.show()["advance"] == "none"


def test_second_advance_at_the_same_time_is_refused(busy: Town) -> None:
    with held(busy.file.with_suffix(".lock")):
        assert "the clock is being moved already" in busy.refused("advance", "1d")
    assert busy.show()["offset_seconds"] == 0


def test_clock_is_not_moved_while_nobody_works(town: Town) -> None:
    assert "no worker of users is at work" in town.refused("advance", "1d")
    assert not town.file.exists()


def test_production_moves_no_clock(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAZARUTO_ENVIRONMENT", "production")
    monkeypatch.delenv("BAZARUTO_CLOCK__FILE")
    assert "production goes by real time" in town.refused("advance", "1d")
    assert "production goes by real time" in town.refused("show")


def test_advance_that_died_between_the_offset_and_its_jobs_is_gone_on_with(busy: Town) -> None:
    sweep = worker.SWEEP.next_occurrence(datetime.now(UTC))
    busy.queue.defer(worker.NOTE_WHEN, "due", at=sweep)
    until(busy.sweeps)
    with pytest.MonkeyPatch.context() as patched:  # the offset of the first step is written, and then it dies
        patched.setattr(advancing, "shift", _dies_at(sweep))
        assert isinstance(CliRunner().invoke(app, ["clock", "advance", "10d"]).exception, Died)
    hand = Hand.read(busy.file)
    assert hand.target is not None
    assert busy.show()["advance"] == "interrupted"
    assert busy.queue.states()["due"] == "todo"
    busy.advance()
    assert f"due at {sweep:%Y-%m-%d %H:%M}" in busy.queue.effects()
    assert len(busy.sweeps()) == len(set(busy.sweeps())) == 11
    assert busy.show()["now"] >= hand.target.isoformat()


def test_interrupted_command_says_where_the_clock_stands(busy: Town, tmp_path: Path) -> None:
    busy.queue.rows("INSERT INTO paused_queues VALUES ('mailers')")
    busy.queue.defer(worker.MAIL, "mail", at=days_from_now(3))
    command = [sys.executable, "-m", "tests.integration.jobs.moving", "30d", "--patience", "1h"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    with subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE) as moving:
        try:
            until(lambda: busy.show()["offset_seconds"] > 2.9 * 86400 or moving.poll() is not None)
            assert busy.show()["advance"] == "running"
        finally:
            moving.send_signal(signal.SIGINT)
        _, said = moving.communicate(timeout=60)
    assert moving.returncode == 130, said
    assert b"interrupted. Go on with `bazarutod clock advance`" in said
    busy.queue.rows("DELETE FROM paused_queues")
    assert busy.advance()["offset_seconds"] / 86400 == pytest.approx(30, abs=0.01)
    assert busy.queue.states()["mail"] == "succeeded"


class Died(Exception):
    """As a process that was killed."""


def _dies_at(moment: datetime) -> Callable[..., int]:
    shift = advancing.shift

    def shift_or_die(connection: psycopg.Connection, offset: timedelta) -> int:
        if clock.now() >= moment:
            raise Died
        return shift(connection, offset)

    return shift_or_die
