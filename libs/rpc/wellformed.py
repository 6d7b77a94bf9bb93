"""What a request may hold beside what the rules of its fields say.

Values that no JSON could have brought, which no database and no calendar keeps: the gateway refuses them in bodies, and
who calls by gRPC is told here. And texts that people write (option `text`), which others have to see as they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from bazaruto.options.v1 import options_pb2
from libs.errors import FieldInvalid
from libs.rpc import visible_text

_DEPTH = 30  # levels of a Struct, as the gateway reads them
_FIRST, _LAST = -62135596800, 253402300799  # seconds: the years 1 to 9999
_BILLION = 1_000_000_000
_NO_TEXT = options_pb2.TEXT_UNSPECIFIED


def check(request: Any) -> None:
    """`FieldInvalid`, naming each field with a NUL, no moment, a value that JSON does not have, or hidden text."""
    violations = dict(_faults(request, ""))
    if violations:
        raise FieldInvalid(violations=violations)


def _faults(message: Any, prefix: str) -> Iterator[tuple[str, str]]:
    for name, is_text, is_repeated, is_map, text in _fields(message.DESCRIPTOR):
        path = prefix + name
        if is_map:
            for key, value in getattr(message, name).items():
                yield from _of_value(key, path)
                yield from _of_value(value, f"{path}[{key!r}]")
        elif is_repeated:
            for index, value in enumerate(getattr(message, name)):
                yield from _of_value(value, f"{path}[{index}]", text)
        elif is_text or message.HasField(name):
            yield from _of_value(getattr(message, name), path, text)


def _of_value(value: Any, path: str, text: options_pb2.Text.ValueType = _NO_TEXT) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        if "\0" in value:
            yield path, "has a NUL character"
        elif text and (why := visible_text.why_not(value, text)):
            yield path, why
    elif isinstance(value, Timestamp):
        if not (_FIRST <= value.seconds <= _LAST and 0 <= value.nanos < _BILLION):
            yield path, "is not a moment"
    elif isinstance(value, Struct):
        if why := _why_no_object(value, _DEPTH):
            yield path, why
    elif isinstance(value, Message):
        yield from _faults(value, f"{path}.")


def _why_no_object(struct: Any, levels: int) -> str:
    for key, value in struct.fields.items():
        if "\0" in key:
            return "has a NUL character in a key"
        if why := _why_no_value(value, levels - 1):
            return why
    return ""


def _why_no_value(value: Any, levels: int) -> str:
    kind = value.WhichOneof("kind")
    if kind is None:
        return "has a value of no kind"
    if kind == "string_value":
        return "has a NUL character" if "\0" in value.string_value else ""
    if kind == "number_value":
        return "" if math.isfinite(value.number_value) else "has a number that is none"
    if kind in ("struct_value", "list_value") and not levels:
        return f"nests deeper than {_DEPTH} levels"
    if kind == "struct_value":
        return _why_no_object(value.struct_value, levels)
    if kind == "list_value":
        return next((why for item in value.list_value.values if (why := _why_no_value(item, levels - 1))), "")
    return ""


class _Field(NamedTuple):
    """A field that holds texts or messages; `text` is what a person may write there."""

    name: str
    is_text: bool
    is_repeated: bool
    is_map: bool
    text: options_pb2.Text.ValueType


@cache
def _fields(kind: Descriptor) -> tuple[_Field, ...]:
    fields = []
    for field in kind.fields:
        entry = field.message_type if field.message_type and field.message_type.GetOptions().map_entry else None
        held = entry.fields_by_name["value"] if entry else field
        is_text, is_message = held.type == FieldDescriptor.TYPE_STRING, held.type == FieldDescriptor.TYPE_MESSAGE
        if is_text or is_message or entry:
            text = field.GetOptions().Extensions[options_pb2.text]
            fields.append(_Field(field.name, is_text, field.is_repeated, entry is not None, text))
    return tuple(fields)
