"""Query strings and path variables as fields of the request message."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from protobuf import DescMessage

from gateway.contracts.fields import Field, FieldError, resolve
from gateway.contracts.templates import PathError, decode

LIMIT = 200  # parameters of one request


def pairs(raw: str) -> list[tuple[str, str]]:
    """The parameters of a query string, split and then decoded. `FieldError` for anything that is not proper UTF-8."""
    parameters = []
    for piece in raw.split("&"):
        if not piece:
            continue
        name, _, value = piece.partition("=")
        try:
            name = decode(name.replace("+", " "))
        except PathError as error:
            raise FieldError("query", f"a name {error}") from None
        try:
            parameters.append((name, decode(value.replace("+", " "))))
        except PathError as error:
            raise FieldError(name, str(error)) from None
    if len(parameters) > LIMIT:
        raise FieldError("query", f"has more than {LIMIT} parameters")
    return parameters


class Query:
    """The query parameters that one route takes: every field that is in neither the path nor the body."""

    def __init__(self, message: DescMessage, body: str, in_path: Iterable[str]) -> None:
        self._message = message
        self._body = body
        self._in_path = frozenset(in_path)
        self._known: dict[str, Field] = {}

    def place(self, raw: str, into: dict[str, Any]) -> None:
        """Put the parameters of a query string into the JSON object of the request message."""
        given: dict[str, tuple[Field, list[str]]] = {}
        for name, text in pairs(raw):
            field = self._known.get(name) or self._resolve(name)
            given.setdefault(field.path, (field, []))[1].append(text)
        for field, texts in given.values():
            field.place(into, texts)

    def _resolve(self, name: str) -> Field:
        if self._body == "*":
            raise FieldError(name, "is not a parameter: all fields of this method go into the body")
        field = resolve(self._message, name)
        if field.path in self._in_path:
            raise FieldError(field.path, "is part of the path and cannot be a parameter as well")
        if self._body and re.match(rf"{self._body}(?![a-zA-Z0-9_])", field.path):
            raise FieldError(field.path, "is part of the body and cannot be a parameter")
        if field.map_key is None:  # the names that a route can learn are then bounded by its contract
            self._known[name] = field
        return field
