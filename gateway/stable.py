"""Maps in one order, so that equal replies are equal bytes: the wire keeps no order of a map's entries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from protobuf import DescFieldValueList, DescFieldValueMap, DescFieldValueMessage, DescMessage, Message

Sort = Callable[[Message], None]


def sorter(message: DescMessage) -> Sort | None:
    """What puts all maps of a message in order, or None for a message that can hold no map."""
    return _sort if _has_map(message, set()) else None


def _has_map(message: DescMessage, seen: set[str]) -> bool:
    if message.type_name in seen:
        return False
    seen.add(message.type_name)
    for field in message.fields:
        match field.value:
            case DescFieldValueMap():
                return True
            case DescFieldValueMessage(message=inner) | DescFieldValueList(element=DescMessage() as inner):
                if _has_map(inner, seen):
                    return True
            case _:
                pass
    return False


def _sort(message: Message) -> None:
    for field in message:
        value: Any = message[field]
        match field.value:
            case DescFieldValueMap(value=kind):
                ordered = dict(sorted(value.items()))
                value.clear()
                value.update(ordered)
                if isinstance(kind, DescMessage):
                    for one in value.values():
                        _sort(one)
            case DescFieldValueMessage():
                _sort(value)
            case DescFieldValueList(element=DescMessage()):
                for one in value:
                    _sort(one)
            case _:
                pass
