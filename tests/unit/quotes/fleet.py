"""A small product with everything that a product file can say: several cars and drivers, taxes, fees, all rules."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from libs.premium import Coverage, InsuredObject
from services.quotes.catalogue.adapters.reading import Document, read
from services.quotes.catalogue.adapters.source import parse
from services.quotes.rating.rules.pricing import PricedRisk, Risk, Tariff, compile_tariff

TEXT = (Path(__file__).parent / "fleet.yaml").read_text()

START = date(2026, 12, 1)
ANSWERS: dict[str, Any] = {
    "licence_years": 10,
    "km": "25.0",
    "sum": "50000.00",
    "last_claim": "2020-01-01",
    "contract_from": "2019-01-01",
    "note": "none",
}


def fleet(change: Callable[[Document], object] = lambda document: None) -> Document:
    """The document of the product, changed."""
    document = copy.deepcopy(parse(TEXT).document)
    change(document)
    return document


def tariff(change: Callable[[Document], object] = lambda document: None) -> Tariff:
    """The product, changed, ready to price with."""
    return compile_tariff(read(fleet(change)))


def car(plate: Any = "AA-01-AA", **fields: Any) -> InsuredObject:
    """A car; other fields may be changed."""
    usual = {"plate": plate, "first_registered": "2020-12-01", "value": "20000.00", "fuel": "petrol"}
    return InsuredObject("", "vehicle", usual | fields)


def driver(date_of_birth: str = "1980-01-31", name: str = "Ana", **fields: Any) -> InsuredObject:
    """A driver."""
    return InsuredObject("", "driver", {"name": name, "date_of_birth": date_of_birth} | fields)


def price(
    *objects: InsuredObject, coverages: Sequence[str] = (), starts_on: date = START, **answers: Any
) -> PricedRisk:
    """A risk of the product with its price."""
    chosen = [Coverage(code) for code in coverages]
    return TARIFF.price_from(Risk(ANSWERS | answers, chosen, objects=objects), starts_on)


TARIFF = tariff()
