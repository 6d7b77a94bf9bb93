"""How far a user may decide alone: what their access token says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from libs.money import Money

AMOUNTS: Final = ("claim_limit", "refund_limit", "write_off_limit")


@dataclass(frozen=True, slots=True)
class Authority:
    """The limits of one user. Who has none decides nothing that has a limit.

    An amount is given per currency, in its minor units; in a currency that is not there it is zero.
    """

    underwriting_level: int = 0
    """From 0, which decides nothing, to 9."""
    claim_limit: Mapping[str, int] = field(default_factory=dict, hash=False)
    """The largest payment of a claim."""
    refund_limit: Mapping[str, int] = field(default_factory=dict, hash=False)
    """The largest amount given back."""
    write_off_limit: Mapping[str, int] = field(default_factory=dict, hash=False)
    """The largest debt given up."""

    def limit(self, name: str, currency: str) -> Money:
        """The amount of `claim_limit`, `refund_limit` or `write_off_limit` in a currency."""
        amounts: Mapping[str, int] = getattr(self, name)
        return Money(amounts.get(currency, 0), currency)


NO_AUTHORITY = Authority()
