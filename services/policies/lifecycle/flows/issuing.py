"""Issuing a policy from an accepted quote, with all that follows from it, in the caller's transaction."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from libs import audit, ids
from libs.calendar import day_of
from libs.db import when_committed
from libs.jobs import defer
from services.policies.lifecycle import measures
from services.policies.lifecycle.kinds import BIND_QUOTE, OPEN_BILLING, BindQuote, OpenBilling
from services.policies.lifecycle.rules import policy
from services.policies.lifecycle.rules.policy import Policy, PolicyAlreadyIssued, Quote
from services.policies.lifecycle.store import numbers, payment_methods, policies, transactions


def issue(session: Session, quote: Quote, plan_code: str, payment_method: str, now: datetime) -> Policy:
    """Save the contract of a quote, with the jobs that bind the quote and have the premium billed.

    `payment_method` is the token with which the first premium is collected; empty where the policyholder pays it.
    Raises the state that keeps the policy from being issued.
    """
    if policy_id := policies.find_of_quote(session, quote.id):
        raise PolicyAlreadyIssued(policy_id=ids.encode("pol", policy_id))
    policy.check_issuable(quote, plan_code, now)
    year = day_of(now, quote.time_zone).year
    sequence = numbers.add(session, policy.prefix_of(quote.product_code), year)
    contract, transaction = policy.issue(
        quote,
        plan_code,
        now,
        policy_id=ids.new(),
        transaction_id=ids.new(),
        number=policy.number_for(quote.product_code, year, sequence),
    )
    policies.add(session, contract)
    transactions.add(session, contract.id, transaction)
    policies.add_term(session, contract, transaction.id)
    if payment_method:
        payment_methods.add(session, contract.id, payment_method)
    defer(session, BIND_QUOTE, BindQuote(contract.id))
    defer(session, OPEN_BILLING, OpenBilling(contract.id, quote.plans[plan_code]))
    audit.record(session, "policy_issued", ids.encode("pol", contract.id), after=_audited(contract, now))
    when_committed(session, lambda: measures.count_issued(contract))
    return contract


def _audited(contract: Policy, now: datetime) -> dict[str, object]:
    """What the audit log keeps of a new policy."""
    return {
        "number": contract.number,
        "user_id": ids.encode("usr", contract.user_id),
        "quote_id": ids.encode("quo", contract.quote_id),
        "product": f"{contract.product_code} {contract.product_version}",
        "state": contract.state(now),
        "starts_on": contract.term.starts_on,
        "ends_on": contract.term.ends_on,
        "total": contract.term.premium.total,
    }
