"""Changing a contract, in the caller's transaction: loading all that a change is worked out from, and saving it.

Every change of money goes through here. The order is the same in all of them: what they need of other services is asked
before the transaction, the policy's row is locked first, the change is decided on what stands then, and saved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy.orm import Session

from libs import audit, ids
from libs.errors import Unavailable
from libs.jobs import defer
from services.policies.lifecycle.flows import billing
from services.policies.lifecycle.kinds import BIND_QUOTE, BindQuote
from services.policies.lifecycle.rules.charges import premium_of
from services.policies.lifecycle.rules.contract import Changed, Contract
from services.policies.lifecycle.rules.insured import insured_by
from services.policies.lifecycle.rules.policy import Policy
from services.policies.lifecycle.rules.product import ProductRules
from services.policies.lifecycle.rules.settlement import AS_USUAL, Settlement
from services.policies.lifecycle.store import objects, policies, timelines, transactions


class TimelineNotWritten(Unavailable):
    """What the policy insures is still being written down; try again in a minute."""

    reason = "DEPENDENCY_UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class Decision:
    """A change that is decided, and what goes with it."""

    changed: Changed
    action: str
    """What the audit log calls it."""
    settlement: Settlement = AS_USUAL
    documents: tuple[str, ...] = ()
    """Codes of the documents that it calls for."""
    installments: int = 0
    """Of the plan by which a term is paid that begins with it."""
    details: Mapping[str, object] = field(default_factory=dict)
    """What the audit log keeps of it beside the money."""


def check_timeline(policy: Policy) -> None:
    """`TimelineNotWritten` for a policy of before that has no timeline yet."""
    if not policy.has_timeline:
        raise TimelineNotWritten


def load(session: Session, policy: Policy, rules: Mapping[int, ProductRules]) -> Contract:
    """The contract of a policy with its whole stack. `TimelineNotWritten` for one of before that has none yet."""
    check_timeline(policy)
    return Contract(policy, transactions.list_stack(session, policy.id), rules)


def save(session: Session, decision: Decision, actor: str, now: datetime) -> None:
    """Save a change of a policy that is locked: the transaction, the terms that it changed, what is insured then, the
    jobs that bind its quote and have it billed, and what the audit log keeps.
    """
    changed = decision.changed
    policy, transaction = changed.after, replace(changed.transaction, actor=actor)
    transactions.add(session, policy.id, transaction, changed.currency)
    for term in changed.terms:
        timelines.add(session, policy.id, transaction, term)
    objects.save(session, policy.id, policy.product_code, insured_by(policy.terms))
    policies.save(session, policy)
    if transaction.quote_id is not None:
        defer(session, BIND_QUOTE, BindQuote(policy.id, transaction.id))
    if transaction.billing_sequence is not None:
        billing.have_applied(session, policy.id, transaction, decision.installments, settlement=decision.settlement)
    audit.record(
        session,
        decision.action,
        ids.encode("pol", policy.id),
        before={"state": changed.before.state(now)},
        after={
            "state": policy.state(now),
            "transaction_id": ids.encode("ptx", transaction.id),
            "effective_on": transaction.effective_on,
            "change": premium_of(transaction.lines, changed.currency).total,
            **decision.details,
        },
    )
