"""What quotes tells whoever watches: how many quotes were made of each product, and what became of them."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from prometheus_client import REGISTRY

from bazaruto.quotes.v1 import product_pb2
from bazaruto.quotes.v1 import quote_pb2 as pb
from services.quotes.quoting.rules.underwriting import Outcome
from tests.integration.quotes.conftest import House, risk
from tests.support.people import Person, new_key


def counted(product_type: str = "motor") -> dict[str, float]:
    """Quotes of a product by outcome, as this process shows them."""
    labels = ({"product_type": product_type, "outcome": outcome.value} for outcome in Outcome)
    return {series["outcome"]: REGISTRY.get_sample_value("bazaruto_quotes_total", series) or 0 for series in labels}


@pytest.mark.parametrize(
    ("asked", "outcome"), [({}, "approved"), ({"use": "taxi"}, "referred"), ({"claims_5_years": 5}, "declined")]
)
def test_quote_is_counted_by_what_the_underwriting_rules_said(
    house: House, person: Person, asked: dict[str, Any], outcome: str
) -> None:
    before, of_others = counted(), counted("travel")
    house.create(person, risk(**asked))
    assert counted() == before | {outcome: before[outcome] + 1}
    assert counted("travel") == of_others


def test_quotes_of_a_product_begin_at_nought_once_it_is_known(house: House) -> None:
    house.products.ListProducts(product_pb2.ListProductsRequest())
    for outcome in Outcome:
        labels = {"product_type": "home", "outcome": outcome.value}
        assert REGISTRY.get_sample_value("bazaruto_quotes_total", labels) is not None


def test_repeated_call_makes_and_counts_one_quote(house: House, person: Person) -> None:
    before, key = counted(), new_key()
    assert house.create(person, idempotency_key=key) == house.create(person, idempotency_key=key)
    assert counted()["approved"] == before["approved"] + 1


def test_calculation_and_refusal_make_no_quote(house: House, person: Person) -> None:
    before = counted()
    house.quotes.CalculateQuote(pb.CalculateQuoteRequest(risk=risk()))
    with pytest.raises(grpc.RpcError):
        house.create(person, risk(licence_years="many"))
    assert counted() == before


def test_quote_that_is_not_kept_is_not_counted(house: House, person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    before = counted()

    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("libs.rpc.idempotency.keep", fail)
    with pytest.raises(grpc.RpcError):
        house.create(person, idempotency_key=new_key())
    assert house.rows("SELECT count(*) FROM quotes") == [(0,)]
    assert counted() == before
