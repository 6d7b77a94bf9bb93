"""Comments of the contracts, by the full name of what they stand at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from protobuf import DescFile, Registry

# Field numbers of google.protobuf.FileDescriptorProto and its parts, which make the paths of locations.
_FILE_MESSAGE, _FILE_ENUM, _FILE_SERVICE = 4, 5, 6
_FIELD, _NESTED, _NESTED_ENUM = 2, 3, 4
_METHOD, _VALUE = 2, 2


@cache
def of(registry: Registry) -> dict[str, str]:
    """The comment of every message, field, enum, value, service and method that has one."""
    comments: dict[str, str] = {}
    for item in registry:
        if isinstance(item, DescFile) and item.proto.source_code_info is not None:
            names = dict(_names(item.proto))
            for location in item.proto.source_code_info.location:
                name = names.get(tuple(location.path))
                if name and location.leading_comments:
                    comments[name] = _clean(location.leading_comments)
    return comments


def paragraphs(text: str) -> list[str]:
    """A comment's paragraphs, each on one line."""
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if part.strip()]


def reasons(text: str) -> list[str]:
    """The reasons that an RPC's comment lists after `Errors:`."""
    _, marker, listed = text.partition("Errors:")
    return list(dict.fromkeys(re.findall(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b", listed))) if marker else []


def _clean(text: str) -> str:
    return "\n\n".join(paragraphs("\n".join(line.strip() for line in text.splitlines())))


def _names(file: Any) -> Iterator[tuple[tuple[int, ...], str]]:
    for index, message in enumerate(file.message_type):
        yield from _message((_FILE_MESSAGE, index), f"{file.package}.{message.name}", message)
    for index, enum in enumerate(file.enum_type):
        yield from _enum((_FILE_ENUM, index), f"{file.package}.{enum.name}", enum)
    for index, service in enumerate(file.service):
        path, name = (_FILE_SERVICE, index), f"{file.package}.{service.name}"
        yield path, name
        for number, method in enumerate(service.method):
            yield (*path, _METHOD, number), f"{name}.{method.name}"


def _message(path: tuple[int, ...], name: str, message: Any) -> Iterator[tuple[tuple[int, ...], str]]:
    yield path, name
    for index, field in enumerate(message.field):
        yield (*path, _FIELD, index), f"{name}.{field.name}"
    for index, nested in enumerate(message.nested_type):
        yield from _message((*path, _NESTED, index), f"{name}.{nested.name}", nested)
    for index, enum in enumerate(message.enum_type):
        yield from _enum((*path, _NESTED_ENUM, index), f"{name}.{enum.name}", enum)


def _enum(path: tuple[int, ...], name: str, enum: Any) -> Iterator[tuple[tuple[int, ...], str]]:
    yield path, name
    for index, value in enumerate(enum.value):
        yield (*path, _VALUE, index), f"{name}.{value.name}"
