"""What every part of a product file has in common."""

from __future__ import annotations

from typing import ClassVar


class Part:
    """A part of a product file. Keys that it does not know are refused."""

    __slots__ = ()
    __pydantic_config__: ClassVar = {"extra": "forbid"}
