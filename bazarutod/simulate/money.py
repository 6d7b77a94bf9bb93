"""Amounts of the API, in whole hundredths of their currency: all currencies of the products have two places."""

from __future__ import annotations

from typing import Any

_NANOS = 10_000_000  # of a hundredth


def minor(amount: dict[str, Any] | None) -> int:
    """An amount in hundredths; nothing where there is none."""
    amount = amount or {}
    return int(amount.get("units", 0)) * 100 + int(amount.get("nanos", 0)) // _NANOS


def text(amount: int) -> str:
    """An amount as people read it."""
    return f"{amount / 100:,.2f}"
