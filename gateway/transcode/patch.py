"""The update mask of a PATCH that gives none: the fields that stand in the body."""

from __future__ import annotations

from typing import Any

from protobuf import DescFieldValueMessage, DescMessage

from gateway.contracts.fields import WELL_KNOWN, by_name


def mask(kind: DescMessage, body: Any, bound: frozenset[str] = frozenset()) -> list[str]:
    """Paths of all fields in `body`, in the contract's names and order, less those that the path binds.

    Messages are entered; lists, maps and types with a JSON form of their own are replaced as a whole, and a
    null names the field that it clears.
    """
    return [path for path in _paths(kind, body, "") if path not in bound]


def _paths(kind: DescMessage, body: Any, prefix: str) -> list[str]:
    paths: dict[int, list[str]] = {}
    fields = by_name(kind)
    for key, value in body.items():
        field = fields[key]
        path = prefix + field.name
        inner = field.value.message if isinstance(field.value, DescFieldValueMessage) else None
        if inner is not None and inner.type_name not in WELL_KNOWN and isinstance(value, dict) and value:
            paths[field.number] = _paths(inner, value, f"{path}.")
        else:
            paths[field.number] = [path]
    return [path for number in sorted(paths) for path in paths[number]]
