"""Issuing a policy from an accepted quote, with all that follows from it, in the caller's transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from libs import audit, ids
from libs.calendar import day_of
from libs.db import when_committed
from libs.identity.scopes import Scope
from libs.jobs import defer
from services.policies.lifecycle import measures
from services.policies.lifecycle.flows import billing, insuring, naming
from services.policies.lifecycle.kinds import BIND_QUOTE, BindQuote
from services.policies.lifecycle.rules import policy, quote
from services.policies.lifecycle.rules.beneficiary import Beneficiaries, Beneficiary, check_members
from services.policies.lifecycle.rules.charges import premium_of
from services.policies.lifecycle.rules.insured import insured_by
from services.policies.lifecycle.rules.policy import Policy
from services.policies.lifecycle.rules.quote import PolicyAlreadyIssued, Quote
from services.policies.lifecycle.store import numbers, objects, payment_methods, policies, timelines, transactions


@dataclass(frozen=True, slots=True)
class Wish:
    """How a policy is to be issued."""

    plan_code: str
    payer_id: UUID
    """The party that is to owe for it."""
    actor: str
    """Who issues it, as the audit log names them."""
    scope: Scope
    """Whose policies they are shown."""
    payment_method: str = ""
    """The token with which the first premium is collected; empty where the payer pays it."""
    allows_duplicate: bool = False
    beneficiaries: tuple[Beneficiary, ...] = ()
    method_id: UUID | None = None
    """What the first premium is collected with instead of a token: a payment method that the payer keeps."""


def preview(session: Session, accepted: Quote, wish: Wish, now: datetime) -> Policy:
    """The contract as `issue` would make it now, without its number. Nothing is stored.

    Raises the state that keeps the policy from being issued.
    """
    _check(session, accepted, wish, now)
    nothing = UUID(int=0)
    contract, _ = policy.issue(
        accepted, wish.plan_code, now, policy_id=nothing, transaction_id=nothing, number="", payer_id=wish.payer_id
    )
    return contract


def issue(session: Session, accepted: Quote, wish: Wish, now: datetime) -> Policy:
    """Save the contract of a quote, with the jobs that bind the quote and have the premium billed.

    Raises the state that keeps the policy from being issued.
    """
    insured = insured_by([policy.term_of(accepted)])
    objects.lock(session, accepted.product_code, insured)
    _check(session, accepted, wish, now)
    year = day_of(now, accepted.time_zone).year
    contract, transaction = policy.issue(
        accepted,
        wish.plan_code,
        now,
        policy_id=ids.new(),
        transaction_id=ids.new(),
        number=policy.number_for(accepted.product_code, year, numbers.add(session)),
        payer_id=wish.payer_id,
    )
    term = contract.terms[0]
    policies.add(session, contract)
    transactions.add(session, contract.id, replace(transaction, actor=wish.actor), term.currency)
    timelines.add(session, contract.id, transaction, term)
    objects.add(session, contract.id, contract.product_code, insured)
    if wish.beneficiaries:
        naming.set_beneficiaries(session, contract, Beneficiaries(), wish.beneficiaries, wish.actor, now)
    if wish.payment_method:
        payment_methods.add(session, contract.id, wish.payment_method)
    defer(session, BIND_QUOTE, BindQuote(contract.id, transaction.id))
    billing.have_applied(session, contract.id, transaction, accepted.plans[wish.plan_code], wish.method_id)
    audit.record(session, "policy_issued", ids.encode("pol", contract.id), after=_audited(contract, now))
    when_committed(session, lambda: measures.count_issued(contract))
    return contract


def _check(session: Session, accepted: Quote, wish: Wish, now: datetime) -> None:
    if policy_id := policies.find_of_quote(session, accepted.id):
        raise PolicyAlreadyIssued(policy_id=ids.encode("pol", policy_id))
    quote.check_issuable(accepted, wish.plan_code, now)
    check_members(wish.beneficiaries)
    if not wish.allows_duplicate:
        insured = insured_by([policy.term_of(accepted)])
        insuring.check_once(session, accepted.product_code, insured, wish.scope, now)


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
