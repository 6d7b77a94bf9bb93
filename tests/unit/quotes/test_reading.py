"""Product files are read strictly: whatever cannot be meant is refused, with its key named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from services.quotes.catalogue.adapters.reading import Document, read
from services.quotes.catalogue.flows import publishing
from services.quotes.catalogue.rules.definition import DefinitionError
from tests.unit.quotes.samples import small, tariff


def step(document: Document, name: str) -> Document:
    rating_step: Document = next(step for step in document["rating"] if step["name"] == name)
    return rating_step


@pytest.mark.parametrize(
    ("code", "plans"),
    [
        ("home", {"annual": 1, "quarterly": 4, "monthly": 12}),
        ("motor", {"annual": 1, "quarterly": 4, "monthly": 12}),
        ("travel", {"annual": 1}),
    ],
)
def test_shipped_products_offer_their_plans(code: str, plans: dict[str, int]) -> None:
    assert {plan.code: plan.installments for plan in tariff(code).product.plans} == plans


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(colour="red"), "colour: unknown key"),
        (lambda d: d["coverages"][1].update(colour="red"), "coverages[1].colour: unknown key"),
        (lambda d: d["rating"][3].update(tabel={}), "rating[3].tabel: unknown key"),
        (lambda d: d.pop("currency"), "currency: is missing"),
        (lambda d: d["questions"][0].pop("type"), "questions[0].type: is missing"),
        (lambda d: d.update(version="one"), "version: "),
        (lambda d: d.update(version=0), "version: must be 1 or more"),
        (lambda d: d.update(version=True), "version: "),
        (lambda d: d.update(code="Small"), "code: 'Small'"),
        (lambda d: d.update(currency="EUX"), "currency: 'EUX'"),
        (lambda d: d.update(time_zone="Mars/Olympus"), "time_zone: 'Mars/Olympus'"),
        (lambda d: d.update(on_sale_from="2026-02-30"), "on_sale_from: "),
        (lambda d: d.update(on_sale_until="2026-01-01"), "on_sale_until: must be later"),
        (lambda d: d.update(validity_days=0), "validity_days: "),
        (lambda d: d.update(term={}), "term: takes either years or days"),
        (lambda d: d.update(term={"years": 2}), "term.years: "),
        (lambda d: d.update(term={"days": "roof"}), "term.days: 'roof'"),
        (lambda d: d.update(plans=[]), "plans: must have an entry"),
        (lambda d: d["plans"][0].update(installments=0), "plans[0].installments: "),
        (lambda d: d["plans"][0].update(installments=61), "plans[0].installments: must be from 1 to 60"),
        (lambda d: d["plans"][0].update(code="monthly"), "plans: needs the plan 'annual'"),
        (lambda d: (d.update(term={"days": "area"}), d["plans"][0].update(installments=2)), "plans[0].installments: "),
        (lambda d: d["plans"].append(d["plans"][0]), "plans[1].code: 'annual' is there twice"),
        # Questions
        (lambda d: d["questions"][0].pop("minimum"), "questions[0]: needs a minimum"),
        (lambda d: d["questions"][2].update(minimum=1), "questions[2]: has no minimum"),
        (lambda d: d["questions"][1].update(choices=[]), "questions[1].choices: "),
        (lambda d: d["questions"][1].update(choices=["tile", "straw", "tile"]), "questions[1].choices: must differ"),
        (lambda d: d["questions"][0].update(code="limit"), "questions[0].code: 'limit' is kept"),
        # Coverages
        (lambda d: d["coverages"][1].update(limits=["1000.001"]), "coverages[1].limits: 1000.001 is not an amount"),
        (lambda d: d["coverages"][1].update(limits=["1", "1"]), "coverages[1].limits: must differ"),
        (lambda d: d["coverages"].append({"code": "pool", "display_name": "Pool"}), "'pool' has no base step"),
        # Steps
        (lambda d: step(d, "house_base").update(per=["aria"]), "rating[0].per: 'aria' is not a number"),
        (lambda d: step(d, "house_base").update(rate="1"), "rating[0].amount: takes either"),
        (lambda d: step(d, "house_base").update(coverages=["hose"]), "rating[0].coverages: 'hose'"),
        (lambda d: step(d, "garden_base").update(of="dog"), "rating[1].of: 'dog' is not a number"),
        (lambda d: step(d, "garden_base").pop("of"), "rating[1].amount: takes either"),
        (lambda d: step(d, "deductible").update(by="limit"), "rating[2].by: needs coverages that offer a limit"),
        (lambda d: step(d, "deductible")["table"].pop("0.00"), "rating[2].table: has no row for 0.00"),
        (lambda d: step(d, "deductible")["table"].update({"7.00": "1"}), "rating[2].table: the row '7.00'"),
        (lambda d: step(d, "roof").update(by="rof"), "rating[3].by: 'rof' is not a question"),
        (lambda d: step(d, "roof")["table"].pop("straw"), "rating[3].table: has no row for straw"),
        (lambda d: step(d, "roof")["table"].update(straw="0"), "rating[3].table: 0 is out of range for a factor"),
        (lambda d: step(d, "roof").update(rate="1"), "rating[3].rate: takes either a rate, or a table"),
        (lambda d: step(d, "roof").update(amount="1"), "rating[3].amount: means nothing for a step of kind factor"),
        (lambda d: step(d, "dog").update(rate="1.00"), "rating[4].rate: 1.00 is out of range for a discount"),
        (lambda d: step(d, "dog").update(when={"cat": {"equals": True}}), "rating[4].when.cat: is not a question"),
        (lambda d: step(d, "dog").update(when={"dog": {"equals": "yes"}}), "rating[4].when.dog: 'yes'"),
        (lambda d: step(d, "dog").update(when={"dog": {}}), "rating[4].when.dog: compares with nothing"),
        (lambda d: step(d, "dog").update(when={"roof": {"at_least": 1}}), "rating[4].when.roof: has an order"),
        (lambda d: step(d, "large").update(table={"1..99": "0", "101..1000": "0"}), "has no row for 100..100"),
        (lambda d: step(d, "large").update(table={"1..101": "0", "101..1000": "0"}), "the row '101..1000' overlaps"),
        (lambda d: step(d, "large").update(table={"1..999": "0"}), "has no row for 1000..1000"),
        (lambda d: step(d, "large").update(table={"1..1001": "0"}), "goes beyond 1000"),
        (lambda d: step(d, "large").update(table={"0..1000": "0"}), "lies outside 1..1000"),
        (lambda d: step(d, "large").update(table={"some": "0"}), "the row 'some' is not a band"),
        (lambda d: step(d, "minimum").update(amount="50.001"), "rating[6].amount: must be an amount in EUR"),
        (lambda d: step(d, "tax").update(rate="1"), "rating[7].rate: must be from 0 to below 1"),
        (lambda d: step(d, "tax").update(kind="tariff"), "rating[7].kind: "),
        (lambda d: d["rating"].append(step(d, "tax")), "rating[9].name: 'tax' is there twice"),
        (lambda d: d["rating"].insert(0, d["rating"].pop(5)), "steps on coverages stand before"),
        (lambda d: d["rating"].insert(0, d["rating"].pop(2)), "'house' must begin with one base step"),
        (lambda d: d["rating"].insert(9, d["rating"].pop(4)), "steps on the whole premium stand before"),
        # Underwriting
        (lambda d: d["underwriting"][0].update(when={}), "underwriting[0].when: is missing"),
        (lambda d: d["underwriting"][0].update(decision="maybe"), "underwriting[0].decision: "),
        (lambda d: d["underwriting"][0].update(waives=["straw"]), "underwriting[0].waives: "),
        (lambda d: d["underwriting"][2].update(waives=["huge"]), "underwriting[2].waives: 'huge' is not a rule"),
        (lambda d: d["underwriting"][0]["when"].update(area={"at_least": 1001}), "underwriting[0].when.area: 1001"),
    ],
)
def test_document_that_cannot_be_meant_is_refused(change: Callable[[Document], object], message: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        read(small(change))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "text", ["5e1", "5E+1", "5_0.00", " 50.00", "50.00 ", "+50.00", "50.", "\uff15\uff10", "\u0665\u0660", "5e-400"]
)
def test_amounts_and_rates_are_plain_decimal_numbers(text: str) -> None:
    for change, key in (
        (lambda d: step(d, "minimum").update(amount=text), "rating[6].amount"),
        (lambda d: step(d, "roof")["table"].update(straw=text), "rating[3].table.straw"),
        (lambda d: d["coverages"][1].update(limits=[text]), "coverages[1].limits[0]"),
    ):
        with pytest.raises(DefinitionError) as caught:
            read(small(change))
        assert f"{key}: {text!r} is not a plain decimal number" in str(caught.value)


def test_every_wrong_key_is_named_at_once() -> None:
    with pytest.raises(DefinitionError, match=r"version: .*currency: "):
        read(small(lambda document: document.update(version=0, currency="EUX")))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("code: motor\ncode: home\n", "the key 'code' is there twice"),
        ("code: [motor\n", "while parsing"),
        ("- code\n", "is not a mapping"),
        ("", "is not a mapping"),
        ("? [a]\n: b\n", "a key is not text"),
    ],
)
def test_file_that_cannot_be_read_is_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(content)
    with pytest.raises(DefinitionError, match=r"^broken\.yaml: ") as caught:
        publishing.load(path)
    assert message in str(caught.value)


def test_numbers_with_decimal_places_never_become_floats(tmp_path: Path) -> None:
    path = tmp_path / "numbers.yaml"
    path.write_text("a: 1.10\nb: 12\nc: true\nd: yes\ne: 2026-01-01\nf: 1e3\n18: {0.50: 007}\ng:\n")
    assert publishing.load(path) == {
        "a": "1.10",
        "b": 12,
        "c": True,
        "d": "yes",
        "e": "2026-01-01",
        "f": "1e3",
        "18": {"0.50": "007"},
        "g": None,
    }
