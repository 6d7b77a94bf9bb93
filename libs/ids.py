"""Identifiers: UUIDv7 inside, so that rows are stored in the order of their making; TypeIDs at the edge.

`pol_01m86535y1eaws2ywvkrpm6m62` is the UUID in base 32 behind a prefix that names the kind of thing.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import uuid_utils
from typeid.codecs import base32

from libs.errors import FieldInvalid

_LARGEST = "7"  # first of 26 digits of five bits that hold 128


def new() -> UUID:
    """A new UUIDv7."""
    return UUID(bytes=uuid_utils.uuid7().bytes)


def first_of(moment: datetime) -> UUID:
    """The smallest UUIDv7 of a moment: ids that are made from then on are larger."""
    return UUID(int=max(int(moment.timestamp() * 1000), 0) << 80)


def encode(prefix: str, value: UUID) -> str:
    """The identifier that callers see."""
    return f"{prefix}_{base32.encode(value.bytes)}"


def decode(prefix: str, text: str, field: str = "") -> UUID:
    """The UUID of an identifier. `FieldInvalid` when it is malformed or of another kind of thing."""
    kind, _, suffix = text.rpartition("_")
    try:
        if suffix[:1] > _LARGEST:
            raise RuntimeError("more than 128 bits")
        value = UUID(bytes=base32.decode(suffix))
    except RuntimeError as error:
        raise FieldInvalid(violations={field or f"{prefix}_id": "is not an identifier"}) from error
    if kind != prefix:
        raise FieldInvalid(violations={field or f"{prefix}_id": f"is not an identifier that begins with {prefix}_"})
    return value
