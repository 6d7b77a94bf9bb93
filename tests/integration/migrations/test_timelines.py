"""Policies of before get their timelines from their quotes, and cost what they cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
from psycopg.rows import dict_row

from bazaruto.policies.v1 import policy_pb2 as pb
from libs import ids
from libs.config import DbSettings
from libs.db import Database
from libs.money import Money
from libs.premium import ChargeLine, Coverage, InsuredObject, LineKind, Premium
from services.policies.clients import Payments
from services.policies.lifecycle.jobs import Handlers, TimelinesMissing
from services.policies.lifecycle.rules.quote import Quote
from tests.integration.migrations import checking, reading
from tests.integration.policies.house import FakeQuotes, House
from tests.support.people import People
from tests.support.sections import section

Start = Callable[..., grpc.Channel]

STATES = sorted(Path(__file__).with_name("states").glob("policies-*.sql"))[::5]
SOLD = "SELECT policies.*, segments.* FROM policies JOIN segments ON policy_id = policies.id"


class QuotesOfBefore(FakeQuotes):
    """The quotes that the policies of a database were issued from."""

    def __init__(self, url: str) -> None:
        super().__init__()
        for row in _rows(url, SOLD):
            quote = _quote(row)
            self.quotes[ids.encode("quo", quote.id)] = quote

    def get_quote(self, quote_id: str) -> Quote:
        return self.quotes[quote_id]


@pytest.mark.parametrize("state", STATES, ids=lambda path: path.stem)
def test_policies_of_before_cost_the_same_with_their_timelines(
    state: Path, empty: str, start_server: Start, people: People
) -> None:
    checking.restore(state, empty)
    checking.upgrade("policies", empty)
    house = House(start_server, empty)
    before = _read(house, people)
    with writing_timelines(empty, QuotesOfBefore(empty)) as handlers:
        handlers.write_timelines()
        handlers.write_timelines()
    after = _read(house, people)
    assert before.keys() == after.keys()
    for policy_id, policy in after.items():
        assert _told(policy) == _told(before[policy_id])
        assert [item.identifier for item in policy.objects] == ["AA-00-BB"]
        assert sum(line.amount.units * 10**9 + line.amount.nanos for line in policy.term.premium.lines) == (
            policy.term.premium.total.units * 10**9 + policy.term.premium.total.nanos
        )
    assert _rows(empty, "SELECT FROM policies WHERE NOT has_timeline") == []
    assert {pb.Policy.STATE_IN_FORCE, pb.Policy.STATE_PENDING} & {policy.state for policy in after.values()}
    reading.read_policies(start_server, empty, people)


def test_policy_whose_quote_says_another_price_keeps_no_other_from_its_timeline(
    empty: str, start_server: Start, people: People
) -> None:
    checking.restore(STATES[0], empty)
    checking.upgrade("policies", empty)
    quotes = QuotesOfBefore(empty)
    other = min(quotes.quotes)
    quotes.quotes[other] = _with_net(quotes.quotes[other], 1)
    with writing_timelines(empty, quotes) as handlers, pytest.raises(TimelinesMissing):
        handlers.write_timelines()
    (left,) = _rows(empty, "SELECT quote_id FROM policies WHERE NOT has_timeline")
    assert ids.encode("quo", left["quote_id"]) == other
    reading.read_policies(start_server, empty, people)


def test_policy_that_is_paid_before_its_timeline_is_written_has_its_cover_in_it(
    empty: str, start_server: Start, people: People
) -> None:
    checking.restore(STATES[0], empty)
    checking.upgrade("policies", empty)
    house = House(start_server, empty)
    ((row),) = _rows(empty, "SELECT * FROM policies WHERE activated_at IS NULL LIMIT 1")
    policy_id = ids.encode("pol", row["id"])
    paid = house.activate(policy_id, people.service("payments-worker"))
    with writing_timelines(empty, QuotesOfBefore(empty)) as handlers:
        handlers.write_timelines()
    written = house.get(people.known(row["user_id"]), policy_id)
    assert (written.state, written.cover_start_time) == (paid.state, paid.cover_start_time)


@contextmanager
def writing_timelines(url: str, quotes: FakeQuotes) -> Iterator[Handlers]:
    database = Database(url, section(DbSettings, max_connections=2), "test-timelines")
    database.open()
    with closing(database):
        yield Handlers(database, quotes, Payments.__new__(Payments))


def _read(house: House, people: People) -> dict[str, pb.Policy]:
    return {
        (policy_id := ids.encode("pol", row["policy_id"])): house.get(people.known(row["user_id"]), policy_id)
        for row in _rows(house.url, SOLD)
    }


def _told(policy: pb.Policy) -> tuple[object, ...]:
    premium = policy.term.premium
    return (
        policy.state,
        policy.cover_start_time,
        policy.cover_end_time,
        policy.activate_time,
        [premium.net, premium.tax, premium.fees, premium.total],
        list(policy.coverages),
        policy.customer_id,
    )


def _quote(row: dict[str, Any]) -> Quote:
    currency = row["currency"]
    coverages = tuple(Coverage.of_minor(*value, currency=currency) for value in row["coverages"])
    days = (row["starts_on"], row["ends_on"])
    at_once = (row["starts_on"], row["starts_on"])
    shares = Money(row["net"], currency).split_evenly(len(coverages))
    return Quote(
        id=row["quote_id"],
        user_id=row["user_id"],
        created_by=row["user_id"],
        product_code=row["product_code"],
        product_version=row["product_version"],
        time_zone=row["time_zone"],
        state="bound",
        valid_until=row["issued_at"],
        starts_on=row["starts_on"],
        ends_on=row["ends_on"],
        premium=Premium.of_minor(row["net"], row["tax"], row["fees"], currency),
        coverages=coverages,
        plans={"annual": 1},
        objects=(InsuredObject("vehicle_1", "vehicle", {"plate": "AA-00-BB"}, "AA-00-BB"),),
        lines=(
            *(
                ChargeLine(LineKind.PREMIUM, share, *days, coverage.code)
                for coverage, share in zip(coverages, shares, strict=True)
            ),
            ChargeLine(LineKind.TAX, Money(row["tax"], currency), *at_once, charge_code="premium_tax"),
            ChargeLine(LineKind.FEE, Money(row["fees"], currency), *at_once, charge_code="policy_fee"),
        ),
    )


def _with_net(quote: Quote, more: int) -> Quote:
    line = quote.lines[0]
    return replace(
        quote, lines=(replace(line, amount=Money(line.amount.minor + more, line.amount.currency)), *quote.lines[1:])
    )


def _rows(url: str, query: str) -> list[dict[str, Any]]:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute(query.encode()).fetchall()
