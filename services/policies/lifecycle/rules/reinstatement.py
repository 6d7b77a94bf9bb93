"""The rules by which a policy whose cover ended is put back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from libs.calendar import day_of
from libs.errors import FieldInvalid, Refused
from libs.money import Money
from services.policies.lifecycle.rules import contract
from services.policies.lifecycle.rules.contract import Changed, Contract
from services.policies.lifecycle.rules.loss import LossMark
from services.policies.lifecycle.rules.policy import Policy, PolicyStateInvalid
from services.policies.lifecycle.rules.product import ReinstatementRule
from services.policies.lifecycle.rules.state import State
from services.policies.lifecycle.rules.term import Term
from services.policies.lifecycle.rules.transaction import Reopening, TransactionType

_ENDED: Final = frozenset({State.LAPSED, State.CANCELLED})
_DAY: Final = timedelta(days=1)
_NEVER: Final = ReinstatementRule(0)  # of a product that says nothing of it


class ReinstatementWindow(Refused):
    """The time in which the policy could be put back is over. `until` is the first day on which it is."""

    reason = "REINSTATEMENT_WINDOW"


class LossInGap(Refused):
    """A loss is claimed of the days that would be covered again."""

    reason = "LOSS_IN_GAP"


class Arrears(Refused):
    """Something is past due, and has to be paid before the policy is put back."""

    reason = "ARREARS"


@dataclass(frozen=True, slots=True)
class Reinstatement:
    """How a policy is to be put back."""

    with_gap: bool = False
    """Whether cover goes on tomorrow only; otherwise it is as if it had never ended."""
    statement: str = ""
    """What the policyholder states of losses since cover ended."""


def has_ended(policy: Policy, now: datetime) -> bool:
    """Whether cover of the policy ended, so that there is something to put back."""
    return policy.state(now) in _ENDED and _ended_term(policy) is not None


def reinstate(
    made: Contract,
    asked: Reinstatement,
    arrears: Money,
    losses: Iterable[LossMark],
    now: datetime,
    *,
    transaction_id: UUID,
) -> Changed:
    """Put the policy back. `arrears` is what payments says is past due, `losses` are those that are marked on it.

    Raises the state that keeps it from being put back, or `FieldInvalid` for what its product does not allow.
    """
    term = _ended_term(made.policy)
    if term is None or term.ended is None or not has_ended(made.policy, now):
        raise PolicyStateInvalid(state=made.policy.state(now))
    ended = term.ended
    rule = made.rules_of(term).reinstatement or _NEVER
    today = day_of(now, made.policy.time_zone)
    # A flat ending leaves nothing covered, whatever its day: all of it comes back.
    ended_on = ended.on if term.segments else term.starts_on
    resumes_on = today + _DAY if asked.with_gap else ended_on
    until = min(ended.on + timedelta(days=rule.window_days), _last_end(made) - timedelta(days=asked.with_gap))
    if today >= until:
        raise ReinstatementWindow(until=until.isoformat())
    _check_allowed(asked, rule)
    if arrears.minor > 0:
        raise Arrears(amount=arrears)
    for mark in losses:
        if mark.stands and resumes_on <= day_of(mark.loss_at, made.policy.time_zone):
            raise LossInGap(claim_id=mark.claim_id)
    drafted = contract.draft(
        made,
        TransactionType.REINSTATEMENT,
        resumes_on,
        now,
        Reopening(asked.statement),
        transaction_id=transaction_id,
        reason="with_gap" if asked.with_gap else "without_gap",
    )
    return contract.put(made, drafted)


def _ended_term(policy: Policy) -> Term | None:
    """The term within which cover ended; None where none did, or where there never was any."""
    term = next((each for each in policy.terms if each.ended is not None), None)
    return term if term is not None and term.cover_starts_at is not None else None


def _last_end(made: Contract) -> date:
    """The first day behind all terms, as they were agreed."""
    return max(term.ends_on for term in made.policy.terms)


def _check_allowed(asked: Reinstatement, rule: ReinstatementRule) -> None:
    if asked.with_gap and not rule.with_gap:
        raise FieldInvalid(violations={"with_gap": "is not allowed by the product"})
    if rule.needs_statement and not asked.statement.strip():
        raise FieldInvalid(violations={"no_loss_statement": "is needed by the product"})
