"""Conditional requests: `ETag`, `If-None-Match`, `If-Match`.

A resource that has an `etag` field is known by it. Any other answer to a GET is known by its bytes, and that
tag is weak: it says that nothing is to be fetched again, and cannot guard a change.
"""

from __future__ import annotations

import re
from hashlib import blake2b

from protobuf import DescField, DescFieldValueScalar, DescMessage, ScalarType

_TAG = re.compile(r'(?:W/)?"([^"\x00-\x20\x7f]*)"')


def etag_field(message: DescMessage) -> DescField | None:
    """The field `etag` of a resource, if it has one."""
    for field in message.fields:
        if field.name == "etag" and isinstance(field.value, DescFieldValueScalar):
            return field if field.value.scalar == ScalarType.STRING else None
    return None


def of_value(etag: str) -> str:
    """The entity tag of a resource with this `etag`."""
    return f'"{etag}"' if _TAG.fullmatch(f'"{etag}"') and etag.isascii() else of_body(etag.encode())


def of_body(body: bytes) -> str:
    """The entity tag of an answer with these bytes."""
    return f'W/"{blake2b(body, digest_size=12).hexdigest()}"'


def is_fresh(if_none_match: str, tag: str) -> bool:
    """Whether the caller has this version already: the weak comparison of RFC 9110."""
    if if_none_match.strip() == "*":
        return True
    match = _TAG.fullmatch(tag)
    return match is not None and match.group(1) in _TAG.findall(if_none_match)


def if_match(header: str) -> str:
    """`If-Match` as the services take it: the bare tags, joined by commas, or `*`."""
    if header.strip() == "*":
        return "*"
    return ",".join(_TAG.findall(header)) or header.strip()
