"""A contract with all that a change of it is worked out from, and what a new transaction makes of it.

The money of a transaction is what all terms cost after it less what they cost before, and is worked out nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from libs.errors import ConcurrentChange
from libs.premium import ChargeLine
from services.policies.lifecycle.rules import charges, timeline
from services.policies.lifecycle.rules.policy import Policy, next_issue_time
from services.policies.lifecycle.rules.prices import rate_of
from services.policies.lifecycle.rules.product import ProductRules
from services.policies.lifecycle.rules.term import Term
from services.policies.lifecycle.rules.transaction import Change, Opening, Transaction, TransactionType


class TimelineDiffers(ValueError):
    """The stack of a policy does not come to the price that stands in its timeline, so that nothing can be added."""


@dataclass(frozen=True, slots=True)
class Contract:
    """A policy, its whole stack in order of issue, and the rules of the product versions of its terms."""

    policy: Policy
    stack: tuple[Transaction, ...]
    rules: Mapping[int, ProductRules]
    """By version."""

    @property
    def currency(self) -> str:
        """The one currency of all amounts."""
        return self.policy.terms[0].currency

    @property
    def standing(self) -> list[Transaction]:
        """The transactions that no other one takes back, in order of issue."""
        return timeline.counting(self.stack)

    @property
    def next_billing_sequence(self) -> int:
        """The position of the next transaction among those that payments is told of."""
        return max((item.billing_sequence or 0 for item in self.stack), default=0) + 1

    def rules_of(self, term: Term) -> ProductRules:
        """The rules of a term. `ConcurrentChange` where its version came to the policy after they were looked up."""
        return self.rules_of_version(term.product_version)

    def rules_of_version(self, version: int) -> ProductRules:
        """The rules of a version of the product, as `rules_of`."""
        if version not in self.rules:
            raise ConcurrentChange
        return self.rules[version]

    def opened(self, term_number: int) -> Transaction:
        """The transaction that a term began with."""
        return next(
            item
            for item in self.standing
            if isinstance(item.change, Opening) and item.change.term_number == term_number
        )

    def term_on(self, day: date) -> Term:
        """The term that a day is part of; before all of them the first, behind them the last."""
        return next((term for term in reversed(self.policy.terms) if term.starts_on <= day), self.policy.terms[0])

    def terms_of(self, stack: Sequence[Transaction]) -> tuple[Term, ...]:
        """The terms that a stack comes to, with all that they cost."""
        return tuple(
            charges.charged(folded, self.rules_of(folded.term).tariff(folded.term.number, folded.term.starts_on))
            for folded in timeline.fold(stack, rate_of(stack), self.currency)
        )


@dataclass(frozen=True)
class Changed:
    """What a transaction makes of a contract."""

    before: Policy
    after: Policy
    transaction: Transaction

    @cached_property
    def terms(self) -> list[Term]:
        """The terms that are different after it, as they are then."""
        old = {term.number: _essence(term) for term in self.before.terms}
        return [term for term in self.after.terms if _essence(term) != old.get(term.number)]

    @property
    def currency(self) -> str:
        """The one currency of all amounts."""
        return self.after.terms[0].currency


def draft(
    contract: Contract,
    kind: TransactionType,
    effective_on: date,
    now: datetime,
    change: Change | None = None,
    *,
    transaction_id: UUID,
    **details: Any,
) -> Transaction:
    """The next transaction of a contract, without its lines. `details` are other fields of it: a reason, a quote."""
    last = contract.stack[-1]
    return Transaction(
        transaction_id,
        last.sequence + 1,
        kind,
        effective_on,
        next_issue_time(last, now),
        change,
        **{"term_number": contract.term_on(effective_on).number, **details},
    )


def put(contract: Contract, transaction: Transaction) -> Changed:
    """What a new transaction makes of the contract, with its lines: all terms after it less all terms before.

    Payments is told of it when money or a timeline changes, or when it has a `billing_sequence` already. Raises
    `TimelineDiffers` rather than charging what an inconsistency would come to.
    """
    before = contract.policy
    old = _lines(before.terms)
    if charges.difference(_lines(contract.terms_of(contract.stack)), old, transaction.effective_on):
        raise TimelineDiffers(f"the stack of policy {before.number} does not come to its timeline")
    terms = contract.terms_of((*contract.stack, transaction))
    after = replace(before, terms=terms, version=before.version + 1)
    lines = tuple(charges.difference(_lines(terms), old, transaction.effective_on))
    changed = Changed(before, after, replace(transaction, lines=lines))
    if transaction.billing_sequence is None and (lines or changed.terms):
        billed = replace(changed.transaction, billing_sequence=contract.next_billing_sequence)
        return replace(changed, transaction=billed)
    return changed


def _lines(terms: Sequence[Term]) -> list[ChargeLine]:
    return [line for term in terms for line in term.lines()]


def _essence(term: Term) -> tuple[object, ...]:
    """What makes a term what it is, in whatever order its lines stand."""
    lines = {
        (line.kind, line.object_id, line.coverage_code, line.charge_code): line.amount
        for line in term.lines()
        if line.amount.minor
    }
    return term.segments, term.cover_starts_at, term.ended, term.product_version, lines
