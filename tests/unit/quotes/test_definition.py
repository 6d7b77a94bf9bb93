"""Everything that a product file can say, and what is refused of it, with key, line and reason."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from libs.money import Money
from libs.premium import Coverage, InsuredObject
from services.quotes.catalogue.adapters.reading import Document, read
from services.quotes.catalogue.adapters.source import parse, read_source
from services.quotes.catalogue.rules.definition import DefinitionError, Fault
from services.quotes.catalogue.rules.servicing import Cancellation, DunningStep, Tax
from services.quotes.rating.rules.answers import AnswerInvalid
from services.quotes.rating.rules.pricing import Risk, compile_tariff
from tests.unit.quotes import fleet

PRODUCT = read(fleet.fleet())


def test_all_rules_of_a_file_are_kept_with_the_product() -> None:
    assert PRODUCT.taxes[0] == Tax("premium_tax", Decimal("0.09"), "net", (), date(2026, 1, 1), "PT-AT")
    assert PRODUCT.fees[0].when == ("new_business", "renewal")
    assert (PRODUCT.cover.starts, PRODUCT.cover.backdating_days) == ("on_payment", {"agent": 0, "underwriter": 30})
    assert PRODUCT.underwriting[0].level == 3
    assert PRODUCT.cancellation[0] == Cancellation(
        "insured_request",
        ("customer", "agent"),
        "short_rate",
        Decimal("0.90"),
        minimum_earned=Decimal("0.25"),
    )
    assert PRODUCT.cancellation[3].table == {"1": Decimal("0.25"), "75": Decimal("0.31"), "338": Decimal("0.95")}
    assert PRODUCT.change is not None
    assert PRODUCT.change.by == ("customer", "agent")
    assert PRODUCT.renewal is not None
    assert PRODUCT.renewal.cover == "in_grace"
    assert PRODUCT.reinstatement is not None
    assert PRODUCT.reinstatement.window_days == 30
    assert PRODUCT.dunning is not None
    assert PRODUCT.dunning.steps[-1] == DunningStep(30, "lapse")
    assert PRODUCT.billing is not None
    assert PRODUCT.billing.plans[0].down_payment == Decimal("0.20")
    assert PRODUCT.claims is not None
    assert PRODUCT.claims.coverages["liability"].aggregate == "term"
    assert PRODUCT.claims.underinsurance["own_damage"].clause == Decimal("0.80")


def test_golden_risk_of_a_file_costs_what_it_says() -> None:
    (golden,) = PRODUCT.golden_risks
    coverages = [
        Coverage(chosen.code, None, Money.parse(str(chosen.deductible), "EUR") if chosen.deductible else None)
        for chosen in golden.coverages
    ]
    objects = [InsuredObject("", insured.code, insured.fields) for insured in golden.objects]
    price = (
        compile_tariff(PRODUCT).price_from(Risk(golden.answers, coverages, objects=objects), golden.start_date).price
    )
    assert price.total == Money.parse(str(golden.expected_total), "EUR").minor


@pytest.mark.parametrize(
    ("change", "message"),
    [
        # Questions
        (lambda d: d["questions"][0].pop("text"), "questions[0].text: is missing"),
        (lambda d: d["questions"][0].update(minimum="0.5"), "questions[0]: has a minimum and a maximum that are whole"),
        (lambda d: d["questions"][1].update(places=7), "questions[1].places: are from 0 to 6"),
        (lambda d: d["questions"][1].update(minimum="0.01"), "questions[1]: 0.01 has more than 1 decimal places"),
        (lambda d: d["questions"][2].pop("maximum"), "questions[2]: needs a minimum and a maximum"),
        (lambda d: d["questions"][2].update(maximum="1.001"), "questions[2]: 1.001 has more than 2 decimal places"),
        (lambda d: d["questions"][3].update(minimum=1), "questions[3]: has no minimum or maximum"),
        (lambda d: d["questions"][3].update(pattern="x"), "questions[3].pattern: is what a text question can have"),
        (lambda d: d["questions"][5].update(maximum_length=201), "questions[5].maximum_length: is from 1 to 200"),
        (lambda d: d["questions"][5].update(pattern="(a+)+"), "questions[5].pattern: takes characters, classes"),
        (lambda d: d["questions"][5].update(pattern="a*a*a*b"), "questions[5].pattern: can be tried in too many ways"),
        (lambda d: d["questions"][5].update(pattern="[z-a]"), "questions[5].pattern: is no pattern"),
        (lambda d: d["questions"][5].update(pattern="a" * 201), "questions[5].pattern: has more than 200 characters"),
        # Objects
        (lambda d: d["objects"][0].update(maximum=0), "objects[0]: needs a minimum and a maximum from 1 to 100"),
        (lambda d: d["objects"][0].update(maximum=101), "objects[0]: needs a minimum and a maximum from 1 to 100"),
        (lambda d: d["objects"][0].update(identifier="vin"), "objects[0].identifier: 'vin' is not one of its fields"),
        (lambda d: d["objects"][0].update(identifier="fuel"), "objects[0].identifier: is a text or an integer"),
        (lambda d: d["objects"][0].update(fields=[]), "objects[0].fields: must have an entry"),
        (lambda d: d["objects"][0].update(colour="red"), "objects[0].colour: unknown key"),
        (lambda d: d["objects"][0]["fields"][0].update(type="colour"), "objects[0].fields[0].type: "),
        (lambda d: d["objects"][1]["fields"][0].update(code="date_of_birth"), "'date_of_birth' is there twice"),
        (lambda d: d["coverages"][1].update(covers="boat"), "coverages[1].covers: 'boat' is not a kind of object"),
        (lambda d: d["objects"][1].update(minimum=0), "coverages[2].covers: 'driver' is not a kind of object of which"),
        # Derived values and checks
        (lambda d: d["derive"][0].update(years_since="vehicle.age"), "derive[0].years_since: 'vehicle.age'"),
        (lambda d: d["derive"][0].update(years_since="licence_years"), "derive[0].years_since: 'licence_years'"),
        (lambda d: d["derive"][0].update(count="vehicle"), "derive[0]: takes either years_since or count"),
        (lambda d: d["derive"][0].update(minimum=41), "derive[0]: needs a minimum of 0 or more"),
        (lambda d: d["derive"][0].update(code="km"), "derive[0].code: 'km' is a question"),
        (lambda d: d["derive"][3].update(count="boat"), "derive[3].count: 'boat' is not a kind of object"),
        (lambda d: d["derive"][3].update(take="lowest"), "derive[3].take: goes with years_since"),
        (lambda d: d["derive"][3].update(when={"age": {"at_least": 1}}), "derive[3].when: looks at each driver"),
        (lambda d: d["derive"][3].update(when={"driver_age": {"at_least": 20}}), "'driver_age' is derived of all"),
        (
            lambda d: d["derive"].append({"code": "y", "years_since": "last_claim", "take": "lowest"}),
            "derive[4].take: ",
        ),
        (lambda d: d["checks"][0].update(refuse={}), "checks[0].refuse: is missing"),
        (
            lambda d: d["checks"][0]["refuse"]["licence_years"].update(more_than={"question": "old"}),
            "checks[0].refuse.licence_years: 'old' is not a question",
        ),
        (
            lambda d: d["checks"][0]["refuse"]["licence_years"].update(more_than={"question": "km"}),
            "checks[0].refuse.licence_years: 'km' has another type",
        ),
        (
            lambda d: d["checks"][2]["refuse"].update(age={"at_least": 80}),
            "checks[2].refuse: looks at objects of several kinds: driver, vehicle",
        ),
        (lambda d: d["checks"][0]["refuse"].update(note={"equals": "x"}), "checks[0].refuse.note: is not a question"),
        # Steps on objects
        (lambda d: d["rating"][3].update(by="age"), "rating[3].by: 'age' is of each driver"),
        (lambda d: d["rating"][3].update(coverages=["own_damage", "injury"]), "rating[3].by: 'vehicle_age' is of each"),
        (lambda d: d["rating"][1].update(of="vehicle.fuel"), "rating[1].of: 'vehicle.fuel' is not a number"),
        (lambda d: d["rating"][0].update(per=["km"]), "rating[0].per: 'km' is not a whole number"),
        (lambda d: d["rating"][6].update(by="age"), "rating[6].by: 'age' is of each driver"),
        (lambda d: d["rating"][7].update(when={"age": {"at_most": 21}}), "rating[7].when: looks at each driver"),
        (lambda d: d["rating"][6].update(table={"0.0..19.9": "1", "20.1..100.0": "1"}), "has no row for 200..200"),
        (lambda d: d["rating"][6].update(table={"0.00..100.00": "1", "7.05": "1"}), "has more than 1 decimal places"),
        # Taxes and fees
        (lambda d: d["taxes"][0].update(rate="1"), "taxes[0].rate: must be from 0 to below 1"),
        (lambda d: d["taxes"][0].update(on="gross"), "taxes[0].on: "),
        (lambda d: d["taxes"][1].update(coverages=["hull"]), "taxes[1].coverages: 'hull' is not a coverage"),
        (lambda d: d["taxes"].append(d["taxes"][0]), "taxes[2].valid_from: 'premium_tax' has another rate"),
        (lambda d: d["taxes"][1].update(code="premium_tax"), "taxes[0].coverages: differ from those of another rate"),
        (lambda d: d["rating"].append({"name": "t", "kind": "tax", "rate": "0.1"}), "taxes: stand there, or among"),
        (lambda d: d["rating"].append({"name": "f", "kind": "fee", "amount": "1"}), "fees: stand there, or among"),
        (lambda d: d["fees"][0].update(amount="1.001"), "fees[0].amount: must be an amount in EUR"),
        (lambda d: d["fees"][0].update(code="premium_tax"), "fees[0].code: 'premium_tax' is a tax"),
        (lambda d: d["fees"][0].update(when=[]), "fees[0].when: names each occasion once"),
        (lambda d: d["fees"][1].update(when=["installment", "renewal"]), "fees[1].when: is in the price, or charged"),
        # Sold policies
        (lambda d: d["cover"].update(latest_days=366), "cover.latest_days: must be from 0 to 365"),
        (lambda d: d["cover"].update(starts="now"), "cover.starts: "),
        (lambda d: d["cover"]["backdating_days"].update(underwriter=-1), "cover.backdating_days.underwriter: must be"),
        (lambda d: d["cover"]["backdating_days"].update(king=1), "cover.backdating_days.king: "),
        (lambda d: d["change"].update(by=[]), "change.by: must name somebody"),
        (lambda d: d["cancellation"][0].pop("rate"), "cancellation[0].rate: is what the method short_rate has"),
        (lambda d: d["cancellation"][1].update(rate="0.5"), "cancellation[1].rate: is what the method short_rate has"),
        (lambda d: d["cancellation"][1].update(minimum_earned="0.5"), "cancellation[1].minimum_earned: means nothing"),
        (lambda d: d["cancellation"][1].update(notice_days=3), "cancellation[1].notice_days: cannot go with"),
        (lambda d: d["cancellation"][1].update(by=[]), "cancellation[1].by: must name somebody"),
        (lambda d: d["cancellation"][2].update(reason="cooling_off"), "cancellation[2].reason: 'cooling_off' is there"),
        (lambda d: d["cancellation"][3].pop("table"), "cancellation[3].table: is what the method table has"),
        (lambda d: d["cancellation"][3]["table"].update({"80": "0.30"}), "cancellation[3].table: keeps shares"),
        (lambda d: d["cancellation"][3]["table"].pop("1"), "cancellation[3].table: must begin with day 0 or 1"),
        (
            lambda d: d["cancellation"][3]["table"].update({"366": "1"}),
            "cancellation[3].table: has a day from 0 to 365",
        ),
        (lambda d: d["cancellation"][3]["table"].update({"soon": "1"}), "the row 'soon' is not a band"),
        (lambda d: d["renewal"].update(offer_days=0), "renewal.offer_days: must be from 1 to 365"),
        (lambda d: d["renewal"].pop("auto"), "renewal.auto: is missing"),
        (lambda d: d["reinstatement"].update(window_days=0), "reinstatement.window_days: must be from 1"),
        (lambda d: d["dunning"]["steps"].pop(), "dunning.steps: end with the one lapse"),
        (lambda d: d["dunning"].update(grace_days=20), "dunning.steps: go up from day 0 to the last day of grace"),
        (lambda d: d["dunning"]["steps"].reverse(), "dunning.steps: go up"),
        (lambda d: d["billing"].update(billed_ahead_days=-1), "billing.billed_ahead_days: must be from 0"),
        (lambda d: d["billing"]["plans"][0].update(code="weekly"), "billing.plans[0].code: 'weekly' is not a plan"),
        (lambda d: d["billing"]["plans"][0].update(installments=11), "billing.plans[0].installments: are 12"),
        (lambda d: d["billing"]["plans"][0].update(down_payment="1"), "billing.plans[0].down_payment: must be from 0"),
        (
            lambda d: d["billing"]["plans"][0].update(fee="policy_fee"),
            "billing.plans[0].fee: 'policy_fee' is not a fee",
        ),
        (
            lambda d: d["billing"]["plans"].append({"code": "annual", "installments": 1, "down_payment": "0.5"}),
            "billing.plans[1].down_payment: goes with two installments",
        ),
        (lambda d: d["claims"].update(causes=[]), "claims.causes: must have an entry"),
        (lambda d: d["claims"]["causes"].append("theft"), "claims.causes[2]: 'theft' is no code, or there twice"),
        (lambda d: d["claims"]["coverages"].update(hull={}), "claims.coverages.hull: is not a coverage"),
        (
            lambda d: d["claims"]["coverages"].update(injury={"aggregate": "term"}),
            "claims.coverages.injury.aggregate: needs a coverage with limits",
        ),
        (
            lambda d: d["claims"]["coverages"]["liability"].update(insurer_share="1.01"),
            "claims.coverages.liability.insurer_share: must be above 0",
        ),
        (
            lambda d: d["claims"]["coverages"]["liability"].update(initial_reserve="-1"),
            "claims.coverages.liability.initial_reserve: must be an amount",
        ),
        (lambda d: d["claims"]["underinsurance"].update(hull={"clause": "1"}), "claims.underinsurance.hull: is not"),
        (
            lambda d: d["claims"]["underinsurance"]["own_damage"].update(clause="0"),
            "claims.underinsurance.own_damage.clause: must be above 0",
        ),
        (lambda d: d["claims"].update(report_within_days=0), "claims.report_within_days: must be from 1"),
        (
            lambda d: d["claims"]["approval"].update(second_above="-5"),
            "claims.approval.second_above: must be an amount",
        ),
        # Golden risks
        (lambda d: d["golden_risks"][0]["answers"].pop("km"), "golden_risks[0].answers.km: has no answer"),
        (lambda d: d["golden_risks"][0]["answers"].update(x=1), "golden_risks[0].answers.x: is not a question"),
        (lambda d: d["golden_risks"][0]["objects"][0].update(code="boat"), "golden_risks[0].objects[0].code: 'boat'"),
        (lambda d: d["golden_risks"][0]["objects"][0]["fields"].pop("plate"), "objects[0].fields.plate: is missing"),
        (lambda d: d["golden_risks"][0]["coverages"][0].update(code="x"), "golden_risks[0].coverages[0].code: 'x'"),
        (lambda d: d["golden_risks"][0].update(expected_total="-1"), "golden_risks[0].expected_total: must be"),
        (lambda d: d["golden_risks"].append(d["golden_risks"][0]), "golden_risks[1].name: 'two cars' is there twice"),
    ],
)
def test_rule_that_cannot_be_meant_is_refused(change: Callable[[Document], object], message: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        read(fleet.fleet(change))
    assert message in str(caught.value)


def test_renewal_of_a_term_of_days_is_refused() -> None:
    def change(document: Document) -> None:
        document["term"] = {"days": "licence_years"}
        document["questions"][0]["minimum"] = 1
        document["plans"][1]["installments"] = 1

    with pytest.raises(DefinitionError, match="renewal: is for terms of years"):
        read(fleet.fleet(change))


def test_each_fault_of_a_file_has_its_key_and_line() -> None:
    text = fleet.TEXT.replace("offer_days: 45", "offer_days: 0").replace("rate: 0.90", "rate: 1.90")
    with pytest.raises(DefinitionError) as caught:
        read_source(parse(text))
    assert caught.value.faults == [
        Fault("cancellation[0].rate", "must be from 0 to 1", _line("  - {reason: insured_request")),
        Fault("renewal.offer_days", "must be from 1 to 365", _line("renewal:")),
    ]


def test_what_has_another_shape_is_named_once_with_its_line() -> None:
    text = fleet.TEXT.replace("  partial: false", "  partial: maybe").replace("minimum: 0.0,", "minimum: none,")
    with pytest.raises(DefinitionError) as caught:
        read_source(parse(text))
    assert [(fault.key, fault.line) for fault in caught.value.faults] == [
        ("questions[1].minimum", _line("  - {code: km")),
        ("billing.partial", _line("  partial: false")),
    ]


def test_what_is_missing_has_the_line_of_what_it_is_missing_from() -> None:
    text = fleet.TEXT.replace("code: date_of_birth, type: date", "code: date_of_birth")
    with pytest.raises(DefinitionError) as caught:
        read_source(parse(text))
    assert caught.value.faults == [
        Fault("objects[1].fields[1].type", "is missing", _line("      - {code: date_of_birth"))
    ]


def _line(beginning: str) -> int:
    """The line of the file that begins so."""
    return fleet.TEXT[: fleet.TEXT.index(f"\n{beginning}") + 1].count("\n") + 1


def test_no_pattern_takes_long() -> None:
    def change(document: Document) -> None:
        document["questions"][5]["pattern"] = "[a-z]*[a-z]*b"

    tariff = fleet.tariff(change)
    began = time.perf_counter()
    with pytest.raises(AnswerInvalid, match="takes text such as"):
        tariff.check_answers(fleet.ANSWERS | {"note": "a" * 199 + "1"})
    assert time.perf_counter() - began < 0.5


def test_plate_of_a_golden_risk_may_look_like_a_number() -> None:
    assert PRODUCT.golden_risks[0].objects[0].fields["plate"] == "1E10"


def test_product_without_rules_of_sold_policies_has_none() -> None:
    def change(document: Document) -> None:
        for key in ("cover", "change", "cancellation", "renewal", "reinstatement", "dunning", "billing", "claims"):
            document.pop(key)

    product = read(fleet.fleet(change))
    assert (product.change, product.dunning, product.cancellation) == (None, None, ())
    assert replace(PRODUCT, cover=product.cover).cover.latest_days == 60
