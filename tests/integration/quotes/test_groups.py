"""Quotes of a group, quotes that are given up, taken back, copied and dated anew, on a real server and database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import psycopg
import pytest
from google.type import date_pb2, money_pb2

from bazaruto.quotes.v1 import quote_pb2 as pb
from libs import ids
from libs.rpc import values
from services.quotes.quoting import jobs
from tests.integration.quotes.conftest import AHEAD, House, coverage, risk
from tests.integration.quotes.test_quote_states import bind
from tests.support.errors import metadata_of, reason_of
from tests.support.people import People, Person, new_key
from tests.unit.quotes.sold import ANSWERS


def in_days(days: int) -> date_pb2.Date:
    return values.date_to_proto(datetime.now(UTC).date() + timedelta(days=days))


def refusal(call: Any, *args: Any, **fields: Any) -> tuple[str, dict[str, str]]:
    """Reason and metadata with which a call is refused."""
    with pytest.raises(grpc.RpcError) as caught:
        call(*args, **fields)
    return reason_of(caught.value), metadata_of(caught.value)


def test_accepting_one_quote_of_a_group_withdraws_the_others(house: House, person: Person) -> None:
    first = house.create(person)
    others = [
        house.create(person, risk(coverages=[coverage("theft")]), group_id=first.group_id),
        house.create(person, risk(use="taxi"), group_id=first.group_id),
        house.create(person, risk(), group_id=first.group_id, draft=True),
    ]
    declined = house.create(person, risk(claims_5_years=5), group_id=first.group_id)
    assert {quote.group_id for quote in (*others, declined)} == {first.group_id}
    alone = house.create(person)
    accepted = house.accept(person, others[0].quote_id)
    states = {quote.quote_id: quote.state for quote in house.listed(person, group_id=first.group_id)}
    assert accepted.state == states.pop(others[0].quote_id) == pb.Quote.STATE_ACCEPTED
    assert states.pop(declined.quote_id) == pb.Quote.STATE_DECLINED
    assert set(states.values()) == {pb.Quote.STATE_WITHDRAWN}
    assert house.get(person, first.quote_id).withdraw_reason == "Another quote of the group was accepted."
    assert house.get(person, alone.quote_id) == alone
    actions = [action for (action,) in house.rows("SELECT action FROM audit_events ORDER BY id")]
    assert actions.count("quote_withdrawn") == 3


def test_of_parallel_acceptances_in_a_group_one_stays(house: House, person: Person) -> None:
    first = house.create(person)
    group = [first, *(house.create(person, group_id=first.group_id) for _ in range(3))]

    def accept(quote: pb.Quote) -> str:
        try:
            house.accept(person, quote.quote_id, idempotency_key=new_key())
        except grpc.RpcError as error:
            return reason_of(error)
        return "accepted"

    with ThreadPoolExecutor(4) as pool:
        outcomes = sorted(pool.map(accept, group))
    assert outcomes == ["QUOTE_STATE_INVALID"] * 3 + ["accepted"]
    assert house.rows("SELECT state, count(*) FROM quotes GROUP BY 1 ORDER BY 1") == [("accepted", 1), ("withdrawn", 3)]


def test_group_of_a_bound_quote_takes_no_other(house: House, person: Person, policies: Person) -> None:
    first = house.create(person)
    second = house.create(person, group_id=first.group_id)
    bind(house, policies, first.quote_id)
    invalid = ("QUOTE_STATE_INVALID", {"state": "bound"})
    assert refusal(house.accept, person, second.quote_id) == invalid
    assert refusal(house.create, person, group_id=first.group_id) == invalid
    assert house.get(person, second.quote_id) == second


def test_group_of_another_customer_or_nobody_is_not_found(house: House, person: Person, people: People) -> None:
    theirs = house.create(people.customer()).group_id
    for group_id in (theirs, ids.encode("qgr", ids.new())):
        assert refusal(house.create, person, group_id=group_id) == (
            "RESOURCE_NOT_FOUND",
            {"resource": "quote group"},
        )


def test_quote_is_made_for_a_party_that_the_caller_acts_for(house: House, people: People) -> None:
    company = ids.new()
    person = people.customer(parties=frozenset({company}))
    made = house.create(person, customer_id=ids.encode("cus", company))
    assert (made.user_id, made.customer_id) == (person.user_id, ids.encode("cus", company))
    assert house.listed(person, customer_id=made.customer_id) == [made]
    assert refusal(house.create, person, customer_id=ids.encode("cus", ids.new()))[0] == "RESOURCE_NOT_FOUND"
    assert refusal(house.get, people.customer(), made.quote_id)[0] == "RESOURCE_NOT_FOUND"


def test_partner_sells_its_products_and_says_how_the_customer_agreed(house: House, people: People) -> None:
    partner, customer = ids.new(), ids.new()
    agent = people.user("agent", partner=partner, sells=frozenset({"motor"}), parties=frozenset({customer}))
    colleague = people.agent(partner, ["motor"])
    made = house.create(agent, customer_id=ids.encode("cus", customer))
    assert made.partner_id == ids.encode("par", partner)
    assert refusal(house.create, agent, risk("home")) == ("PARTNER_PRODUCT", {"product": "home"})
    assert house.get(colleague, made.quote_id) == made
    assert refusal(house.get, people.agent(ids.new(), ["motor"]), made.quote_id)[0] == "RESOURCE_NOT_FOUND"
    assert refusal(house.accept, colleague, made.quote_id)[0] == "INVALID_FIELD"
    assert house.accept(colleague, made.quote_id, consent="signed form").state == pb.Quote.STATE_ACCEPTED
    assert house.rows("SELECT details->>'consent' FROM audit_events WHERE action = 'quote_accepted'") == [
        ("signed form",)
    ]


def test_acceptance_is_taken_back_and_given_again(house: House, person: Person) -> None:
    made = house.create(person)
    assert refusal(house.unaccept, person, made.quote_id) == ("QUOTE_STATE_INVALID", {"state": "quoted"})
    accepted = house.accept(person, made.quote_id)
    opened = house.unaccept(person, made.quote_id)
    assert (opened.state, opened.HasField("accept_time")) == (pb.Quote.STATE_QUOTED, False)
    assert opened.etag not in (made.etag, accepted.etag)
    assert house.accept(person, made.quote_id).state == pb.Quote.STATE_ACCEPTED


def test_withdrawn_quote_says_why_and_is_final(house: House, person: Person) -> None:
    made = house.create(person)
    withdrawn = house.withdraw(person, made.quote_id, "The car was sold.")
    assert (withdrawn.state, withdrawn.withdraw_reason) == (pb.Quote.STATE_WITHDRAWN, "The car was sold.")
    invalid = ("QUOTE_STATE_INVALID", {"state": "withdrawn"})
    for call in (house.withdraw, house.accept, house.unaccept, house.price):
        assert refusal(call, person, made.quote_id) == invalid
    assert refusal(house.update, person, made.quote_id, answers=ANSWERS["motor"]) == invalid
    assert house.get(person, made.quote_id) == withdrawn


def test_quote_that_came_to_nothing_is_cloned_into_a_draft(house: House, person: Person) -> None:
    asked = risk(claims_5_years=5, coverages=[coverage("theft")])
    declined = house.create(person, asked)
    assert refusal(house.clone, person, house.create(person).quote_id) == ("QUOTE_STATE_INVALID", {"state": "quoted"})
    copy = house.clone(person, declined.quote_id)
    assert copy.state == pb.Quote.STATE_DRAFT
    assert (copy.answers, copy.coverages, copy.start_date) == (
        declined.answers,
        declined.coverages,
        declined.start_date,
    )
    assert copy.quote_id != declined.quote_id
    assert copy.quote_number != declined.quote_number
    assert copy.group_id != declined.group_id
    assert house.price(person, copy.quote_id).state == pb.Quote.STATE_DECLINED
    expired = house.past(person, 40)
    assert not house.clone(person, expired).HasField("start_date")
    withdrawn = house.withdraw(person, house.create(person).quote_id)
    assert house.price(person, house.clone(person, withdrawn.quote_id).quote_id).state == pb.Quote.STATE_QUOTED


def test_quote_is_accepted_for_another_day_at_the_same_price(house: House, person: Person) -> None:
    made = house.create(person)
    accepted = house.accept(person, made.quote_id, start_date=in_days(AHEAD + 5))
    assert (accepted.state, accepted.revision) == (pb.Quote.STATE_ACCEPTED, 2)
    assert accepted.start_date == in_days(AHEAD + 5)
    assert accepted.valid_until_time == made.valid_until_time
    assert accepted.premium.total == made.premium.total
    assert accepted.premium.lines[0].start_date == accepted.start_date
    assert refusal(house.accept, person, house.create(person).quote_id, start_date=in_days(-1))[0] == (
        "START_DATE_INVALID"
    )


def test_price_that_the_caller_does_not_expect_is_not_accepted(house: House, person: Person) -> None:
    made = house.create(person)
    total = made.premium.total
    other = money_pb2.Money(currency_code="EUR", units=total.units + 1, nanos=total.nanos)
    refused = refusal(house.accept, person, made.quote_id, expected_total=other)
    assert refused == (
        "QUOTE_PRICE_CHANGED",
        {
            "expected": str(values.money_from_proto(other)),
            "actual": str(values.money_from_proto(total)),
        },
    )
    assert house.get(person, made.quote_id) == made
    assert house.accept(person, made.quote_id, expected_total=total).state == pb.Quote.STATE_ACCEPTED


def test_quotes_are_listed_by_what_is_asked(house: House, people: People, person: Person, policies: Person) -> None:
    quoted = house.create(person)
    home = house.create(person, risk("home"))
    policy_id = ids.encode("pol", ids.new())
    bound = bind(house, policies, house.accept(person, house.create(person).quote_id).quote_id, policy_id)
    theirs = house.create(people.customer())
    underwriter = people.user("underwriter")
    for fields, quotes in (
        ({}, [theirs, bound, home, quoted]),
        ({"customer_id": quoted.customer_id}, [bound, home, quoted]),
        ({"product_code": "home"}, [home]),
        ({"state": pb.Quote.STATE_BOUND}, [bound]),
        ({"policy_id": policy_id}, [bound]),
        ({"group_id": home.group_id}, [home]),
        ({"quote_number": quoted.quote_number}, [quoted]),
        ({"kind": pb.Quote.KIND_RENEWAL}, []),
        ({"kind": pb.Quote.KIND_NEW_BUSINESS, "customer_id": theirs.customer_id}, [theirs]),
        ({"create_start_time": home.create_time, "create_end_time": theirs.create_time}, [bound, home]),
    ):
        assert house.listed(underwriter, **fields) == quotes, fields
    assert house.listed(person, customer_id=theirs.customer_id) == []


def test_lines_of_prices_that_were_stored_without_are_written_once(house: House, person: Person) -> None:
    made = [house.create(person), house.create(person, risk(use="taxi")), house.create(person, risk(claims_5_years=5))]
    house.create(person, draft=True)
    before = house.rows("SELECT id, lines FROM quotes ORDER BY id")
    with psycopg.connect(house.url) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE quotes SET lines = NULL WHERE net IS NOT NULL")
    assert jobs.keep_lines(house.database, house.catalogue, house.calculators) == 3
    assert jobs.keep_lines(house.database, house.catalogue, house.calculators) == 0
    assert house.rows("SELECT id, lines FROM quotes ORDER BY id") == before
    assert house.get(person, made[0].quote_id) == made[0]


def test_of_many_commands_at_once_one_outcome_is_left(house: House, person: Person) -> None:
    for _ in range(3):
        made = house.create(person)
        commands = (
            lambda quote_id: house.accept(person, quote_id),
            lambda quote_id: house.withdraw(person, quote_id),
            lambda quote_id: house.update(person, quote_id, answers={**ANSWERS["motor"], "annual_km": 20000}),
            lambda quote_id: house.unaccept(person, quote_id),
        )

        def outcome(number: int, quote_id: str = made.quote_id, commands: Any = commands) -> pb.Quote | str:
            try:
                return commands[number % 4](quote_id)  # type: ignore[no-any-return]
            except grpc.RpcError as error:
                return reason_of(error)

        with ThreadPoolExecutor(8) as pool:
            outcomes = list(pool.map(outcome, range(8)))
        replies = {reply.etag: reply for reply in outcomes if isinstance(reply, pb.Quote)}
        refused = {reply for reply in outcomes if isinstance(reply, str)}
        assert refused <= {"QUOTE_STATE_INVALID", "QUOTE_ALREADY_ACCEPTED", "CONCURRENT_CHANGE"}
        last = house.get(person, made.quote_id)
        assert replies[last.etag] == last  # the last of a chain, each link of which was answered to one call
        assert len(replies) == sum(isinstance(reply, pb.Quote) for reply in outcomes)
        assert (
            last.revision
            == 1
            + house.rows(f"SELECT count(*) FROM quote_revisions WHERE quote_id = '{ids.decode('quo', made.quote_id)}'")[
                0
            ][0]
        )
