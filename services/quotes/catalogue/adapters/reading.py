"""Reading a product from its document, strictly: whatever cannot be meant is refused, with its key named.

The document is what a product file holds and what the database keeps. Numbers with decimal places are text in it,
so that they never pass through a float. Both forms of it are read for ever: that of version 1 of the first products,
with taxes and fees among the steps and nothing about sold policies, and the one of today.
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
        raise DefinitionError(_misshapen(document, error)) from error
    faults = [Fault(_path(location), f"{text!r} is not a plain decimal number") for location, text in _odd(document)]
    faults += [Fault(key, text) for key, text in problems_of(product)]
    if faults:
        raise DefinitionError(faults)
    return product


def _misshapen(document: Document, error: ValidationError) -> list[Fault]:
    """What does not have the shape of a product. Of a value that fits none of several types, it is said once."""
    faults: dict[str, Fault] = {}
    for detail in error.errors():
        key = _path(_existing(document, detail["loc"]))
        faults.setdefault(key, Fault(key, _REASONS.get(detail["type"], detail["msg"])))
    return list(faults.values())


def _existing(document: Any, location: Sequence[int | str]) -> list[int | str]:
    """The part of a location that the document has, and one key that it lacks: the rest names types, not keys."""
    path: list[int | str] = []
    for part in location:
        try:
            document = document[part]
        except (KeyError, IndexError, TypeError):
            return [*path, part] if isinstance(document, dict) else path
        path.append(part)
    return path


def _odd(value: object, location: tuple[int | str, ...] = ()) -> Iterator[tuple[tuple[int | str, ...], str]]:
    """Texts that Python reads as numbers though nobody writes numbers so, like `1_000`: pydantic takes them too.

    What golden risks answer is for the checks of answers: a plate may well look like such a number.
    """
    if isinstance(value, dict):
        for key, part in value.items():
            if location[:1] == ("golden_risks",) and key in ("answers", "fields"):
                continue
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
