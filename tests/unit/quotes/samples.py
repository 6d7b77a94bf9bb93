"""Products and risks for the tests of quotes: the shipped ones, and one that is small enough to work out by hand."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID

from libs.premium import Coverage
from services.quotes.catalogue.adapters.reading import Document, read
from services.quotes.catalogue.flows import publishing
from services.quotes.quoting.rules import revision
from services.quotes.quoting.rules.calculation import Calculation, Calculator, compile_calculator
from services.quotes.quoting.rules.quote import Quote
from services.quotes.quoting.rules.revision import Origin
from services.quotes.rating.rules.pricing import Risk, Tariff, compile_tariff

ORIGIN = Origin(UUID(int=1), "Q-2026-000001", UUID(int=2), created_by=UUID(int=2))
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SHIPPED = ("home", "motor", "travel")

ANSWERS: dict[str, dict[str, Any]] = {
    "motor": {
        "driver_age": 41,
        "licence_years": 20,
        "vehicle_value": 18500,
        "vehicle_age": 4,
        "engine_power": 85,
        "annual_km": 12000,
        "region": "coast",
        "use": "private",
        "claims_5_years": 0,
        "claim_free_years": 2,
        "garage": True,
        "telematics": False,
    },
    "home": {
        "building_value": 4500000,
        "contents_value": 600000,
        "area": 140,
        "construction": "masonry",
        "location": "maputo",
        "near_water": False,
        "year_built": 1998,
        "alarm": True,
        "occupied": True,
        "claims_5_years": 0,
    },
    "travel": {
        "trip_days": 10,
        "adults": 2,
        "children": 1,
        "oldest_age": 44,
        "destination": "europe",
        "sports": False,
    },
}

_SMALL: Document = {
    "code": "small",
    "version": 1,
    "display_name": "Small",
    "description": "A product that is worked out by hand.",
    "currency": "EUR",
    "time_zone": "Africa/Maputo",
    "on_sale_from": "2026-01-01",
    "validity_days": 30,
    "term": {"years": 1},
    "coverages": [
        {"code": "house", "display_name": "House", "mandatory": True, "deductibles": ["500.00", "0.00"]},
        {"code": "garden", "display_name": "Garden", "limits": ["1000.00", "2000.00"]},
    ],
    "questions": [
        {"code": "area", "text": "How large?", "type": "integer", "minimum": 1, "maximum": 1000},
        {"code": "roof", "text": "What roof?", "type": "choice", "choices": ["tile", "straw"]},
        {"code": "dog", "text": "Is there a dog?", "type": "boolean"},
    ],
    "rating": [
        {"name": "house_base", "kind": "base", "coverages": ["house"], "amount": "1.25", "per": ["area"]},
        {"name": "garden_base", "kind": "base", "coverages": ["garden"], "rate": "0.01", "of": "limit"},
        {
            "name": "deductible",
            "kind": "factor",
            "coverages": ["house"],
            "by": "deductible",
            "table": {"500.00": "1.00", "0.00": "1.20"},
        },
        {"name": "roof", "kind": "factor", "by": "roof", "table": {"tile": "1.00", "straw": "1.85"}},
        {"name": "dog", "kind": "discount", "rate": "0.05", "when": {"dog": {"equals": True}}},
        {"name": "large", "kind": "loading", "by": "area", "table": {"1..100": "0.00", "101..1000": "0.10"}},
        {"name": "minimum", "kind": "minimum", "amount": "50.00"},
        {"name": "tax", "kind": "tax", "rate": "0.17"},
        {"name": "fee", "kind": "fee", "amount": "2.50"},
    ],
    "underwriting": [
        {"code": "huge", "decision": "decline", "text": "It is huge.", "when": {"area": {"at_least": 900}}},
        {"code": "straw", "decision": "refer", "text": "The roof burns.", "when": {"roof": {"equals": "straw"}}},
        {
            "code": "guarded",
            "decision": "approve",
            "text": "The dog barks.",
            "when": {"dog": {"equals": True}},
            "waives": ["straw"],
        },
    ],
    "plans": [{"code": "annual", "display_name": "Once", "installments": 1}],
}


def small(change: Callable[[Document], object] = lambda document: None) -> Document:
    """The document of the small product, changed."""
    document = copy.deepcopy(_SMALL)
    change(document)
    return document


def small_tariff(**changes: Any) -> Tariff:
    """The small product with other values under some of its keys, ready to price with."""
    return compile_tariff(read(small(lambda document: document.update(changes))))


def tariff(code: str) -> Tariff:
    """A shipped product."""
    return calculator(code).tariff


@cache
def calculator(code: str) -> Calculator:
    """A shipped product, ready to price and to decide with."""
    return compile_calculator(read(publishing.load(publishing.FOLDER / f"{code}.yaml")))


def everything(code: str) -> list[Coverage]:
    """Every coverage that a shipped product offers, with the defaults."""
    return [Coverage(offer.code) for offer in tariff(code).product.coverages]


def calculate(code: str, now: datetime = NOW, **answers: Any) -> Calculation:
    """A price for the usual risk of a shipped product, with some other answers."""
    return calculator(code).calculate(Risk({**ANSWERS[code], **answers}, everything(code)), now)


def make_quote(now: datetime = NOW, **answers: Any) -> Quote:
    """A quote for the usual car, with some other answers."""
    return revision.create(calculate("motor", now, **answers), now, ORIGIN)


def make_draft(now: datetime = NOW, **answers: Any) -> Quote:
    """A draft for a car of which these answers are known."""
    return revision.draft(tariff("motor"), Risk(answers), now, ORIGIN)
