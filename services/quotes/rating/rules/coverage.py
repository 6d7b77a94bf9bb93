"""Coverages: what is chosen of a product's offers, with every default filled in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from libs.errors import Invalid
from libs.money import CurrencyMismatch, Money
from libs.premium import Coverage
from services.quotes.catalogue.rules.product import Product


class CoverageInvalid(Invalid):
    """The product has no such coverage, or the selected limit or deductible is not offered."""

    reason = "COVERAGE_INVALID"


class Deductible(NamedTuple):
    """What an underwriter sets as the deductible of a coverage."""

    coverage_code: str
    amount: Money


def with_deductibles(coverages: Sequence[Coverage], deductibles: Sequence[Deductible]) -> tuple[Coverage, ...]:
    """Coverages with other deductibles, of which the last one of a coverage holds."""
    amounts = {deductible.coverage_code: deductible.amount for deductible in deductibles}
    return tuple(
        Coverage(item.code, item.limit, amounts[item.code]) if item.code in amounts else item for item in coverages
    )


Choose = Callable[[Sequence[Coverage]], tuple[Coverage, ...]]


class _Offer(NamedTuple):
    code: str
    mandatory: bool
    limits: tuple[Money, ...]
    deductibles: tuple[Money, ...]


def compile_choice(product: Product) -> Choose:
    """A function from the coverages that are asked for to those of the contract, in the order of the product's offers.

    Mandatory coverages are added, and a limit or deductible that was not chosen is the first one offered.
    """
    currency = product.currency
    offers = [
        _Offer(
            offer.code,
            offer.mandatory,
            tuple(Money.parse(str(amount), currency) for amount in offer.limits),
            tuple(Money.parse(str(amount), currency) for amount in offer.deductibles),
        )
        for offer in product.coverages
    ]
    known = {offer.code for offer in offers}

    def choose(asked: Sequence[Coverage]) -> tuple[Coverage, ...]:
        by_code: dict[str, Coverage] = {}
        for coverage in asked:
            if coverage.code not in known:
                raise CoverageInvalid(f"the product has no coverage {coverage.code!r}", coverage=coverage.code)
            if coverage.code in by_code:
                raise CoverageInvalid(f"the coverage {coverage.code!r} is chosen twice", coverage=coverage.code)
            by_code[coverage.code] = coverage
        chosen = []
        for offer in offers:
            picked = by_code.get(offer.code)
            if picked is None and not offer.mandatory:
                continue
            picked = picked or Coverage(offer.code)
            limit = _pick(picked.limit, offer.limits, currency, offer.code, "limit")
            deductible = _pick(picked.deductible, offer.deductibles, currency, offer.code, "deductible")
            chosen.append(Coverage(offer.code, limit, deductible))
        if not chosen:
            raise CoverageInvalid("no coverage is chosen", coverage="")
        return tuple(chosen)

    return choose


def _pick(asked: Money | None, offered: Sequence[Money], currency: str, code: str, what: str) -> Money | None:
    if asked is None:
        return offered[0] if offered else None
    if asked.currency != currency:
        raise CurrencyMismatch(expected=currency, actual=asked.currency)
    if asked not in offered:
        raise CoverageInvalid(f"the {what} {asked} of {code!r} is not offered", coverage=code)
    return asked
