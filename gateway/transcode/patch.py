"""The update mask of a PATCH that gives none: the fields that stand in the body."""

from __future__ import annotations

from typing import Any

from protobuf import DescFieldValueMessage, DescMessage

from gateway.contracts.fields import WELL_KNOWN, by_name


def mask(kind: DescMessage, body: Any, bound: frozenset[str] = frozenset()) -> list[str]:
    """Paths of all fields in `body`, in the contract's names and order, less those that the path binds.

    Messages are entered; lists, maps, types with a JSON form of their own, and single values such as a date or
    an amount are replaced as a whole, and a null names the field that it clears.
    """
    return [path for path in _paths(kind, body, "") if path not in bound]


def _paths(kind: DescMessage, body: Any, prefix: str) -> list[str]:
    paths: dict[int, list[str]] = {}
    fields = by_name(kind)
    for key, value in body.items():
        field = fields[key]
        path = prefix + field.name
        inner = field.value.message if isinstance(field.value, DescFieldValueMessage) else None
        if inner is not None and not _is_one_value(inner) and isinstance(value, dict) and value:
            paths[field.number] = _paths(inner, value, f"{path}.")
        else:
            paths[field.number] = [path]
    return [path for number in sorted(paths) for path in paths[number]]


def _is_one_value(kind: DescMessage) -> bool:
    """Whether no part of the message means anything without the others: half a date is none."""
    return kind.type_name in WELL_KNOWN or kind.type_name.startswith("google.type.")
