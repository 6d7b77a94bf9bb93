"""Changing what a policy insures: what is to be priced of a change, and the transaction that its quote asks for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date, datetime

from sqlalchemy.orm import Session

from libs import ids
from libs.calendar import day_of
from libs.identity.callers import AccessDenied
from libs.identity.scopes import Scope
from services.policies.lifecycle.flows import insuring
from services.policies.lifecycle.flows.changing import Decision
from services.policies.lifecycle.rules import change_request, contract, endorsement
from services.policies.lifecycle.rules.change_request import Conflict, Request
from services.policies.lifecycle.rules.contract import Changed, Contract
from services.policies.lifecycle.rules.endorsement import Limits, Stretch
from services.policies.lifecycle.rules.insured import Insured, insured_by
from services.policies.lifecycle.rules.loss import check_still_covered
from services.policies.lifecycle.rules.product import ChangeRule
from services.policies.lifecycle.rules.quote import PolicyAlreadyIssued, Quote, check_endorsable
from services.policies.lifecycle.rules.settlement import Settlement
from services.policies.lifecycle.rules.transaction import Delta, Transaction
from services.policies.lifecycle.store import losses, objects

DOCUMENT = "endorsement"
"""The code of the document that says what is different."""


@dataclass(frozen=True, slots=True)
class Acting:
    """Who changes a policy."""

    roles: frozenset[str]
    """As the rules of products name them."""
    scope: Scope
    """Whose policies they are shown."""


def rule_for(base: Contract, day: date, roles: Collection[str]) -> ChangeRule:
    """How the product has a policy changed from a day on. `AccessDenied` where nobody in these roles may change it."""
    rule = base.rules_of(base.term_on(day)).change
    if rule is None or rule.roles.isdisjoint(roles):
        raise AccessDenied("the product lets nobody in the roles of the caller change a policy")
    return rule


def plan(base: Contract, asked: Request, acting: Acting, now: datetime) -> tuple[list[Stretch], list[Conflict]]:
    """What is to be priced of a change that is asked for, and what of it other changes say otherwise.

    Raises what keeps the change from being made.
    """
    _check_day(base, asked.effective_on, acting, now)
    asked = change_request.named(asked, base.policy.terms)
    delta = change_request.delta_of(asked, endorsement.risk_on(base.stack, asked.effective_on, base.currency))
    conflicts = change_request.conflicts(delta, asked.effective_on, base.standing)
    change_request.check_conflicts(asked, conflicts)
    return endorsement.stretches(base, asked.effective_on, delta, now), conflicts


def foresee(base: Contract, quoted: Quote, now: datetime) -> Changed:
    """What a quoted change would make of the policy at its price."""
    return contract.put(base, endorsement.change_in(quoted, base, now))


def decide(
    session: Session,
    base: Contract,
    accepted: Quote,
    acting: Acting,
    settlement: Settlement,
    now: datetime,
    *,
    allows_duplicate: bool,
) -> Decision:
    """The change that an accepted quote asks for. Raises the state that keeps it from being issued."""
    policy = base.policy
    policy_id = ids.encode("pol", policy.id)
    check_endorsable(accepted, policy_id, now)
    if any(item.quote_id == accepted.id for item in base.stack):
        raise PolicyAlreadyIssued(policy_id=policy_id)
    drafted = replace(endorsement.change_in(accepted, base, now), id=ids.new())
    _check_day(base, drafted.effective_on, acting, now)
    changed = contract.put(base, drafted)
    marks = losses.list_of_policy(session, policy.id)
    check_still_covered(marks, policy.terms, changed.after.terms, policy.time_zone)
    newly = _insured_newly(drafted, changed)
    objects.lock(session, policy.product_code, newly)
    if not allows_duplicate:
        insuring.check_once(session, policy.product_code, newly, acting.scope, now, policy_id=policy.id)
    return Decision(
        changed,
        "policy_endorsed",
        settlement,
        (DOCUMENT,),
        details={"quote_id": ids.encode("quo", accepted.id)},
    )


def _insured_newly(drafted: Transaction, changed: Changed) -> list[Insured]:
    """What a change insures that was not there, or was told by another identifier."""
    if not isinstance(drafted.change, Delta):
        return []
    added = {item.id for item in drafted.change.objects} | drafted.change.identifiers.keys()
    return [item for item in insured_by(changed.after.terms) if item.object_id in added]


def _check_day(base: Contract, day: date, acting: Acting, now: datetime) -> None:
    policy = base.policy
    rule = rule_for(base, day, acting.roles)
    backdating = base.rules_of(base.term_on(day)).cover.backdating_days
    allowed = max((backdating.get(role, 0) for role in acting.roles), default=0)
    limits = Limits(rule.latest_days_before_end, allowed)
    endorsement.check_day(policy, day, day_of(now, policy.time_zone), policy.state(now), limits)
