"""What all checks of a product share: how a problem is told, and what a code and an amount look like."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal

from libs.errors import Invalid
from libs.money import Money
from services.quotes.catalogue.rules.product import Product

Problems = Iterator[tuple[str, str]]
"""Pairs of a key, for example `rating[3].table`, and what is wrong with it."""

CODE = re.compile(r"[a-z][a-z0-9_]{0,49}")
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
    """Whether it is an amount in the product's currency, and not below nought."""
    return amount is not None and amount >= 0 and accepted(Money.parse, str(amount), product.currency)


def accepted(check: Callable[..., object], *arguments: object) -> bool:
    """Whether a check refuses nothing."""
    try:
        check(*arguments)
    except Invalid:
        return False
    return True
