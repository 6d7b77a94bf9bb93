"""JSON that comes in, read strictly: what the protobuf library would let pass or not locate is found here.

A body is read twice: once as plain JSON, to refuse what JSON readers disagree about (a key given twice, NaN,
NUL, bytes that are not UTF-8, endless nesting), and once by the protobuf library from the same bytes. Only
when something is wrong is the value walked along the descriptors to name each wrong field.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from protobuf import (
    DescField,
    DescFieldValueList,
    DescFieldValueMap,
    DescFieldValueMessage,
    DescMessage,
    Message,
    Registry,
    merge_from_json,
    message_from_json_value,
)

from gateway.contracts.fields import OPAQUE, WELL_KNOWN, by_name, kind_of

DEPTH = 100
# A level of google.protobuf.Struct is three levels of messages, and the services read a hundred of those.
OPAQUE_DEPTH = 30
_MOST_VIOLATIONS = 20  # wrong fields that one answer names
_FAILURES = (ValueError, TypeError, OverflowError, RecursionError, AttributeError)


class _Twice(dict[str, Any]):
    """An object in which a key stood more than once."""

    key = ""


class ViolationError(ValueError):
    """A body is not what the contract says: each wrong field with what is wrong about it."""

    def __init__(self, violations: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{path}: {text}" for path, text in violations))
        self.violations = violations


def parse(raw: bytes, root: str = "body") -> tuple[Any, bool]:
    """The value of a JSON text, and whether it has something in it that needs a walk."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise ViolationError([(root, "is not UTF-8")]) from None
    doubtful = "\\u" in text  # NUL and lone surrogates can only be written as escapes

    def an_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal doubtful
        made = dict(pairs)
        if len(made) != len(pairs):
            doubtful = True
            twice = _Twice(made)
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen:
                    twice.key = key
                    break
                seen.add(key)
            return twice
        if not doubtful and any("_" in key for key in made):
            doubtful = True  # a field may be given by both of its names
        return made

    try:
        value = json.loads(text, object_pairs_hook=an_object, parse_constant=_no_constant)
    except RecursionError:
        raise ViolationError([(root, f"nests deeper than {DEPTH} levels")]) from None
    except ValueError as error:
        raise ViolationError([(root, f"is not JSON: {error}")]) from None
    if text.count("{") + text.count("[") > OPAQUE_DEPTH:
        depth = _depth(value)
        if depth > DEPTH:
            raise ViolationError([(root, f"nests deeper than {DEPTH} levels")])
        doubtful = doubtful or depth > OPAQUE_DEPTH
    return value, doubtful


def merge(
    message: Message, kind: DescMessage, raw: bytes, registry: Registry, *, field: str = "", key: str = ""
) -> Any:
    """Read a body into `message`, or into its `field` (`key` in JSON). Return the body as plain JSON."""
    value, doubtful = parse(raw, field or "body")
    doubtful = doubtful or _has_choice(kind)  # of a oneof the library takes the last that is given
    whole = {key: value} if key else value
    if not isinstance(whole, dict):
        raise ViolationError([("body", "must be an object")])
    if doubtful and (violations := list(walk(kind, whole, registry))):
        raise ViolationError(violations[:_MOST_VIOLATIONS])
    try:
        merge_from_json(message, b'{"%b":%b}' % (key.encode(), raw) if key else raw, registry=registry)
    except _FAILURES as error:
        violations = list(walk(kind, whole, registry)) or [(field or "body", str(error))]
        raise ViolationError(violations[:_MOST_VIOLATIONS]) from None
    return value


def walk(kind: DescMessage, value: Any, registry: Registry, path: str = "") -> Iterator[tuple[str, str]]:
    """Every field below `value` that is wrong, as its path in the contract and what is wrong."""
    if kind.type_name in WELL_KNOWN or not isinstance(value, dict):
        yield from _leaf(kind, value, registry, path)
        return
    if isinstance(value, _Twice):
        yield _join(path, value.key), "is given twice"
    fields = by_name(kind)
    seen: dict[int, str] = {}
    chosen: dict[str, str] = {}
    for key, item in value.items():
        field = fields.get(key)
        if field is None:
            yield _join(path, key), "is not a field of the request"
            continue
        here = _join(path, field.name)
        if field.number in seen:
            yield here, f"is given twice, as {seen[field.number]} and as {key}"
            continue
        seen[field.number] = key
        choice = _choice(field)
        if choice and item is not None and (other := chosen.setdefault(choice, field.name)) != field.name:
            yield here, f"cannot be given together with {other}"
            continue
        match field.value:
            case DescFieldValueMessage(message=inner) if item is not None:
                yield from walk(inner, item, registry, here)
            case DescFieldValueList(element=DescMessage() as inner) if isinstance(item, list):
                for index, one in enumerate(item):
                    yield from walk(inner, one, registry, f"{here}[{index}]")
            case DescFieldValueMap(value=DescMessage() as inner) if isinstance(item, dict):
                yield from _keys(item, here)
                yield from _leaf_of(kind, {key: {name: {} for name in item}}, registry, here)
                for name, one in item.items():
                    yield from walk(inner, one, registry, f"{here}[{name}]")
            case _:
                yield from _keys(item, here)
                yield from _texts(item, here)
                yield from _leaf_of(kind, {key: item}, registry, here)


def _choice(field: DescField) -> str:
    """The oneof that a field belongs to."""
    oneof = None if isinstance(field.value, (DescFieldValueList, DescFieldValueMap)) else field.value.oneof
    return oneof.name if oneof is not None else ""


@cache
def _has_choice(kind: DescMessage) -> bool:
    """Whether a message, or one within it, has a oneof."""
    left, seen = [kind], {kind.type_name} | WELL_KNOWN
    while left:
        for field in left.pop().fields:
            if _choice(field):
                return True
            inner = kind_of(field)
            if isinstance(inner, DescMessage) and inner.type_name not in seen:
                seen.add(inner.type_name)
                left.append(inner)
    return False


def _leaf(kind: DescMessage, value: Any, registry: Registry, path: str) -> Iterator[tuple[str, str]]:
    """Check a value that is read as a whole: a well-known type, or something that is not even an object."""
    wrong = [*_keys(value, path), *_texts(value, path)]
    if kind.type_name in OPAQUE and _depth(value) > OPAQUE_DEPTH:
        wrong.append((path, f"nests deeper than {OPAQUE_DEPTH} levels"))
    if wrong:
        yield from wrong
        return
    yield from _leaf_of(kind, value, registry, path or "body")


def _leaf_of(kind: DescMessage, value: Any, registry: Registry, path: str) -> Iterator[tuple[str, str]]:
    """What the protobuf library says about a value."""
    try:
        message_from_json_value(kind.type, value, registry=registry)
    except _FAILURES as error:
        yield path, _reason(error)


def _keys(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, _Twice):
        yield _join(path, value.key), "is given twice"
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _keys(item, _join(path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _keys(item, f"{path}[{index}]")


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        if "\0" in value:
            yield path, "has a NUL character"
        elif not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
            yield path, "has half of a surrogate pair"
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(key, path)
            yield from _texts(item, _join(path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, f"{path}[{index}]")


def _depth(value: Any) -> int:
    deepest, level = 0, [value]
    while level := [
        item
        for one in level
        if isinstance(one, (dict, list))
        for item in ([None, *one.values()] if isinstance(one, dict) else [None, *one])
    ]:
        deepest += 1
    return deepest


def _join(path: str, name: str) -> str:
    name = name.encode("utf-8", "backslashreplace").decode()[:100]
    return f"{path}.{name}" if path else name


def _reason(error: Exception) -> str:
    """What the protobuf library says, without the Python and the type names in it."""
    text = str(error).partition(" for field ")[0]
    for prefix in ("cannot decode ", "unexpected json type"):
        if text.startswith(prefix):
            return "has a value of a wrong type or form"
    return text.replace("<class '", "").replace("'>", "")


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value")


def merge_parameters(message: Message, kind: DescMessage, value: dict[str, Any], registry: Registry) -> None:
    """Read path and query parameters into `message`; what is there already and given again is replaced."""
    try:
        merge_from_json(message, json.dumps(value), registry=registry)
    except _FAILURES as error:
        violations = list(walk(kind, value, registry)) or [("query", str(error))]
        raise ViolationError(violations[:_MOST_VIOLATIONS]) from None
