"""Reading a product from its document, strictly: whatever cannot be meant is refused, with its key named.

The document is what a product file holds and what the database keeps. Numbers with decimal places are text in it,
so that they never pass through a float.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from pydantic import TypeAdapter, ValidationError

from libs.money import PLAIN_DECIMAL
from services.quotes.catalogue.rules.checking import problems_of
from services.quotes.catalogue.rules.definition import DefinitionError, Fault
from services.quotes.catalogue.rules.product import Product

Document = dict[str, Any]

_adapter = TypeAdapter(Product)
_REASONS = {"unexpected_keyword_argument": "unknown key", "missing": "is missing", "missing_argument": "is missing"}


def read(document: Document) -> Product:
    """The product of a document. `DefinitionError` names every wrong key."""
    try:
        product = _adapter.validate_json(json.dumps(document), strict=True)
    except ValidationError as error:
        faults = [Fault(_path(e["loc"]), _REASONS.get(e["type"], e["msg"])) for e in error.errors()]
        raise DefinitionError(faults) from error
    faults = [Fault(_path(location), f"{text!r} is not a plain decimal number") for location, text in _odd(document)]
    faults += [Fault(key, text) for key, text in problems_of(product)]
    if faults:
        raise DefinitionError(faults)
    return product


def _odd(value: object, location: tuple[int | str, ...] = ()) -> Iterator[tuple[tuple[int | str, ...], str]]:
    """Texts that Python reads as numbers though nobody writes numbers so, like `1_000`: pydantic takes them too."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _odd(part, (*location, key))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _odd(part, (*location, index))
    elif isinstance(value, str) and not PLAIN_DECIMAL.fullmatch(value):
        try:
            finite = Decimal(value).is_finite()
        except InvalidOperation:
            return
        if finite:
            yield location, value


def _path(location: Sequence[int | str]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
