"""Drafts and changed quotes on a real server and a real database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from bazaruto.quotes.v1 import quote_pb2 as pb
from libs.rpc import values
from tests.integration.quotes.conftest import House, coverage, risk
from tests.support.errors import metadata_of, reason_of, violations_of
from tests.support.people import People, Person, new_key
from tests.unit.quotes.sold import ANSWERS


def draft(house: House, person: Person, **answers: Any) -> pb.Quote:
    """A draft of which only these answers are known."""
    asked = pb.Risk(product_code="motor")
    asked.answers.update(answers)
    return house.create(person, asked, draft=True)


def with_object(code: str, fields: dict[str, Any]) -> pb.Risk:
    """A car to be insured of which only these fields are known."""
    asked = pb.Risk(product_code="motor")
    asked.objects.add(object_code=code).fields.update(fields)
    return asked


def test_draft_takes_what_is_known_and_has_no_price(house: House, person: Person) -> None:
    made = draft(house, person, licence_years=12)
    assert made.state == pb.Quote.STATE_DRAFT
    assert dict(made.answers.items()) == {"licence_years": 12}
    assert not any(made.HasField(name) for name in ("premium", "start_date", "end_date"))
    assert (list(made.steps), made.indicative, made.revision) == ([], False, 1)
    assert house.get(person, made.quote_id) == made
    listed = house.quotes.ListQuotes(pb.ListQuotesRequest(state=pb.Quote.STATE_DRAFT), metadata=person.metadata())
    assert list(listed.quotes) == [made]


@pytest.mark.parametrize(
    ("answers", "question"), [({"licence_years": 81}, "licence_years"), ({"colour": "red"}, "colour")]
)
def test_draft_refuses_an_answer_that_is_wrong(
    house: House, person: Person, answers: dict[str, Any], question: str
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        draft(house, person, **answers)
    assert (reason_of(caught.value), metadata_of(caught.value)) == ("ANSWER_INVALID", {"question": question})
    assert house.rows("SELECT count(*) FROM quotes") == [(0,)]


@pytest.mark.parametrize(
    ("code", "fields", "field"),
    [
        ("vehicle", {"plate": ["AA-00-BB"]}, "plate"),
        ("vehicle", {"plate": {"number": 1}}, "plate"),
        ("vehicle", {"value": "1e4"}, "value"),
        ("vehicle", {"colour": "red"}, "colour"),
        ("boat", {}, "object_code"),
    ],
)
def test_draft_refuses_an_object_that_is_wrong(
    house: House, person: Person, code: str, fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        house.create(person, with_object(code, fields), draft=True)
    assert (reason_of(caught.value), metadata_of(caught.value)["field"]) == ("OBJECT_INVALID", field)
    assert house.rows("SELECT count(*) FROM quotes") == [(0,)]


def test_draft_takes_objects_of_which_little_is_known(house: House, person: Person) -> None:
    made = house.create(person, with_object("vehicle", {"value": "18000.00", "plate": None}), draft=True)
    assert [(item.object_code, dict(item.fields.items())) for item in made.objects] == [
        ("vehicle", {"value": "18000.00"})
    ]


def test_draft_that_leaves_questions_open_is_not_priced(house: House, person: Person) -> None:
    made = draft(house, person, licence_years=12)
    with pytest.raises(grpc.RpcError) as caught:
        house.price(person, made.quote_id)
    assert reason_of(caught.value) == "QUOTE_INCOMPLETE"
    missing = metadata_of(caught.value)["questions"].split(",")
    assert missing == [code for code in ANSWERS["motor"] if code != "licence_years"]
    assert house.get(person, made.quote_id) == made


def test_draft_that_is_filled_in_is_priced_as_a_quote_that_was_made_at_once(house: House, person: Person) -> None:
    made = draft(house, person, licence_years=12)
    asked = risk(coverages=[coverage("theft")])
    filled = house.update(
        person,
        made.quote_id,
        answers=ANSWERS["motor"],
        coverages=asked.coverages,
        objects=asked.objects,
        start_date=asked.start_date,
    )
    assert (filled.state, filled.revision) == (pb.Quote.STATE_DRAFT, 2)
    key = new_key()
    priced = house.price(person, made.quote_id, idempotency_key=key)
    assert (priced.state, priced.revision) == (pb.Quote.STATE_QUOTED, 3)
    assert house.price(person, made.quote_id, idempotency_key=key) == priced
    assert priced.premium == house.create(person, asked).premium
    assert house.rows("SELECT revision, net IS NULL, answers FROM quote_revisions ORDER BY revision") == [
        (1, True, {"licence_years": 12}),
        (2, True, ANSWERS["motor"]),
    ]


@pytest.mark.parametrize("asked", [{}, {"use": "taxi"}])
def test_changed_quote_is_priced_anew_and_what_it_said_is_kept(
    house: House, person: Person, asked: dict[str, Any]
) -> None:
    made = house.create(person, risk(**asked))
    changed = house.update(person, made.quote_id, answers={**ANSWERS["motor"], "annual_km": 30000})
    assert (changed.state, changed.revision) == (pb.Quote.STATE_QUOTED, 2)
    assert changed.etag != made.etag
    assert changed.premium.total.units > 0
    assert changed.premium != made.premium
    assert (changed.quote_number, changed.create_time, changed.start_date) == (
        made.quote_number,
        made.create_time,
        made.start_date,
    )
    assert house.get(person, made.quote_id) == changed
    ((revision, total),) = house.rows("SELECT revision, net + tax + fees FROM quote_revisions")
    assert (revision, total) == (1, values.money_from_proto(made.premium.total).minor)


@pytest.mark.parametrize(
    ("answers", "state"), [({"use": "taxi"}, pb.Quote.STATE_REFERRED), ({"claims_5_years": 5}, pb.Quote.STATE_DECLINED)]
)
def test_change_may_refer_or_decline_a_quote(
    house: House, person: Person, answers: dict[str, Any], state: pb.Quote.State.ValueType
) -> None:
    made = house.create(person)
    changed = house.update(person, made.quote_id, answers={**ANSWERS["motor"], **answers})
    assert changed.state == state
    assert changed.HasField("premium") == changed.indicative == (state == pb.Quote.STATE_REFERRED)
    actions = [action for (action,) in house.rows("SELECT action FROM audit_events ORDER BY id")]
    assert actions == ["quote_updated", "quote_referred"][: 1 + changed.indicative]


def test_change_that_only_checks_answers_the_same_and_stores_nothing(house: House, person: Person) -> None:
    made = house.create(person)
    changes: dict[str, Any] = {"answers": {**ANSWERS["motor"], "annual_km": 30000}, "if_match": f'"{made.etag}"'}
    checked = house.update(person, made.quote_id, validate_only=True, idempotency_key=new_key(), **changes)
    assert house.get(person, made.quote_id) == made
    assert house.rows("SELECT count(*) FROM quote_revisions") == [(0,)]
    changed = house.update(person, made.quote_id, **changes)
    checked.ClearField("valid_until_time")
    changed.ClearField("valid_until_time")
    assert checked == changed


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"answers": {}}, "ANSWER_INVALID"),
        ({"coverages": [coverage("hail")]}, "COVERAGE_INVALID"),
        ({"start_date": values.date_to_proto(datetime(2020, 1, 1, tzinfo=UTC).date())}, "START_DATE_INVALID"),
        ({"product_code": "home"}, "INVALID_FIELD"),
        ({}, "INVALID_FIELD"),
        ({"answers": ANSWERS["motor"], "if_match": '"other"'}, "CONCURRENT_CHANGE"),
    ],
)
def test_change_that_is_refused_changes_nothing(
    house: House, person: Person, changes: dict[str, Any], reason: str
) -> None:
    made = house.create(person)
    with pytest.raises(grpc.RpcError) as caught:
        house.update(person, made.quote_id, **changes)
    assert reason_of(caught.value) == reason
    assert house.get(person, made.quote_id) == made


def test_field_that_cannot_be_changed_is_named(house: House, person: Person) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        house.update(person, house.create(person).quote_id, product_version=2)
    assert violations_of(caught.value) == {"quote.product_version": "cannot be changed"}


def test_accepted_and_expired_quotes_are_not_changed(house: House, person: Person) -> None:
    accepted = house.accept(person, house.create(person).quote_id).quote_id
    for quote_id, reason in ((accepted, "QUOTE_STATE_INVALID"), (house.past(person, 40), "QUOTE_EXPIRED")):
        for call in (house.price, lambda who, name: house.update(who, name, answers=ANSWERS["motor"])):
            with pytest.raises(grpc.RpcError) as caught:
                call(person, quote_id)
            assert reason_of(caught.value) == reason
            assert metadata_of(caught.value)["state"] in ("accepted", "expired")


def test_quote_of_somebody_else_is_not_changed(house: House, person: Person, people: People) -> None:
    made = house.create(person)
    for other in (people.customer(), people.admin(), people.service("policies")):
        with pytest.raises(grpc.RpcError) as caught:
            house.update(other, made.quote_id, answers=ANSWERS["motor"])
        assert reason_of(caught.value) == "RESOURCE_NOT_FOUND"
    assert house.get(person, made.quote_id) == made


def test_price_is_good_for_its_days_and_the_start_is_looked_at_when_it_is_accepted(
    house: House, person: Person
) -> None:
    soon = house.create(person, risk(ahead=1))
    assert soon.valid_until_time.ToDatetime(UTC) - soon.create_time.ToDatetime(UTC) == timedelta(days=30)
    quote_id = house.past(person, 10)
    assert house.get(person, quote_id).state == pb.Quote.STATE_QUOTED
    with pytest.raises(grpc.RpcError) as caught:
        house.accept(person, quote_id)
    assert reason_of(caught.value) == "START_DATE_INVALID"
    assert house.get(person, quote_id).state == pb.Quote.STATE_QUOTED
