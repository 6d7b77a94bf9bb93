"""Giving up a quote: by its own people, or because another quote of its group was taken."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from services.quotes.quoting.rules.quote import OPEN, Quote, QuoteStateInvalid, State, refuse

SIBLING = "Another quote of the group was accepted."


def withdraw(quote: Quote, reason: str, now: datetime) -> Quote:
    """Give up a quote that was not bound."""
    if quote.state(now) not in OPEN:
        refuse(quote, now)
    return replace(quote, recorded_state=State.WITHDRAWN, withdraw_reason=reason, version=quote.version + 1)


def give_up(siblings: Iterable[Quote], now: datetime) -> list[tuple[Quote, Quote]]:
    """The other quotes of a group of which one was taken, before and after; those that are open are withdrawn."""
    return [(sibling, withdraw(sibling, SIBLING, now)) for sibling in siblings if sibling.state(now) in OPEN]


def check_group(group: Iterable[Quote]) -> None:
    """Refuse a group of which a quote was bound: no other one can be taken."""
    if any(quote.recorded_state is State.BOUND for quote in group):
        raise QuoteStateInvalid("another quote of the group was bound", state=State.BOUND)
