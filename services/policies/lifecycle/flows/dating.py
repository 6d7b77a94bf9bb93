"""Writing the timeline of a policy of before, from its quote, in the caller's transaction."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from sqlalchemy.orm import Session

from services.policies.lifecycle.rules import policy
from services.policies.lifecycle.rules.charges import premium_of
from services.policies.lifecycle.rules.insured import insured_by
from services.policies.lifecycle.rules.quote import Quote
from services.policies.lifecycle.rules.transaction import TransactionType
from services.policies.lifecycle.store import objects, policies, timelines, transactions

_MOST = 100  # transactions of a policy of before: it was issued, and perhaps activated


class PremiumDiffers(ValueError):
    """The lines of a quote do not add up to what its policy costs."""


def write_timeline(session: Session, policy_id: UUID, quote: Quote) -> None:
    """Save what a policy of before insures, line by line at what price, and when its cover began; once.

    `PremiumDiffers` when its quote says another price than was sold.
    """
    contract = policies.lock(session, policy_id)
    if contract is None or contract.has_timeline:
        return
    sold = contract.terms[0]
    term = replace(policy.term_of(quote), starts_on=sold.starts_on, ends_on=sold.ends_on)
    if premium_of(term.lines(), term.currency) != premium_of(sold.lines(), sold.currency):
        raise PremiumDiffers(f"policy {contract.number} was sold at another price than its quote says")
    for transaction in transactions.list_behind(session, policy_id, 0, _MOST):
        if transaction.type is TransactionType.NEW_BUSINESS:
            lines = tuple(term.lines())
            transactions.save_missing(session, replace(transaction, lines=lines, quote_id=quote.id, billing_sequence=1))
            timelines.add(session, policy_id, transaction, term)
        elif transaction.type is TransactionType.ACTIVATION:
            paid = replace(term, cover_starts_at=sold.cover_starts_at)
            timelines.add_same_segments(session, policy_id, transaction, paid)
    objects.add(session, policy_id, contract.product_code, insured_by([term]))
    policies.save_origin(session, replace(contract, created_by=quote.created_by, partner_id=quote.partner_id))
