"""What all checks of a product share: how a problem is told, and what a code and an amount look like."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal

from libs.errors import Invalid
from libs.money import Money, exponent
from services.quotes.catalogue.rules.product import Product

Problems = Iterator[tuple[str, str]]
"""Pairs of a key, for example `rating[3].table`, and what is wrong with it."""

CODE = re.compile(r"[a-z][a-z0-9_]{0,49}")
MOST_MINOR = 10**15
"""The largest amount of a product file, in minor units. A price is steps upon it, and loadings upon these; a sum of
all of them stays within what money and the database hold.
"""
TOO_LARGE = f"is more than {MOST_MINOR:,} minor units of the currency"
_NEVER_EMPTY = ("coverages", "plans", "rating")


def codes(key: str, given: Sequence[str], name: str = "code") -> Problems:
    """Whether each entry of a list has a code of its own."""
    if not given and key in _NEVER_EMPTY:
        yield key, "must have an entry"
    for index, code in enumerate(given):
        if not CODE.fullmatch(code):
            yield f"{key}[{index}].{name}", f"{code!r} is not a code of lower-case letters, digits and underscores"
        if code in given[:index]:
            yield f"{key}[{index}].{name}", f"{code!r} is there twice"


def is_amount(amount: Decimal | None, product: Product) -> bool:
    """Whether it is an amount in the product's currency, not below nought, and not too large to be rated."""
    if amount is None or amount < 0 or is_too_large(amount, product):
        return False
    return accepted(Money.parse, str(amount), product.currency)


def is_too_large(number: Decimal | int, product: Product) -> bool:
    """Whether an amount is larger than a product may name, whatever its steps make of it."""
    places = exponent(product.currency) if accepted(exponent, product.currency) else 0
    return bool(abs(number) * 10**places > MOST_MINOR)


def accepted(check: Callable[..., object], *arguments: object) -> bool:
    """Whether a check refuses nothing."""
    try:
        check(*arguments)
    except Invalid:
        return False
    return True
