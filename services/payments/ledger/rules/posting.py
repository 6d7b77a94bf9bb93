"""The posting rules: one function for each event that moves money. It returns the journal of that event."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from uuid import UUID

from libs.money import Money
from libs.premium import Premium
from services.payments.ledger.rules.chart import Side
from services.payments.ledger.rules.journal import Journal, Posting


def policy_issued(source_id: str, policy_id: UUID, premium: Premium, day: date) -> Journal:
    """The whole price is owed, though not billed; net is unearned, tax is owed to the state, fees are income."""
    return _journal(
        "policy_issued",
        source_id,
        policy_id,
        day,
        debit=(("1105", premium.total),),
        credit=(("2000", premium.net), ("2100", premium.tax), ("4100", premium.fees)),
    )


def invoice_issued(source_id: str, policy_id: UUID, amount: Money, day: date) -> Journal:
    """What is owed is now billed."""
    return _journal("invoice_issued", source_id, policy_id, day, debit=(("1100", amount),), credit=(("1105", amount),))


def invoice_voided(source_id: str, policy_id: UUID, amount: Money, day: date) -> Journal:
    """What was billed is owed as if it had not been: the reverse of `invoice_issued`."""
    return _journal("invoice_voided", source_id, policy_id, day, debit=(("1105", amount),), credit=(("1100", amount),))


def policy_not_taken(source_id: str, policy_id: UUID, premium: Premium, day: date) -> Journal:
    """Nothing is owed for a contract that never took effect: the reverse of `policy_issued`."""
    return _journal(
        "policy_not_taken",
        source_id,
        policy_id,
        day,
        debit=(("2000", premium.net), ("2100", premium.tax), ("4100", premium.fees)),
        credit=(("1105", premium.total),),
    )


def payment_captured(source_id: str, policy_id: UUID, amount: Money, day: date) -> Journal:
    """What was billed is with the payment provider."""
    return _journal(
        "payment_captured", source_id, policy_id, day, debit=(("1010", amount),), credit=(("1100", amount),)
    )


def _journal(
    rule: str,
    source_id: str,
    policy_id: UUID,
    day: date,
    *,
    debit: Iterable[tuple[str, Money]],
    credit: Iterable[tuple[str, Money]],
) -> Journal:
    """A journal of what is not zero."""
    sides = ((Side.DEBIT, debit), (Side.CREDIT, credit))
    postings = (Posting(account, side, amount) for side, pairs in sides for account, amount in pairs if amount.minor)
    return Journal(rule, source_id, policy_id, day, tuple(postings))
