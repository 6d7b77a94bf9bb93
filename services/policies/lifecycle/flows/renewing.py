"""Offering next terms, deciding on them and beginning them, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from libs import audit, ids
from libs.errors import ResourceNotFound
from libs.jobs import required
from services.policies.lifecycle.flows import changing
from services.policies.lifecycle.flows.changing import Decision as Change
from services.policies.lifecycle.rules import renewal
from services.policies.lifecycle.rules.contract import Contract
from services.policies.lifecycle.rules.policy import Policy
from services.policies.lifecycle.rules.product import ProductRules
from services.policies.lifecycle.rules.quote import Quote
from services.policies.lifecycle.rules.renewal import Decision, Offer, Offered, Preference
from services.policies.lifecycle.rules.settlement import Settlement
from services.policies.lifecycle.rules.term import EndKind
from services.policies.lifecycle.store import policies, renewals, transactions


@dataclass(frozen=True, slots=True)
class Standing:
    """A policy with what its next term depends on."""

    policy: Policy
    decision: Decision | None
    """What was decided last of its next term."""
    sequence: int
    """The newest transaction that wrote its last term."""
    quote_id: UUID
    """The quote by which it was priced last."""
    offer: Offered | None
    """The offer that was made without being asked for."""


def find(session: Session, policy_id: UUID, *, locked: bool = False) -> Standing:
    """A policy with what its next term depends on; `locked` keeps it from other changes."""
    policy = policies.lock(session, policy_id) if locked else policies.find(session, policy_id)
    if policy is None:
        raise ResourceNotFound(resource="policy")
    changing.check_timeline(policy)
    return Standing(
        policy,
        renewals.find_decision(session, policy_id),
        renewals.find_sequence(session, policy_id, renewal.last_term(policy).number),
        transactions.find_last_quote(session, policy_id) or policy.quote_id,
        renewals.find_offer(session, policy_id, renewal.next_number(policy)),
    )


def offer(session: Session, before: Standing, offered: Offer, now: datetime) -> None:
    """Save that the next term of a policy is offered, unless it changed since `before`: then it is offered anew."""
    policy = required(policies.lock(session, before.policy.id), "policy", before.policy.id)
    number = renewal.next_number(policy)
    sequence = renewals.find_sequence(session, policy.id, renewal.last_term(policy).number)
    if sequence != before.sequence or number != renewal.next_number(before.policy):
        return
    renewals.save_offer(session, policy.id, Offered(number, offered.quote_id, sequence, offered.starts_on, now))
    policies.save(session, replace(policy, offered_term=number, version=policy.version + 1))
    audit.record(
        session,
        "renewal_offered",
        ids.encode("pol", policy.id),
        after={
            "term_number": number,
            "quote_id": ids.encode("quo", offered.quote_id),
            "state": offered.state,
            "starts_on": offered.starts_on,
            "product_version": offered.product_version,
            "total": offered.premium.total if offered.premium else "",
        },
    )


def decide(
    session: Session,
    standing: Standing,
    rules: ProductRules,
    preference: Preference,
    reason: str,
    *,
    by_insurer: bool,
    actor: str,
    now: datetime,
) -> Decision:
    """Save what somebody decides of the next term of a policy that is locked. Raises what the rule raises."""
    policy, current = standing.policy, standing.decision
    decided = renewal.decide(policy, rules, current, preference, reason, by_insurer=by_insurer, actor=actor, now=now)
    renewals.add_decision(session, policy.id, decided)
    is_not_renewed = preference is Preference.NONE
    policies.save(session, replace(policy, is_not_renewed=is_not_renewed, version=policy.version + 1))
    audit.record(
        session,
        "renewal_preference_set",
        ids.encode("pol", policy.id),
        before={"preference": renewal.preference_of(current, rules)},
        after={"preference": preference, "by_insurer": by_insurer, "reason": reason},
    )
    return decided


def renew(
    session: Session, contract: Contract, quote: Quote, plan_code: str, now: datetime, *, is_taken_here: bool = False
) -> Change:
    """The change by which the next term of a policy begins. Raises what keeps it from beginning.

    `is_taken_here` says that the offer is taken with it, as it is of a policy that is renewed without being asked.
    """
    policy = contract.policy
    decision = renewals.find_decision(session, policy.id)
    plan = plan_code or policy.plan_code
    renewal.check_due(policy, contract.rules_of(renewal.last_term(policy)), decision, now)
    sequence = renewals.find_sequence(session, policy.id, renewal.last_term(policy).number)
    renewal.check_quote(ids.encode("pol", policy.id), quote, sequence, plan, now, is_taken_here=is_taken_here)
    changed = renewal.renew(contract, quote, decision, now, transaction_id=ids.new())
    term = renewal.last_term(changed.after)
    return Change(
        changed,
        "policy_renewed",
        Settlement(plan_code=plan),
        installments=quote.plans[plan],
        details={
            "term_number": term.number,
            "starts_on": term.starts_on,
            "ends_on": term.ends_on,
            "product_version": term.product_version,
            "quote_id": ids.encode("quo", quote.id),
            "is_automatic": is_taken_here,
        },
    )


def close_not_taken(
    session: Session,
    policy_id: UUID,
    term_number: int,
    invoice_id: str,
    rules: Mapping[int, ProductRules],
    actor: str,
    now: datetime,
) -> bool:
    """Take a next term back of which nothing was paid. False when there is nothing to close: it was paid for, or ended
    otherwise. Once more, it changes nothing.

    `PolicyStateInvalid` as long as it can be paid.
    """
    policy = policies.lock(session, policy_id)
    term = policy.term_numbered(term_number) if policy else None
    if policy is None or term is None:
        raise ResourceNotFound(resource="term" if policy else "policy")
    if term.ended is not None or term.cover_starts_at is not None:
        return term.ended is not None and term.ended.kind is EndKind.NOT_TAKEN
    contract = changing.load(session, policy, rules)
    changed = renewal.not_taken(contract, term, invoice_id, now, transaction_id=ids.new())
    details = {"term_number": term_number, "invoice_id": invoice_id}
    changing.save(session, Change(changed, "term_not_taken", details=details), actor, now)
    return True
