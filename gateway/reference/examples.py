"""Examples of requests: what the contracts declare of a message, laid out as HTTP carries it."""

from __future__ import annotations

import json
from typing import Any, cast

from protobuf import DescMessage, Registry

from gateway.contracts import descriptors
from gateway.contracts.descriptors import RuleError
from gateway.contracts.fields import camel

EXAMPLE = "bazaruto.options.v1.example"


def of_message(registry: Registry, message: DescMessage) -> dict[str, Any] | None:
    """The example that a message declares, as JSON; None where it declares none.

    `RuleError` names the message whose example it is not.
    """
    text = descriptors.option(registry, message.proto.options, EXAMPLE)
    if text is None:
        return None
    try:
        message.type.from_json(text, registry=registry)
    except ValueError as error:
        raise RuleError(f"{message.type_name}: option example is no such message: {error}") from None
    return cast(dict[str, Any], json.loads(text))


def at(example: dict[str, Any] | None, path: str) -> Any:
    """What an example has for a field such as `user.user_id`; None where it has nothing."""
    value: Any = example
    for name in path.split("."):
        value = value.get(camel(name)) if isinstance(value, dict) else None
    return value


def without(example: dict[str, Any], paths: list[str]) -> dict[str, Any]:
    """An example without the fields that stand elsewhere, in the path of its address."""
    left = dict(example)
    for path in paths:
        outer, _, inner = path.partition(".")
        if inner and isinstance(left.get(camel(outer)), dict):
            left[camel(outer)] = without(left[camel(outer)], [inner])
        elif not inner:
            left.pop(camel(outer), None)
    return left
