"""Insured objects, checked one by one before anything is priced."""

from __future__ import annotations

from collections.abc import Sequence

from libs.errors import Invalid
from libs.premium import InsuredObject
from services.quotes.catalogue.rules.product import Product


class ObjectInvalid(Invalid):
    """An insured object is missing, of an unknown kind, or one of its fields is wrong."""

    reason = "OBJECT_INVALID"


def check(product: Product, given: Sequence[InsuredObject]) -> tuple[InsuredObject, ...]:
    """The objects with their names and identifiers. `ObjectInvalid` names the first wrong one and its field."""
    for insured in given:
        raise ObjectInvalid(
            f"{product.code} insures no {insured.code!r}", object=insured.id or insured.code, field="object_code"
        )
    return ()
