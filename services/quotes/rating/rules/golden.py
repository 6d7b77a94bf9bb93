"""Golden risks: what a product file says that some risks cost, against what they cost.

They keep a price from changing unseen: who means to change it, changes the file's golden risks with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from libs.errors import DomainError, Refused
from libs.money import Money
from libs.premium import Coverage, InsuredObject
from services.quotes.catalogue.rules.product import GoldenRisk, Product
from services.quotes.rating.rules.pricing import Risk, Tariff, compile_tariff


class GoldenRiskChanged(Refused):
    """A golden risk of the product file has another price than the file says."""

    reason = "GOLDEN_RISK_CHANGED"


class Difference(NamedTuple):
    """A golden risk with another price: both are text, as the second may be the reason why there is none."""

    risk: str
    expected: str
    actual: str


def check(product: Product) -> None:
    """`GoldenRiskChanged` names each golden risk whose price differs."""
    changed = differences(compile_tariff(product))
    if changed:
        named = "; ".join(f"{risk} costs {actual}, not {expected}" for risk, expected, actual in changed)
        raise GoldenRiskChanged(named, **changed[0]._asdict())


def differences(tariff: Tariff) -> Sequence[Difference]:
    """The golden risks whose price differs."""
    currency = tariff.product.currency
    changed = []
    for golden in tariff.product.golden_risks:
        expected = Money.parse(str(golden.expected_total), currency)
        try:
            total = tariff.price_from(risk_of(golden, currency), golden.start_date).price.total
        except DomainError as error:
            changed.append(Difference(golden.name, str(expected), error.reason))
            continue
        if total != expected.minor:
            changed.append(Difference(golden.name, str(expected), str(Money(total, currency))))
    return changed


def risk_of(golden: GoldenRisk, currency: str) -> Risk:
    """A golden risk as a risk that is asked for."""

    def money(amount: Decimal | None) -> Money | None:
        return None if amount is None else Money.parse(str(amount), currency)

    return Risk(
        answers=golden.answers,
        coverages=[Coverage(one.code, money(one.limit), money(one.deductible)) for one in golden.coverages],
        starts_on=golden.start_date,
        objects=[InsuredObject("", one.code, one.fields) for one in golden.objects],
    )
