"""The usual risk of each product that is sold today, with what is insured."""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import Any

from libs.money import Money
from libs.premium import Coverage, InsuredObject
from services.quotes.catalogue.adapters.source import parse, read_source
from services.quotes.catalogue.flows import publishing
from services.quotes.catalogue.rules.product import GoldenRisk, Product
from services.quotes.quoting.rules.calculation import Calculator, compile_calculator
from services.quotes.rating.rules.pricing import Risk

CODES = ("device", "health", "home", "motor", "term_life", "travel")
DAY = date(2026, 12, 1)


@cache
def products() -> dict[tuple[str, int], Product]:
    """Every product that is shipped, by code and version."""
    read = [read_source(parse(path.read_text())) for path in sorted(publishing.FOLDER.glob("*.yaml"))]
    return {(product.code, product.version): product for product in read}


def newest(code: str) -> Product:
    """The version of a product that is sold today."""
    return products()[max(key for key in products() if key[0] == code)]


@cache
def calculator(code: str, version: int = 0) -> Calculator:
    """A version of a product, ready to price and to decide with; the one that is sold today if none is named."""
    return compile_calculator(products()[code, version] if version else newest(code))


def risk_of(golden: GoldenRisk, currency: str) -> Risk:
    """A golden risk as it would be asked."""

    def amount(value: object) -> Money | None:
        return None if value is None else Money.parse(str(value), currency)

    return Risk(
        golden.answers,
        [Coverage(item.code, amount(item.limit), amount(item.deductible)) for item in golden.coverages],
        golden.start_date,
        [InsuredObject("", item.code, item.fields) for item in golden.objects],
    )


def _usual(code: str) -> Risk:
    return risk_of(newest(code).golden_risks[0], newest(code).currency)


ANSWERS: dict[str, dict[str, Any]] = {code: dict(_usual(code).answers) for code in CODES}
ANSWERS["motor"]["claim_free_years"] = 2  # so that a test may add claims that do not contradict it
OBJECTS: dict[str, tuple[InsuredObject, ...]] = {code: tuple(_usual(code).objects) for code in CODES}
