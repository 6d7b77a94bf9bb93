"""Which values are secret, by the name that they go by: for what shows values, and for what keeps them."""

from __future__ import annotations

from typing import Final

_WORDS: Final = ("password", "secret", "token", "hash", "card", "payment_method")


def is_secret(name: str) -> bool:
    """Whether the value of that name must be neither shown nor kept. A name that only contains such a word counts."""
    return any(word in name.lower() for word in _WORDS)
