"""Quotes on a real server and a real database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import grpc
import psycopg
import pytest
from google.type import date_pb2, money_pb2
from prometheus_client import REGISTRY

from bazaruto.common.v1 import charge_pb2
from bazaruto.quotes.v1 import quote_pb2 as pb
from libs import ids
from libs.rpc import values
from services.quotes.quoting.store import quotes
from tests.integration.quotes.conftest import House, coverage, risk
from tests.support.errors import metadata_of, reason_of, violations_of
from tests.support.people import People, Person, new_key
from tests.unit.quotes.sold import ANSWERS, OBJECTS, calculator


def money(units: int, currency: str = "EUR", nanos: int = 0) -> money_pb2.Money:
    return money_pb2.Money(currency_code=currency, units=units, nanos=nanos)


def cents(amount: money_pb2.Money) -> int:
    return values.money_from_proto(amount).minor


def test_anybody_may_calculate_and_nothing_is_kept(house: House) -> None:
    reply = house.quotes.CalculateQuote(pb.CalculateQuoteRequest(risk=risk()))
    assert reply.product_version == 2
    assert [(insured.object_id, insured.identifier) for insured in reply.objects] == [
        ("vehicle_1", "AB-12-CD"),
        ("driver_1", ""),
    ]
    assert reply.decision == pb.UNDERWRITING_DECISION_APPROVED
    assert sum(cents(step.amount) for step in reply.steps) == cents(reply.premium.total)
    assert [rated_coverage.coverage_code for rated_coverage in reply.coverages] == ["third_party"]
    assert house.rows("SELECT count(*) FROM quotes") == [(0,)]


def test_calculation_shows_which_rule_refers_or_declines(house: House) -> None:
    declined = house.quotes.CalculateQuote(pb.CalculateQuoteRequest(risk=risk(claims_5_years=5)))
    referred = house.quotes.CalculateQuote(pb.CalculateQuoteRequest(risk=risk(use="taxi")))
    assert declined.decision == pb.UNDERWRITING_DECISION_DECLINED
    assert [reason.rule_code for reason in declined.underwriting_reasons] == ["too_many_claims"]
    assert referred.decision == pb.UNDERWRITING_DECISION_REFERRED
    assert cents(referred.premium.total) > 0
    assert not declined.HasField("premium")
    assert list(declined.steps) == []


def test_created_quote_is_complete_and_reads_the_same(house: House, person: Person) -> None:
    coverages = [coverage("own_damage", deductible=money(250)), coverage("roadside")]
    made = house.create(person, risk(coverages=coverages))
    start = values.date_from_proto(made.start_date, "")
    assert made.state == pb.Quote.STATE_QUOTED
    assert made.quote_number == f"Q-{datetime.now(ZoneInfo('Europe/Lisbon')).year}-000001"
    assert made.user_id == person.user_id
    assert values.date_from_proto(made.end_date, "") == start.replace(year=start.year + 1)
    assert dict(made.answers.items()) == ANSWERS["motor"]
    car, driver = (values.insured_object_from_proto(insured) for insured in made.objects)
    assert (car.id, car.fields, car.identifier) == ("vehicle_1", OBJECTS["motor"][0].fields, "AB-12-CD")
    assert (driver.id, driver.fields, driver.identifier) == ("driver_1", OBJECTS["motor"][1].fields, "")
    assert made.coverages[0].limit == money(1300000)
    assert made.coverages[1].deductible == money(250)
    assert (list(made.plan_codes), list(made.plan_installments)) == (["annual", "quarterly", "monthly"], [1, 4, 12])
    assert made.time_zone == "Europe/Lisbon"
    assert cents(made.premium.net) + cents(made.premium.tax) + cents(made.premium.fees) == cents(made.premium.total)
    assert made.valid_until_time.ToDatetime(UTC) - made.create_time.ToDatetime(UTC) == timedelta(days=30)
    assert house.get(person, made.quote_id) == made


def test_quote_says_what_its_price_is_made_of(house: House, person: Person) -> None:
    made = house.create(person, risk(coverages=[coverage("own_damage"), coverage("roadside")]))
    assert [
        (charge_pb2.ChargeLine.Kind.Name(line.kind), line.coverage_code or line.charge_code, line.object_id)
        for line in made.premium.lines
    ] == [
        ("KIND_PREMIUM", "third_party", "vehicle_1"),
        ("KIND_PREMIUM", "own_damage", "vehicle_1"),
        ("KIND_PREMIUM", "roadside", "vehicle_1"),
        ("KIND_TAX", "premium_tax", ""),
        ("KIND_TAX", "medical_emergency_levy", ""),
        ("KIND_FEE", "policy_fee", ""),
    ]
    assert sum(cents(line.amount) for line in made.premium.lines) == cents(made.premium.total)
    premium, tax = made.premium.lines[0], made.premium.lines[3]
    assert (premium.start_date, premium.end_date) == (made.start_date, made.end_date)
    assert (tax.start_date, tax.end_date) == (made.start_date, made.start_date)
    assert (made.customer_id[4:], made.kind, made.revision) == (made.user_id[4:], pb.Quote.KIND_NEW_BUSINESS, 1)


def test_quote_of_a_program_that_knew_no_lines_is_read_with_them(house: House, person: Person) -> None:
    made = house.create(person, risk(coverages=[coverage("theft")]))
    with psycopg.connect(house.url) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE quotes SET lines = NULL")
    assert house.get(person, made.quote_id) == made
    assert _list(house, person).quotes == [made]


def test_object_that_the_product_does_not_insure_is_refused(house: House, person: Person) -> None:
    asked = risk()
    asked.objects.add(object_code="boat", object_id="boat_1")
    with pytest.raises(grpc.RpcError) as caught:
        house.create(person, asked)
    assert reason_of(caught.value) == "OBJECT_INVALID"
    assert metadata_of(caught.value) == {"object": "boat_1", "field": "object_code"}
    assert house.rows("SELECT count(*) FROM quotes") == [(0,)]


def test_cover_begins_today_where_no_start_is_asked_for(house: House, person: Person) -> None:
    asked = risk("travel", trip_days=10)
    asked.ClearField("start_date")
    made = house.create(person, asked)
    start = values.date_from_proto(made.start_date, "")
    assert start == made.create_time.ToDatetime(UTC).astimezone(ZoneInfo("Africa/Maputo")).date()
    assert values.date_from_proto(made.end_date, "") == start + timedelta(days=10)
    assert made.premium.total.currency_code == "USD"


def test_stored_quote_is_rated_again_to_the_same_breakdown(house: House, person: Person) -> None:
    made = house.create(person, risk("home", coverages=[coverage("natural_perils"), coverage("contents")]))
    with house.database.reading() as session:
        stored = quotes.find(session, ids.decode("quo", made.quote_id))
    assert stored is not None
    assert stored.starts_on is not None
    assert (
        calculator("home").tariff.rate(stored.answers, stored.coverages, stored.starts_on, stored.objects)
        == stored.price
    )


@pytest.mark.parametrize(
    ("asked", "reason", "metadata"),
    [
        (risk("boat"), "PRODUCT_NOT_AVAILABLE", {"product": "boat"}),
        (risk(licence_years=None), "ANSWER_INVALID", {"question": "licence_years"}),
        (risk(licence_years=81), "ANSWER_INVALID", {"question": "licence_years"}),
        (risk(licence_years=4.5), "ANSWER_INVALID", {"question": "licence_years"}),
        (risk(licence_years="4"), "ANSWER_INVALID", {"question": "licence_years"}),
        (risk(region="moon"), "ANSWER_INVALID", {"question": "region"}),
        (risk(garage={"a": True}), "ANSWER_INVALID", {"question": "garage"}),
        (risk(garage=[True]), "ANSWER_INVALID", {"question": "garage"}),
        (risk(colour="red"), "ANSWER_INVALID", {"question": "colour"}),
        (risk(coverages=[coverage("hail")]), "COVERAGE_INVALID", {"coverage": "hail"}),
        (
            risk(coverages=[coverage("theft", deductible=money(1))]),
            "COVERAGE_INVALID",
            {"coverage": "theft"},
        ),
        (
            risk(coverages=[coverage("third_party", limit=money(5000000, "USD"))]),
            "CURRENCY_MISMATCH",
            {"expected": "EUR", "actual": "USD"},
        ),
        (risk(coverages=[coverage("third_party", limit=money(5, nanos=1))]), "AMOUNT_INVALID", {}),
    ],
)
def test_risk_that_cannot_be_priced(
    house: House, person: Person, asked: pb.Risk, reason: str, metadata: dict[str, str]
) -> None:
    for call in (
        lambda: house.quotes.CalculateQuote(pb.CalculateQuoteRequest(risk=asked)),
        lambda: house.create(person, asked),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            call()
        assert (reason_of(caught.value), metadata_of(caught.value)) == (reason, metadata)
    assert house.rows("SELECT count(*) FROM quotes") == [(0,)]


@pytest.mark.parametrize("ahead", [-2, 62])
def test_start_date_outside_of_its_range(house: House, ahead: int) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        house.quotes.CalculateQuote(pb.CalculateQuoteRequest(risk=risk(ahead=ahead)))
    assert reason_of(caught.value) == "START_DATE_INVALID"
    assert set(metadata_of(caught.value)) == {"earliest", "latest"}


def test_start_date_that_is_no_day_names_its_field(house: House) -> None:
    asked = risk()
    asked.start_date.CopyFrom(date_pb2.Date(year=2027, month=2, day=30))
    with pytest.raises(grpc.RpcError) as caught:
        house.quotes.CalculateQuote(pb.CalculateQuoteRequest(risk=asked))
    assert violations_of(caught.value) == {"risk.start_date": "is not a day of the calendar"}


def test_creating_needs_a_user(house: House, policies: Person) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        house.quotes.CreateQuote(pb.CreateQuoteRequest(risk=risk()))
    assert reason_of(caught.value) == "TOKEN_INVALID"
    with pytest.raises(grpc.RpcError) as caught:
        house.create(policies)
    assert reason_of(caught.value) == "ACCESS_DENIED"


def test_same_key_returns_the_first_quote(house: House, person: Person) -> None:
    key, asked = new_key(), risk()
    first = house.create(person, asked, idempotency_key=key)
    assert house.create(person, asked, idempotency_key=key) == first
    assert house.create(person, asked) != first
    with pytest.raises(grpc.RpcError) as caught:
        house.create(person, risk(annual_km=20000), idempotency_key=key)
    assert reason_of(caught.value) == "IDEMPOTENCY_KEY_REUSED"
    assert house.rows("SELECT count(*) FROM quotes") == [(2,)]


def test_referred_and_declined_risks_are_kept_with_their_reasons(house: House, person: Person) -> None:
    referred = house.create(person, risk(claims_5_years=3))
    declined = house.create(person, risk(claims_5_years=5))
    assert referred.state == pb.Quote.STATE_REFERRED
    assert [reason.rule_code for reason in referred.underwriting_reasons] == ["frequent_claims"]
    assert declined.state == pb.Quote.STATE_DECLINED
    assert house.get(person, declined.quote_id) == declined
    assert (referred.indicative, declined.indicative) == (True, False)


def test_quotes_of_others_do_not_exist(house: House, people: People, person: Person) -> None:
    made = house.create(person)
    stranger = people.customer()
    errors = []
    for quote_id in (made.quote_id, ids.encode("quo", ids.new())):
        for call in (house.get, house.accept):
            with pytest.raises(grpc.RpcError) as caught:
                call(stranger, quote_id)
            errors.append((reason_of(caught.value), metadata_of(caught.value), caught.value.details()))
    assert set(map(str, errors)) == {str(errors[0])}
    assert errors[0][:2] == ("RESOURCE_NOT_FOUND", {"resource": "quote"})
    assert house.get(people.admin(), made.quote_id) == made
    assert house.get(people.service("policies"), made.quote_id) == made


def _list(house: House, who: Person, **fields: Any) -> pb.ListQuotesResponse:
    return house.quotes.ListQuotes(pb.ListQuotesRequest(**fields), metadata=who.metadata())


def test_own_quotes_are_listed_newest_first_in_pages(house: House, people: People, person: Person) -> None:
    made = [house.create(person) for _ in range(3)]
    house.create(people.customer())
    first = _list(house, person, page_size=2)
    second = _list(house, person, page_size=2, page_token=first.next_page_token)
    assert [*first.quotes, *second.quotes] == made[::-1]
    assert second.next_page_token == ""
    assert len(_list(house, people.admin()).quotes) == 4


def test_list_by_state_goes_by_the_clock(house: House, person: Person) -> None:
    quoted = house.create(person).quote_id
    accepted = house.accept(person, house.create(person).quote_id).quote_id
    lapsed = {house.past(person, 40), house.past(person, 40, accepted=True), house.past(person, 40, use="taxi")}
    states = {
        state: {quote.quote_id for quote in _list(house, person, state=state).quotes}
        for state in (pb.Quote.STATE_QUOTED, pb.Quote.STATE_ACCEPTED, pb.Quote.STATE_REFERRED, pb.Quote.STATE_EXPIRED)
    }
    assert list(states.values()) == [{quoted}, {accepted}, set(), lapsed]


@pytest.mark.parametrize("token", ["x", "WyJhIiwgImIiXQ", "bnVsbA"])
def test_page_token_that_was_not_made_here(house: House, person: Person, token: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        _list(house, person, page_token=token)
    assert reason_of(caught.value) == "PAGE_TOKEN_INVALID"


def test_page_token_belongs_to_its_filter_and_caller(house: House, people: People, person: Person) -> None:
    for _ in range(2):
        house.create(person)
    token = _list(house, person, page_size=1).next_page_token
    for who, fields in ((person, {"state": pb.Quote.STATE_QUOTED}), (people.customer(), {})):
        with pytest.raises(grpc.RpcError) as caught:
            _list(house, who, page_token=token, **fields)
        assert reason_of(caught.value) == "PAGE_TOKEN_INVALID"


@pytest.mark.parametrize(
    "change",
    [
        "net = 1",
        "objects = '[]', revision = 3",
        "steps = '[]'",
        "answers = '{}'",
        "valid_until = now() + interval '1 year'",
        "product_version = 3",
    ],
)
def test_what_a_quote_offers_changes_with_its_revision_only(house: House, person: Person, change: str) -> None:
    house.create(person)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        house.rows(f"UPDATE quotes SET {change} RETURNING id")


@pytest.mark.parametrize(
    "change", ["state = 'accepted'", "state = 'bound'", "state = 'sold'", "revision = 2, net = NULL"]
)
def test_database_refuses_states_that_contradict_themselves(house: House, person: Person, change: str) -> None:
    house.create(person)
    with pytest.raises(psycopg.errors.CheckViolation):
        house.rows(f"UPDATE quotes SET {change} RETURNING id")


def test_calculations_are_counted_by_product(house: House) -> None:
    def counted() -> float:
        labels = {"product_type": "travel"}
        return REGISTRY.get_sample_value("bazaruto_quote_calculation_duration_seconds_count", labels) or 0

    before = counted()
    house.quotes.CalculateQuote(pb.CalculateQuoteRequest(risk=risk("travel")))
    with pytest.raises(grpc.RpcError):
        house.quotes.CalculateQuote(pb.CalculateQuoteRequest(risk=risk("boat")))
    assert counted() == before + 1
    assert REGISTRY.get_sample_value(
        "bazaruto_quote_calculation_duration_seconds_bucket", {"product_type": "travel", "le": "2.0"}
    )


@pytest.mark.parametrize(
    ("change", "name", "field"),
    [
        (lambda asked: asked.ClearField("objects"), "vehicle", "object_code"),
        (lambda asked: asked.objects.add().CopyFrom(asked.objects[0]), "vehicle_2", "plate"),
        (lambda asked: asked.objects[0].fields.update({"plate": "ab-12-cd"}), "vehicle_1", "plate"),
        (lambda asked: asked.objects[0].fields.update({"value": 18000.5}), "vehicle_1", "value"),
        (lambda asked: asked.objects[0].fields.update({"value": "18000.001"}), "vehicle_1", "value"),
        (lambda asked: asked.objects[0].fields.update({"colour": "red"}), "vehicle_1", "colour"),
        (
            lambda asked: asked.objects[0].fields.update({"first_registered": "2099-01-01"}),
            "vehicle_1",
            "first_registered",
        ),
        (lambda asked: asked.objects[1].fields.update({"date_of_birth": "2020-01-01"}), "driver_1", "date_of_birth"),
        (lambda asked: asked.objects[1].fields.update({"date_of_birth": {"year": 1992}}), "driver_1", "date_of_birth"),
    ],
)
def test_object_that_is_wrong_is_refused_with_its_field(
    house: House, person: Person, change: Callable[[pb.Risk], object], name: str, field: str
) -> None:
    asked = risk()
    change(asked)
    with pytest.raises(grpc.RpcError) as caught:
        house.create(person, asked)
    assert (reason_of(caught.value), metadata_of(caught.value)) == ("OBJECT_INVALID", {"object": name, "field": field})
    assert house.rows("SELECT count(*) FROM quotes") == [(0,)]


def test_answers_that_contradict_are_refused_with_the_check_and_its_questions(house: House, person: Person) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        house.create(person, risk(claims_5_years=1, claim_free_years=5))
    assert reason_of(caught.value) == "ANSWERS_CONTRADICT"
    assert metadata_of(caught.value) == {
        "check": "claims_in_free_years",
        "questions": "claims_5_years, claim_free_years",
    }
    assert caught.value.details() == "There cannot have been a claim in the last five years and none for five years."
    assert house.rows("SELECT count(*) FROM quotes") == [(0,)]


@pytest.mark.parametrize("what", ["question", "coverage", "currency"])
def test_long_words_of_the_caller_are_refused_and_not_echoed_whole(house: House, what: str) -> None:
    word = "x" * 50_000
    if what == "question":
        asked = risk(**{word: 1})  # type: ignore[arg-type]
    elif what == "coverage":
        asked = risk(coverages=[coverage(word)])
    else:
        asked = risk(coverages=[coverage("liability", limit=money_pb2.Money(currency_code=word, units=1))])
    with pytest.raises(grpc.RpcError) as refused:
        house.quotes.CalculateQuote(pb.CalculateQuoteRequest(risk=asked))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert len(refused.value.details() or "") < 600
