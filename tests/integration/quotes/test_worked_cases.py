"""Worked cases of the domain, through the calls that products and prices are made with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
import yaml
from google.type import money_pb2

from bazaruto.common.v1 import charge_pb2, insured_object_pb2
from bazaruto.quotes.v1 import product_version_pb2 as version_pb
from bazaruto.quotes.v1 import quote_pb2 as pb
from libs.rpc import values
from tests.integration.quotes.conftest import House, coverage
from tests.support.errors import metadata_of, reason_of
from tests.support.people import People, new_key


class Maker:
    """Makes small products and prices with them."""

    def __init__(self, house: House, people: People) -> None:
        self.house = house
        self.author, self.publisher = people.user("underwriter"), people.user("underwriter")

    def sell(self, code: str, currency: str, bases: dict[str, dict[str, Any]], **more: Any) -> None:
        """Put a product on sale with a mandatory coverage for each base step."""
        document = {
            "code": code,
            "version": 1,
            "display_name": code,
            "description": "A worked case.",
            "currency": currency,
            "time_zone": "UTC",
            "on_sale_from": "2026-01-01",
            "validity_days": 30,
            "term": {"years": 1},
            "coverages": [
                {"code": name, "display_name": name, "mandatory": True, "covers": base.pop("covers", "")}
                | ({"limits": base.pop("limits")} if "limits" in base else {})
                for name, base in bases.items()
            ],
            "questions": more.pop("questions", []),
            "rating": [{"name": n, "kind": "base", "coverages": [n], **base} for n, base in bases.items()]
            + more.pop("steps", []),
            "underwriting": [],
            "plans": [{"code": "annual", "display_name": "Once", "installments": 1}],
            **more,
        }
        request = version_pb.CreateProductVersionRequest(product_code=code, definition=yaml.safe_dump(document))
        self.house.products.CreateProductVersion(request, metadata=self.author.metadata(idempotency_key=new_key()))
        publish = version_pb.PublishProductVersionRequest(product_code=code, version=1)
        self.house.products.PublishProductVersion(publish, metadata=self.publisher.metadata(idempotency_key=new_key()))

    def price(
        self, code: str, objects: Sequence[Any] = (), coverages: Sequence[Any] = (), **answers: Any
    ) -> pb.CalculateQuoteResponse:
        """The price of a risk."""
        asked = pb.Risk(product_code=code, objects=objects, coverages=coverages)
        asked.answers.update(answers)
        return self.house.quotes.CalculateQuote(pb.CalculateQuoteRequest(risk=asked))


@pytest.fixture
def maker(house: House, people: People) -> Maker:
    return Maker(house, people)


def minor(amount: money_pb2.Money) -> int:
    return values.money_from_proto(amount).minor


def premiums(priced: pb.CalculateQuoteResponse) -> list[tuple[str, str, int]]:
    """Coverage, object and minor units of each net line."""
    premium = charge_pb2.ChargeLine.KIND_PREMIUM
    lines = [line for line in priced.premium.lines if line.kind == premium]
    return [(line.coverage_code, line.object_id, minor(line.amount)) for line in lines]


def person(years: int) -> insured_object_pb2.InsuredObject:
    """A traveller who is so many years old today."""
    message = insured_object_pb2.InsuredObject(object_code="traveller")
    message.fields.update({"born": f"{datetime.now(UTC).year - years}-01-01"})
    return message


def test_t25_t26_remainders_of_a_split_go_to_the_first(maker: Maker) -> None:
    least = [{"name": "least", "kind": "minimum", "amount": "100"}]
    for code, currency, parts in (("t25", "JPY", [34, 33, 33]), ("t26", "EUR", [33_34, 33_33, 33_33])):
        maker.sell(code, currency, {name: {"amount": "1"} for name in ("a", "b", "c")}, steps=least)
        assert premiums(maker.price(code)) == [(name, "", part) for name, part in zip("abc", parts, strict=True)]


def test_t44_tax_is_rounded_half_to_even_on_the_net_without_fees(maker: Maker) -> None:
    fees = [{"code": "policy_fee", "amount": "25.00"}]
    for code, net, rate, due in (("t44a", "1200.00", "0.17", 204_00), ("t44b", "1234.56", "0.005", 6_17)):
        maker.sell(code, "EUR", {"a": {"amount": net}}, taxes=[{"code": "premium_tax", "rate": rate}], fees=fees)
        assert minor(maker.price(code).premium.tax) == due


@pytest.mark.parametrize(
    ("currency", "amount", "minor_units"),
    [
        ("JPY", "500", 500),
        ("USD", "10.00", 1000),
        ("MZN", "10.00", 1000),
        ("BHD", "10.000", 10000),
        ("CLF", "10.0000", 100000),
    ],
)
def test_t66_amounts_have_the_decimal_places_of_their_currency(
    maker: Maker, currency: str, amount: str, minor_units: int
) -> None:
    maker.sell("t66", currency, {"a": {"amount": amount}})
    assert minor(maker.price("t66").premium.total) == minor_units


@pytest.mark.parametrize(("currency", "amount"), [("JPY", "1.5"), ("USD", "1.005"), ("BHD", "1.0005")])
def test_t67_more_decimal_places_than_the_currency_has_are_refused_and_never_rounded(
    maker: Maker, currency: str, amount: str
) -> None:
    asked = {"code": "sum", "text": "How much?", "type": "money", "minimum": "0", "maximum": "9000"}
    base = {"rate": "0.01", "of": "sum", "limits": ["1", "2"]}
    maker.sell("t67", currency, {"a": dict(base)}, questions=[asked])
    assert minor(maker.price("t67", sum="100").premium.net) == minor(maker.price("t67", sum=100).premium.net)
    with pytest.raises(grpc.RpcError) as caught:
        maker.price("t67", sum=amount)
    assert (reason_of(caught.value), metadata_of(caught.value)) == ("ANSWER_INVALID", {"question": "sum"})
    with pytest.raises(grpc.RpcError) as caught:
        maker.price("t67", sum=float(amount))
    assert reason_of(caught.value) == "ANSWER_INVALID"
    units, _, places = amount.partition(".")
    limit = money_pb2.Money(currency_code=currency, units=int(units), nanos=int(places.ljust(9, "0")))
    with pytest.raises(grpc.RpcError) as caught:
        maker.price("t67", coverages=[coverage("a", limit=limit)], sum="100")
    assert reason_of(caught.value) == "AMOUNT_INVALID"
    with pytest.raises(grpc.RpcError) as caught:
        maker.sell(
            "t67b", currency, {"a": {"amount": amount}}, steps=[{"name": "m", "kind": "minimum", "amount": amount}]
        )
    assert reason_of(caught.value) == "PRODUCT_DEFINITION_INVALID"


def test_t68_a_trip_for_an_adult_and_a_child(maker: Maker) -> None:
    """26 for the adult and 26 for each person: 26 + 52 = 78."""
    maker.sell(
        "t68",
        "EUR",
        {"c1": {"amount": "26", "per": ["adults"]}, "c2": {"amount": "26", "covers": "traveller"}},
        objects=[{"code": "traveller", "minimum": 1, "maximum": 9, "fields": [{"code": "born", "type": "date"}]}],
        derive=[
            {"code": "age", "years_since": "traveller.born"},
            {"code": "adults", "count": "traveller", "when": {"age": {"at_least": 18}}, "minimum": 1},
        ],
    )
    priced = maker.price("t68", [person(40), person(8)])
    assert premiums(priced) == [("c1", "", 26_00), ("c2", "traveller_1", 26_00), ("c2", "traveller_2", 26_00)]
    assert minor(priced.premium.total) == 78_00


def test_t69_a_flat_by_its_area(maker: Maker) -> None:
    """95 square metres at 1.25 and at 0.25, and 30: 118.75 + 23.75 + 30 = 172.50."""
    area = {"code": "area", "type": "decimal", "places": 1, "minimum": "1.0", "maximum": "900.0"}
    maker.sell(
        "t69",
        "EUR",
        {
            "c1": {"rate": "1.25", "of": "flat.area", "covers": "flat"},
            "c2": {"rate": "0.25", "of": "flat.area", "covers": "flat"},
            "c3": {"amount": "30"},
        },
        objects=[{"code": "flat", "minimum": 1, "maximum": 1, "fields": [area]}],
    )
    flat = insured_object_pb2.InsuredObject(object_code="flat")
    flat.fields.update({"area": "95.0"})
    priced = maker.price("t69", [flat])
    assert premiums(priced) == [("c1", "flat_1", 118_75), ("c2", "flat_1", 23_75), ("c3", "", 30_00)]
    assert minor(priced.premium.total) == 172_50
