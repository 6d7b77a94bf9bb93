"""Analyses of rate changes: asked for by a call, made by jobs part after part, and complete whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from sqlalchemy.orm import Session

from bazaruto.quotes.v1 import product_version_pb2 as version_pb
from bazaruto.quotes.v1 import quote_pb2
from bazaruto.quotes.v1 import rate_change_pb2 as pb
from libs import clock, ids
from libs.config import JobSettings
from libs.jobs import JobRunner
from libs.rpc import values
from services.quotes.catalogue.adapters.source import dump
from services.quotes.catalogue.flows import publishing
from services.quotes.impact import jobs
from services.quotes.impact.kinds import Part
from services.quotes.impact.rules.rate_change import RateChange
from services.quotes.impact.store import rate_changes
from tests.integration.quotes.conftest import House, risk
from tests.support.errors import reason_of
from tests.support.people import People, Person, new_key
from tests.support.sections import section
from tests.unit.quotes.samples import small

AT_ONCE = 3


def document(**rates: str) -> dict[str, Any]:
    """The small product as its version 9, with other rates for some of its steps."""
    changed = small()
    changed["version"] = 9
    for step in changed["rating"]:
        if step["name"] in rates:
            step["amount" if "amount" in step else "rate"] = rates[step["name"]]
    return changed


def house_of(area: int = 100, *, roof: str = "tile", dog: bool = False) -> quote_pb2.Risk:
    """A house to insure."""
    return risk("small", area=area, roof=roof, dog=dog)


class Desk:
    """Somebody who makes a version and asks what it would do."""

    def __init__(self, house: House, people: People) -> None:
        self.house = house
        self.person = people.user("underwriter")

    def draft(self, changed: dict[str, Any]) -> None:
        request = version_pb.CreateProductVersionRequest(product_code="small", definition=dump(changed))
        metadata = self.person.metadata(idempotency_key=new_key())
        self.house.products.CreateProductVersion(request, metadata=metadata)

    def ask(self, version: int = 9, key: str = "", **request: Any) -> pb.RateChange:
        return self.house.rate_changes.AnalyzeRateChange(
            pb.AnalyzeRateChangeRequest(product_code="small", version=version, **request),
            metadata=self.person.metadata(idempotency_key=key or new_key()),
        )

    def get(self, rate_change_id: str) -> pb.RateChange:
        request = pb.GetRateChangeRequest(rate_change_id=rate_change_id)
        return self.house.rate_changes.GetRateChange(request, metadata=self.person.metadata())

    def work(self) -> None:
        """Let a worker do what is due. When a job that failed is tried again is left to the test."""
        settings = section(JobSettings, retry_wait=timedelta(hours=1))
        due = "SELECT 1 FROM procrastinate_jobs WHERE status = 'todo' AND scheduled_at IS NULL"
        while self.house.rows(due):
            runner = JobRunner(self.house.url, settings, "test-quotes-worker")
            jobs.register(runner, self.house.database)
            runner.run_due()

    def analyze(self, **request: Any) -> pb.RateChange:
        asked = self.ask(**request)
        self.work()
        return self.get(asked.rate_change_id)


@pytest.fixture
def desk(house: House, people: People, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(jobs, "_AT_ONCE", AT_ONCE)
    path = tmp_path / "small.yaml"
    path.write_text(dump(small()))
    with house.database.transaction() as session:
        publishing.publish(session, clock.now(), [path])
    return Desk(house, people)


def minor(money: Any) -> int:
    return int(money.units * 100 + money.nanos // 10_000_000)


def test_quotes_are_compared_with_what_they_would_cost(desk: Desk, person: Person) -> None:
    made = [desk.house.create(person, house_of(100 + number)) for number in range(8)]
    desk.house.create(person, risk("motor"))
    desk.draft(document(fee="5.50"))
    found = desk.analyze()
    assert (found.state, found.quotes, found.quotes_done) == (pb.RateChange.STATE_DONE, 8, 8)
    assert found.HasField("finish_time")
    assert minor(found.old_total) == sum(minor(quote.premium.total) for quote in made)
    assert minor(found.new_total) == minor(found.old_total) + 8 * 300
    assert sum(bucket.quotes for bucket in found.buckets) == 8
    factors = {factor.name: factor for factor in found.factors}
    assert minor(factors["fee"].new_amount) - minor(factors["fee"].old_amount) == 8 * 300
    for name, factor in factors.items():
        assert name == "fee" or factor.old_amount == factor.new_amount
    assert {change.quote_id for change in found.largest_increases} == {quote.quote_id for quote in made}
    assert not found.largest_decreases
    assert not found.rules
    assert not found.unrated


def test_version_of_today_changes_no_price(desk: Desk, person: Person) -> None:
    for area in (1, 100, 101, 999):
        desk.house.create(person, house_of(area))
    found = desk.analyze(version=1)
    assert found.old_total == found.new_total
    assert [(bucket.from_percent, bucket.to_percent, bucket.quotes) for bucket in found.buckets] == [(0, 0, 4)]


def test_rules_and_what_cannot_be_rated_are_counted(desk: Desk, person: Person) -> None:
    for area in (100, 200, 700, 850):
        desk.house.create(person, house_of(area))
    changed = document()
    changed["questions"][0]["maximum"] = 800
    for step in changed["rating"]:
        if step["name"] == "large":
            step["table"] = {"1..100": "0.00", "101..800": "0.10"}
    changed["underwriting"] = [
        {"code": "large", "decision": "refer", "text": "It is large.", "when": {"area": {"at_least": 600}}}
    ]
    desk.draft(changed)
    found = desk.analyze()
    referred = quote_pb2.UNDERWRITING_DECISION_REFERRED
    approved = quote_pb2.UNDERWRITING_DECISION_APPROVED
    assert [(rule.rule_code, rule.decision, rule.quotes) for rule in found.rules] == [("large", referred, 1)]
    assert [(one.before, one.after, one.quotes) for one in found.decisions] == [
        (approved, approved, 2),
        (approved, referred, 1),
    ]
    assert [(one.reason, one.about, one.quotes) for one in found.unrated] == [("ANSWER_INVALID", "area", 1)]


def test_only_quotes_with_a_policy_are_rated_where_that_is_asked(desk: Desk, person: Person, policies: Person) -> None:
    bought, _ = (desk.house.create(person, house_of()) for _ in range(2))
    desk.house.accept(person, bought.quote_id)
    bind = quote_pb2.BindQuoteRequest(
        quote_id=bought.quote_id,
        policy_id=bought.quote_id.replace("quo", "pol"),
        transaction_id=bought.quote_id.replace("quo", "ptx"),
        issue_time=values.time_to_proto(clock.now()),
    )
    desk.house.quotes.BindQuote(bind, metadata=policies.metadata())
    assert desk.analyze(version=1, only_bound=True).quotes_done == 1
    assert desk.analyze(version=1).quotes_done == 2


def test_product_without_quotes_is_done_at_once(desk: Desk) -> None:
    asked = desk.ask(version=1)
    assert (asked.state, asked.quotes) == (pb.RateChange.STATE_DONE, 0)


def test_quotes_that_come_later_are_no_part_of_it(desk: Desk, person: Person) -> None:
    desk.house.create(person, house_of())
    asked = desk.ask(version=1)
    desk.house.create(person, house_of())
    desk.work()
    assert desk.get(asked.rate_change_id).quotes_done == 1


def test_crash_between_two_parts_loses_and_doubles_nothing(
    desk: Desk, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [desk.house.create(person, house_of(100 + number)) for number in range(3 * AT_ONCE + 1)]
    asked = desk.ask(version=1)
    save, calls = rate_changes.save, list[int]()

    def save_or_die(session: Session, rate_change: RateChange) -> None:
        calls.append(rate_change.done)
        if len(calls) in (1, 3):
            raise RuntimeError("the process died before it committed")
        save(session, rate_change)

    monkeypatch.setattr(rate_changes, "save", save_or_die)
    desk.work()
    assert desk.get(asked.rate_change_id).quotes_done == 0
    for _ in range(2):
        desk.house.rows("UPDATE procrastinate_jobs SET scheduled_at = NULL WHERE status = 'todo' RETURNING id")
        desk.work()
    found = desk.get(asked.rate_change_id)
    assert (found.state, found.quotes_done) == (pb.RateChange.STATE_DONE, len(made))
    assert minor(found.old_total) == sum(minor(quote.premium.total) for quote in made)
    assert calls == [3, 3, 6, 6, 9, 10]


def test_job_that_runs_twice_rates_its_part_once(desk: Desk, person: Person) -> None:
    for _ in range(AT_ONCE + 1):
        desk.house.create(person, house_of())
    asked = desk.ask(version=1)
    desk.work()
    before = desk.get(asked.rate_change_id)
    desk.house.rows(
        "INSERT INTO procrastinate_jobs (queue_name, task_name, args)"
        " SELECT queue_name, task_name, args FROM procrastinate_jobs WHERE task_name = 'quotes.analyze_rate_change'"
        " RETURNING id"
    )
    desk.work()
    assert desk.get(asked.rate_change_id) == before


def test_of_two_jobs_with_one_part_at_once_one_saves_it(desk: Desk, person: Person) -> None:
    for _ in range(AT_ONCE + 1):
        desk.house.create(person, house_of())
    asked = desk.ask(version=1)
    part = Part(ids.decode("rch", asked.rate_change_id), 0)
    together = threading.Barrier(2)

    def analyze() -> None:
        together.wait()
        jobs.analyze(desk.house.database, part)

    threads = [threading.Thread(target=analyze) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert desk.get(asked.rate_change_id).quotes_done == AT_ONCE
    waiting = "SELECT args->>'done' FROM procrastinate_jobs WHERE task_name = 'quotes.analyze_rate_change' ORDER BY id"
    assert desk.house.rows(waiting) == [("0",), (str(AT_ONCE),)]
    desk.work()
    assert desk.get(asked.rate_change_id).quotes_done == AT_ONCE + 1


def test_quotes_of_changes_of_policies_are_no_part_of_it(desk: Desk, person: Person) -> None:
    """They cost the difference between two timelines."""
    desk.house.create(person, house_of())
    desk.house.rows(
        "INSERT INTO quotes SELECT (jsonb_populate_record(NULL::quotes, to_jsonb(quotes) || jsonb_build_object("
        "'id', gen_random_uuid(), 'number', 'Q-2', 'kind', 'endorsement', 'policy_id', gen_random_uuid()))).*"
        " FROM quotes RETURNING id"
    )
    assert desk.analyze(version=1).quotes == 1


def test_same_call_twice_asks_once(desk: Desk) -> None:
    key = new_key()
    assert desk.ask(version=1, key=key) == desk.ask(version=1, key=key)
    assert desk.house.rows("SELECT count(*) FROM rate_changes") == [(1,)]


def test_unknown_version_and_unknown_analysis_are_not_found(desk: Desk) -> None:
    for call in (lambda: desk.ask(version=7), lambda: desk.get("rch_01m86535y1eaws2ywvkrpm6m62")):
        assert _reason(call) == "RESOURCE_NOT_FOUND"


def _reason(call: Callable[[], pb.RateChange]) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return reason_of(caught.value)
