"""Fields of request messages that are named by text: in a path template, in a query, in an error.

A name is resolved against the descriptors once and turns into a `Field`, which converts text to the JSON form
of the field's value. What the text means in detail (ranges, times, base64) is left to the protobuf library.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from protobuf import (
    DescEnum,
    DescField,
    DescFieldValueEnum,
    DescFieldValueList,
    DescFieldValueMap,
    DescFieldValueMessage,
    DescFieldValueScalar,
    DescMessage,
    ScalarType,
)

Convert = Callable[[str], Any]
Kind = ScalarType | DescEnum | DescMessage

_INTEGER = re.compile(r"-?[0-9]{1,20}")
_FLOAT = re.compile(r"-?[0-9.]+([eE][+-]?[0-9]+)?|NaN|-?Infinity")
_FLOATS = (ScalarType.DOUBLE, ScalarType.FLOAT)
_WRAPPERS = frozenset(
    f"google.protobuf.{name}Value"
    for name in ("Bool", "Bytes", "Double", "Float", "Int32", "Int64", "String", "UInt32", "UInt64")
)
_AS_TEXT = frozenset({"google.protobuf.Timestamp", "google.protobuf.Duration"})
OPAQUE = frozenset({f"google.protobuf.{name}" for name in ("Struct", "Value", "ListValue", "Any")})
WELL_KNOWN = (
    _WRAPPERS | _AS_TEXT | OPAQUE | {"google.protobuf.FieldMask"}
)  # types whose JSON form is not an object of their fields


class FieldError(ValueError):
    """A text does not name a field, or is no value of it. `path` is the field's path in the contract."""

    def __init__(self, path: str, description: str) -> None:
        super().__init__(f"{path} {description}")
        self.path = path
        self.description = description


@dataclass(frozen=True, slots=True)
class Field:
    """A field reached from the request message, and how text becomes its value."""

    path: str  # names of the contract, joined by dots
    keys: tuple[str, ...]  # the same as lowerCamel keys, outermost first
    convert: Convert
    repeated: bool
    map_key: str | None = None

    def place(self, into: dict[str, Any], texts: list[str]) -> None:
        """Put the value that the texts mean into the JSON object of the request message."""
        if len(texts) > 1 and not self.repeated:
            raise FieldError(self.path, "is given more than once")
        try:
            values = [self.convert(text) for text in texts]
        except ValueError as error:
            raise FieldError(self.path, str(error)) from None
        *outer, last = self.keys
        for key in outer:
            into = into.setdefault(key, {})
        if self.map_key is not None:
            into = into.setdefault(last, {})
            last = self.map_key
        into[last] = values if self.repeated else values[0]


def find(message: DescMessage, name: str) -> DescField | None:
    """The field with this name, as the contract or as JSON writes it."""
    return by_name(message).get(name)


def message_of(one: DescField | None) -> DescMessage | None:
    """The message that a singular field holds, if it is one."""
    return one.value.message if one is not None and isinstance(one.value, DescFieldValueMessage) else None


@cache
def by_name(message: DescMessage) -> dict[str, DescField]:
    """All fields of a message by both of their names."""
    return {name: field for field in message.fields for name in (field.json_name, field.name)}


def resolve(message: DescMessage, name: str) -> Field:
    """Find the field that a query parameter such as `risk.score`, `tags` or `labels[color]` names."""
    parameter, map_key = name, None
    if name.endswith("]") and "[" in name:
        name, _, map_key = name[:-1].partition("[")
    names, keys = [], []
    parts = name.split(".")
    for index, part in enumerate(parts):
        named = find(message, part)
        if named is None:
            raise FieldError(parameter, "is not a field of the request")
        field = named
        names.append(field.name)
        keys.append(field.json_name)
        if index < len(parts) - 1:
            inner = field.value.message if isinstance(field.value, DescFieldValueMessage) else None
            if inner is None or inner.type_name in WELL_KNOWN:
                raise FieldError(parameter, "is not a field of the request")
            message = inner
    path = ".".join(names)
    match field.value:
        case DescFieldValueMap(value=value):
            if map_key is None:
                raise FieldError(path, "is a map: name one key, as in labels[color]=red")
            return Field(f"{path}[{map_key}]", tuple(keys), _converter(path, value), False, map_key)
        case _ if map_key is not None:
            raise FieldError(parameter, "is not a map")
        case DescFieldValueList(element=element):
            return Field(path, tuple(keys), _converter(path, element), True)
        case _:
            return Field(path, tuple(keys), _converter(path, kind_of(field)), False)


def kind_of(field: DescField) -> Kind:
    """What one value of a field is; of a list or map, one element."""
    match field.value:
        case DescFieldValueScalar(scalar=scalar):
            return scalar
        case DescFieldValueEnum(enum=enum):
            return enum
        case DescFieldValueMessage(message=message):
            return message
        case DescFieldValueList(element=element):
            return element
        case DescFieldValueMap(value=value):
            return value


def _converter(path: str, kind: Kind) -> Convert:
    if isinstance(kind, DescEnum):
        return _enum
    if isinstance(kind, ScalarType):
        return _scalar(kind)
    if kind.type_name in _WRAPPERS:
        return _converter(path, kind_of(kind.fields[0]))
    if kind.type_name in _AS_TEXT:
        return str
    if kind.type_name == "google.protobuf.FieldMask":
        return _field_mask
    raise FieldError(path, "is a message: name one of its fields")


def _scalar(kind: ScalarType) -> Convert:
    if kind == ScalarType.BOOL:
        return _boolean
    if kind == ScalarType.STRING:
        return str
    if kind == ScalarType.BYTES:
        return _base64
    return _floating if kind in _FLOATS else _integer


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("must be true or false")
    return text == "true"


def _integer(text: str) -> str:
    if not _INTEGER.fullmatch(text):
        raise ValueError("must be a whole number")
    return text


def _floating(text: str) -> str:
    if not _FLOAT.fullmatch(text):
        raise ValueError("must be a number")
    return text


def _enum(text: str) -> str | int:
    return int(text) if _INTEGER.fullmatch(text) else text


def _base64(text: str) -> str:
    return text.replace(" ", "+")  # an unescaped + of the standard alphabet arrives as a space


def _field_mask(text: str) -> str:
    return ",".join(camel(path) for path in text.split(","))


def camel(path: str) -> str:
    """`full_name` as `fullName`, which is how the JSON form of a field mask writes it."""
    return re.sub(r"_([a-z0-9])", lambda match: match.group(1).upper(), path)
