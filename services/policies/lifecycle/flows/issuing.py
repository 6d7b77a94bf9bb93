"""Issuing a policy from an accepted quote, with all that follows from it, in the caller's transaction."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy.orm import Session

from libs import audit, ids
from libs.calendar import day_of
from libs.db import when_committed
from libs.jobs import defer
from services.policies.lifecycle import measures
from services.policies.lifecycle.kinds import BIND_QUOTE, OPEN_BILLING, BindQuote, OpenBilling
from services.policies.lifecycle.rules import policy, quote
from services.policies.lifecycle.rules.charges import premium_of
from services.policies.lifecycle.rules.insured import insured_by
from services.policies.lifecycle.rules.policy import Policy
from services.policies.lifecycle.rules.quote import PolicyAlreadyIssued, Quote
from services.policies.lifecycle.store import numbers, objects, payment_methods, policies, timelines, transactions


def issue(session: Session, accepted: Quote, plan_code: str, payment_method: str, actor: str, now: datetime) -> Policy:
    """Save the contract of a quote, with the jobs that bind the quote and have the premium billed.

    `payment_method` is the token with which the first premium is collected; empty where the policyholder pays it.
    Raises the state that keeps the policy from being issued.
    """
    if policy_id := policies.find_of_quote(session, accepted.id):
        raise PolicyAlreadyIssued(policy_id=ids.encode("pol", policy_id))
    quote.check_issuable(accepted, plan_code, now)
    year = day_of(now, accepted.time_zone).year
    contract, transaction = policy.issue(
        accepted,
        plan_code,
        now,
        policy_id=ids.new(),
        transaction_id=ids.new(),
        number=policy.number_for(accepted.product_code, year, numbers.add(session)),
        payer_id=accepted.user_id,
    )
    term = contract.terms[0]
    policies.add(session, contract)
    transactions.add(session, contract.id, replace(transaction, actor=actor), term.currency)
    timelines.add(session, contract.id, transaction, term)
    objects.add(session, contract.id, contract.product_code, insured_by(contract.terms))
    if payment_method:
        payment_methods.add(session, contract.id, payment_method)
    defer(session, BIND_QUOTE, BindQuote(contract.id))
    defer(session, OPEN_BILLING, OpenBilling(contract.id, accepted.plans[plan_code]))
    audit.record(session, "policy_issued", ids.encode("pol", contract.id), after=_audited(contract, now))
    when_committed(session, lambda: measures.count_issued(contract))
    return contract


def _audited(contract: Policy, now: datetime) -> dict[str, object]:
    """What the audit log keeps of a new policy."""
    term = contract.terms[0]
    return {
        "number": contract.number,
        "user_id": ids.encode("usr", contract.user_id),
        "quote_id": ids.encode("quo", contract.quote_id),
        "product": f"{contract.product_code} {contract.product_version}",
        "state": contract.state(now),
        "starts_on": term.starts_on,
        "ends_on": term.ends_on,
        "total": premium_of(term.lines(), term.currency).total,
    }
