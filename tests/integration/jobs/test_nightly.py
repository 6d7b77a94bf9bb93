"""Nightly runs: batches with a watermark, each item by itself, whatever fails, dies or comes twice on the way."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest
import sqlalchemy as sa
from prometheus_client import REGISTRY
from psycopg.rows import dict_row
from sqlalchemy.orm import Session
from structlog.testing import capture_logs
from typer.testing import CliRunner

from bazarutod.command import app
from libs import clock
from libs.config import DbSettings
from libs.db import Database
from libs.errors import Refused, Unavailable
from libs.jobs import JobKind, measures, nightly, runs
from libs.jobs.nightly import Alone, Batched, Night, Occurrence, Run, RunUnderWay, night_at, within
from tests.support.sections import section

pytestmark = pytest.mark.xdist_group("jobs")

KIND = JobKind("test.chores", Occurrence, "processing", endless=True, daily="02:10")
AT = datetime(2026, 3, 1, 2, 10, tzinfo=UTC)
OCCURRENCE = Occurrence(int(AT.timestamp()))


class House:
    """Chores that are to be done once each, some of which cannot be."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.database = Database(url, section(DbSettings), "test-nightly")
        self.database.open()
        self.connection = psycopg.connect(url, autocommit=True)
        self.connection.execute("CREATE TABLE chores (id uuid PRIMARY KEY, times integer NOT NULL DEFAULT 0)")
        self.bad: set[UUID] = set()
        self.tried: list[UUID] = []

    def add(self, count: int) -> list[UUID]:
        """Chores to be done, in the order of their ids."""
        self.connection.execute("INSERT INTO chores SELECT gen_random_uuid() FROM generate_series(1, %s)", (count,))
        return [row[0] for row in self.connection.execute("SELECT id FROM chores ORDER BY id")]

    def do(self, session: Session, item_id: UUID, night: Night) -> None:
        """One chore; it counts how often it was done, also where it is then found that it cannot be."""
        self.tried.append(item_id)
        session.execute(sa.text("UPDATE chores SET times = times + 1 WHERE id = :id AND times = 0"), {"id": item_id})
        if item_id in self.bad:
            raise Refused(f"{night.occasion} is no day for it")

    def do_alone(self, item_id: UUID, night: Night) -> None:
        """One chore, in a transaction of its own."""
        with self.database.transaction() as session:
            self.do(session, item_id, night)

    def run(self, work: Batched | Alone | None = None, night: Night | None = None, batch: int = 3) -> None:
        """Carry a run out."""
        run = Run(KIND, _list_due, _count_due, work or within(self.do), batch)
        nightly.carry_out(self.database, run, OCCURRENCE, night or night_at(AT))

    def times(self) -> list[int]:
        """How often each chore was done."""
        return [row[0] for row in self.connection.execute("SELECT times FROM chores ORDER BY id")]

    def state(self) -> tuple[Any, ...]:
        """Done, parked, expected of the last run, and whether it has ended."""
        row = runs.list_runs(self.connection)[-1]
        return row.done, row.parked, row.expected, row.ended_at is not None

    def close(self) -> None:
        """Leave."""
        self.connection.close()
        self.database.close()


def _list_due(session: Session, night: Night, after: UUID, limit: int) -> Sequence[UUID]:
    query = sa.text("SELECT id FROM chores WHERE times = 0 AND id > :after ORDER BY id LIMIT :limit")
    return session.scalars(query, {"after": after, "limit": limit}).all()


def _count_due(session: Session, night: Night) -> int:
    return int(session.scalar(sa.text("SELECT count(*) FROM chores WHERE times = 0")) or 0)


@pytest.fixture
def house(make_database: Callable[[str], str]) -> Iterator[House]:
    """A house with nothing to do."""
    made = House(make_database("payments"))
    yield made
    made.close()


@pytest.mark.parametrize("is_alone", [False, True])
def test_each_item_is_done_once_and_a_bad_one_is_parked_with_its_reason(house: House, is_alone: bool) -> None:
    chores = house.add(10)
    house.bad = {chores[4]}
    with capture_logs() as lines:
        house.run(Alone(house.do_alone) if is_alone else None)
    assert house.times() == [0 if chore in house.bad else 1 for chore in chores]
    assert house.state() == (9, 1, 10, True)
    (parked,) = runs.list_parked(house.connection, KIND.name, 10)
    assert parked.item_id == chores[4]
    assert "2026-03-01 is no day for it" in parked.reason
    assert parked.tries == 2  # once more at the end
    first, second = (line for line in lines if line["event"] == "item parked")
    assert (first["reason"], first["item_id"]) == (parked.reason, str(chores[4]))
    assert re.match(r"\S+/test_nightly\.py:\d+ do < ", second["where"])
    assert "exc_info" not in first


def test_run_that_was_carried_out_is_not_carried_out_again(house: House) -> None:
    house.add(4)
    house.run()
    house.add(4)
    house.run()
    assert house.state() == (4, 0, 4, True)


@pytest.mark.parametrize("is_alone", [False, True])
def test_run_that_is_broken_off_goes_on_from_its_watermark(house: House, is_alone: bool) -> None:
    chores = house.add(10)

    def until_the_seventh(item_id: UUID) -> None:
        if item_id == chores[7] and house.tried.count(item_id) == 1:
            raise Unavailable

    def alone(item_id: UUID, night: Night) -> None:
        house.do_alone(item_id, night)
        until_the_seventh(item_id)

    def inside(session: Session, item_id: UUID, night: Night) -> None:
        house.do(session, item_id, night)
        until_the_seventh(item_id)

    work = Alone(alone) if is_alone else within(inside)
    with pytest.raises(Unavailable):
        house.run(work)
    assert house.state()[:2] == ((7, 0) if is_alone else (6, 0))
    house.run(work)
    assert house.times() == [1] * 10
    assert house.state() == (10 if not is_alone else 9, 0, 10, True)  # alone, the seventh was done and not noted
    assert all(house.tried.count(chore) == 1 for chore in chores[:6])


def test_worker_that_dies_between_two_batches_leaves_the_rest_to_the_next(house: House) -> None:
    house.add(9)

    class Killed(BaseException):
        pass

    def die_at_the_fifth(session: Session, item_id: UUID, night: Night) -> None:
        if len(house.tried) == 5:
            house.tried.append(item_id)
            raise Killed
        house.do(session, item_id, night)

    with pytest.raises(Killed):
        house.run(within(die_at_the_fifth))
    assert sum(house.times()) == 3
    house.run()
    assert house.times() == [1] * 9


def test_next_night_tries_again_what_was_parked_though_it_is_not_listed_any_more(house: House) -> None:
    chores = house.add(5)
    house.bad = {chores[0], chores[3]}
    house.run()
    house.connection.execute("UPDATE chores SET times = 1 WHERE id = %s", (chores[0],))
    house.bad = {chores[3]}
    house.run(night=night_at(datetime(2026, 3, 2, 2, 10, tzinfo=UTC)))
    (parked,) = runs.list_parked(house.connection, "", 10)
    assert (parked.item_id, parked.tries) == (chores[3], 4)
    house.bad = set()
    house.run(night=night_at(datetime(2026, 3, 3, 2, 10, tzinfo=UTC)))
    assert runs.count_parked(house.connection) == {}
    assert house.times() == [1] * 5


def test_operator_has_parked_items_tried_again_at_once(house: House) -> None:
    chores = house.add(5)
    house.bad = {chores[1]}
    house.run()
    assert runs.retry_parked(house.connection, KIND.name) == 1
    (job,) = house.connection.execute("SELECT task_name, queue_name, args FROM procrastinate_jobs").fetchall()
    assert job == (KIND.name, "processing", {"timestamp": OCCURRENCE.timestamp})
    house.bad = set()
    house.run()
    assert house.state() == (5, 0, 5, True)
    assert runs.retry_parked(house.connection, KIND.name) == 0


@pytest.mark.parametrize("is_alone", [False, True])
def test_two_workers_do_not_do_an_item_twice(house: House, is_alone: bool) -> None:
    house.add(60)

    def run() -> None:
        while True:
            try:
                house.run(Alone(house.do_alone) if is_alone else None)
            except RunUnderWay:
                continue
            return

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: run(), range(4)))
    assert house.times() == [1] * 60
    assert len(house.tried) == 60
    assert house.state() == (60, 0, 60, True)


def test_job_puts_itself_back_when_its_time_is_over(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.add(9)
    monkeypatch.setattr(nightly, "_SLICE", 0)
    house.run()
    assert house.state() == (3, 0, 9, False)
    (job,) = house.connection.execute("SELECT task_name, args FROM procrastinate_jobs").fetchall()
    assert job == (KIND.name, {"timestamp": OCCURRENCE.timestamp})


def test_job_that_was_kept_until_after_the_next_night_is_for_that_one(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
    monkeypatch.setattr(clock, "now", lambda: now)
    assert nightly.night_of(house.database, KIND, OCCURRENCE).occasion == "2026-03-04"
    house.run()
    assert nightly.night_of(house.database, KIND, OCCURRENCE).occasion == "2026-03-01"


def test_commands_show_runs_and_what_they_parked(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    chores = house.add(6)
    house.bad = {chores[2]}
    house.run()
    monkeypatch.setenv("BAZARUTO_SERVICES__PAYMENTS__DB_URL", house.url)
    monkeypatch.setenv("COLUMNS", "200")

    def said(*words: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, ["jobs", *words], terminal_width=300)
        assert done.exit_code == code, done.output
        return done.output

    (run,) = json.loads(said("show", "--service", "payments", "--json"))
    assert (run["run"], run["for"], run["done"], run["parked"], run["expected"]) == (
        KIND.name, "2026-03-01", 5, 1, 6,
    )  # fmt: skip
    assert "ended" in said("show", "--service", "payments")
    assert str(chores[2]) in said("parked", "--service", "payments")
    assert "1 items of test.chores" in said("retry", "--parked", KIND.name, "--service", "payments")
    house.bad = set()
    house.run()
    assert "Nothing is parked" in said("parked", "--service", "payments")
    assert "nothing of test.chores" in said("retry", "--parked", KIND.name, "--service", "payments", code=1)


def test_worker_shows_how_much_is_parked(house: House) -> None:
    chores = house.add(3)
    house.bad = {chores[0], chores[1]}
    house.run()
    rows = house.connection.cursor(row_factory=dict_row).execute(measures.PARKED, {"names": [KIND.name, "test.other"]})
    measures.show_parked(rows.fetchall())
    shown = [REGISTRY.get_sample_value("bazaruto_parked_items", {"run": name}) for name in (KIND.name, "test.other")]
    assert shown == [2, 0]
    measures.forget()
