"""The prices of risks that the transactions of a policy brought along, so that its stack can be folded at any time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from libs.money import Money
from services.policies.lifecycle.rules.term import Item, Risk
from services.policies.lifecycle.rules.timeline import Rate, counting
from services.policies.lifecycle.rules.transaction import Opening, Price, Transaction


class RiskNotPriced(LookupError):
    """A stack comes to a risk that none of its transactions has a price for."""


def rate_of(stack: Sequence[Transaction]) -> Rate:
    """What the whole of a term costs on a risk, by the newest transaction that counts and has a price for it.

    The prices of a transaction that was taken back stand behind those of the others. `RiskNotPriced` where there is
    none.
    """
    prices = {
        (price.term_number, price.risk.key): price.full_term
        for transaction in [*stack, *counting(stack)]
        for price in transaction.prices
    }

    def rate(opening: Opening, risk: Risk) -> Mapping[Item, Money]:
        try:
            return prices[opening.term_number, risk.key]
        except KeyError:
            raise RiskNotPriced(f"term {opening.term_number} comes to a risk without a price") from None

    return rate


def prices_missing(stack: Sequence[Transaction], brought: Iterable[Price]) -> tuple[Price, ...]:
    """Of some prices, those of risks that a stack has none for, each risk of a term once.

    A price that stands is not brought again: what an underwriter added to it stays, and what nobody touches never
    changes.
    """
    known = {(price.term_number, price.risk.key) for transaction in counting(stack) for price in transaction.prices}
    missing = {(price.term_number, price.risk.key): price for price in reversed(list(brought))}
    return tuple(price for key, price in reversed(missing.items()) if key not in known)


def is_same(one: Risk, other: Risk) -> bool:
    """Whether two risks are the same, in whatever order they say what is insured."""
    return one.key == other.key
