"""Maps in one order, so that equal replies are equal bytes: the wire keeps no order of a map's entries.

Which fields can lead to a map is worked out once, so that a reply is not searched field by field.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from protobuf import (
    DescField,
    DescFieldValueList,
    DescFieldValueMap,
    DescFieldValueMessage,
    DescMessage,
    Message,
)

Sort = Callable[[Message], None]
_VALUE: Final = "google.protobuf.Value"
_WITH_MAPS: Final = frozenset({"struct_value", "list_value"})
_Plan = list[tuple[DescField, str]]  # fields of a message that hold a map or lead to one, and the type in them


def sorter(message: DescMessage) -> Sort | None:
    """What puts all maps of a message in order, or None for a message that can hold no map."""
    kinds: dict[str, DescMessage] = {}
    _collect(message, kinds)
    leading = {name for name, kind in kinds.items() if any(_is_map(field) for field in kind.fields)}
    while more := {name for name, kind in kinds.items() if name not in leading and _inner(kind) & leading}:
        leading |= more
    if message.type_name not in leading:
        return None
    plans: dict[str, _Plan] = {
        name: [(f, _type(f)) for f in kinds[name].fields if _is_map(f) or _type(f) in leading] for name in leading
    }

    def sort(one: Message, name: str = message.type_name) -> None:
        for field, inner in plans[name]:
            value: Any = one[field]
            if not value:
                continue
            if isinstance(value, dict):
                if len(value) > 1:
                    ordered = sorted(value.items())
                    value.clear()
                    value.update(ordered)
                value = value.values()
            elif not isinstance(value, list):
                value = (value,)
            if inner == _VALUE:  # one of many, and hardly any holds a map: asking each for both its fields is dear
                value = [part for part in value if part.kind is not None and part.kind.field in _WITH_MAPS]
            if inner in plans:
                for part in value:
                    sort(part, inner)

    return sort


def _collect(message: DescMessage, kinds: dict[str, DescMessage]) -> None:
    if message.type_name not in kinds:
        kinds[message.type_name] = message
        for field in message.fields:
            if (inner := _message(field)) is not None:
                _collect(inner, kinds)


def _inner(message: DescMessage) -> set[str]:
    return {_type(field) for field in message.fields}


def _type(field: DescField) -> str:
    inner = _message(field)
    return inner.type_name if inner is not None else ""


def _message(field: DescField) -> DescMessage | None:
    match field.value:
        case (
            DescFieldValueMessage(message=inner)
            | DescFieldValueList(element=DescMessage() as inner)
            | DescFieldValueMap(value=DescMessage() as inner)
        ):
            return inner
        case _:
            return None


def _is_map(field: DescField) -> bool:
    return isinstance(field.value, DescFieldValueMap)
