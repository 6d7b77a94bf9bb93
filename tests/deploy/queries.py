"""The part of Elasticsearch's query language that our Kibana queries use, as predicates over one log line."""

from __future__ import annotations

from typing import Any


def chooses(query: dict[str, Any], line: dict[str, Any]) -> bool:
    """Whether a query finds a line."""
    ((kind, body),) = query.items()
    if kind == "bool":
        return all(chooses(part, line) for part in body["must"])
    ((field, criterion),) = body.items()
    if kind == "term":
        return bool(line.get(field) == criterion)
    assert kind == "range"
    value = line.get(field)
    return isinstance(value, int | float) and value >= criterion["gte"]


def as_jq(query: dict[str, Any]) -> str:
    """The same predicate for jq."""
    ((kind, body),) = query.items()
    if kind == "bool":
        return " and ".join(f"({as_jq(part)})" for part in body["must"])
    ((field, criterion),) = body.items()
    if kind == "term":
        return f'.{field} == "{criterion}"'
    return f'(.{field} | type) == "number" and .{field} >= {criterion["gte"]}'
