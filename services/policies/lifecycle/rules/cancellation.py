"""Ending cover by a cancellation, and taking one back: by whom, for which reason, from which day, for what return."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from libs.calendar import day_of
from libs.errors import Refused
from services.policies.lifecycle.rules import contract
from services.policies.lifecycle.rules.contract import Changed, Contract
from services.policies.lifecycle.rules.effective import BackDating, EffectiveDateInvalid
from services.policies.lifecycle.rules.loss import LossMark, check_cover_kept
from services.policies.lifecycle.rules.policy import PolicyStateInvalid
from services.policies.lifecycle.rules.product import CancellationRule
from services.policies.lifecycle.rules.returns import Method, Return
from services.policies.lifecycle.rules.state import State, is_cancel_pending
from services.policies.lifecycle.rules.term import EndKind
from services.policies.lifecycle.rules.transaction import Ending, Reopening, Transaction, TransactionType

_CANCELLABLE: Final = frozenset({State.PENDING, State.SCHEDULED, State.IN_FORCE})
_INSURED: Final = frozenset({"customer", "agent"})
"""The roles in which somebody cancels for the policyholder."""
_SYSTEM: Final = "system"
_FLAT: Final = Return(Method.FLAT)
_DAY: Final = timedelta(days=1)


class ReasonNotAllowed(Refused):
    """The product does not let the caller cancel for this reason, or not any more."""

    reason = "REASON_NOT_ALLOWED"


class NoticeTooShort(Refused):
    """The notice that has to be given before cover ends would be too short."""

    reason = "NOTICE_TOO_SHORT"


@dataclass(frozen=True, slots=True)
class Wish:
    """How a policy is to be cancelled."""

    reason: str
    roles: frozenset[str]
    """The roles in which the caller acts on it."""
    effective_on: date | None = None
    """The first day without cover; None for the earliest that is allowed."""
    note: str = ""


def cancel(made: Contract, wish: Wish, marks: Iterable[LossMark], now: datetime, *, transaction_id: UUID) -> Changed:
    """End cover of a contract: the product says for each reason who may, when, and what comes back.

    What is not paid for yet, or has not begun on that day, is cancelled flat, as if it had never been. A cancellation
    that takes effect before one that is pending replaces it.

    Raises `PolicyStateInvalid`, `ReasonNotAllowed`, `NoticeTooShort`, `EffectiveDateInvalid`, `BackDating`, and
    `ClaimPaid` when a loss would be left without cover.
    """
    policy, state = made.policy, made.policy.state(now)
    if state not in _CANCELLABLE:
        raise PolicyStateInvalid(state=state)
    today = day_of(now, policy.time_zone)
    rule = _rule(made, wish, today)
    is_flat = rule.how.method is Method.FLAT or state is State.PENDING
    day = _effective_on(made, wish, rule, state, today, is_flat=is_flat)
    starts_on = made.term_on(day).starts_on
    is_flat = is_flat or day <= starts_on
    if is_flat:
        day = starts_on
    check_cover_kept(marks, day, policy.time_zone, is_flat=is_flat)
    ending = Ending(EndKind.CANCELLED, _FLAT if is_flat else rule.how)
    drafted = contract.draft(
        made,
        TransactionType.CANCELLATION,
        day,
        now,
        ending,
        transaction_id=transaction_id,
        reason=wish.reason,
        note=wish.note,
    )
    return contract.put(made, drafted)


def rescind(made: Contract, roles: frozenset[str], note: str, now: datetime, *, transaction_id: UUID) -> Changed:
    """Take a cancellation back before it takes effect. Whoever may cancel for its reason may; one that it had replaced
    counts again.

    `PolicyStateInvalid` where none is pending, `ReasonNotAllowed`.
    """
    policy = made.policy
    if not is_cancel_pending(day_of(now, policy.time_zone), policy.terms):
        raise PolicyStateInvalid(state=policy.state(now))
    pending = pending_cancellation(made)
    rule = made.rules_of(made.term_on(pending.effective_on)).cancellation(pending.reason)
    if rule is None or not rule.roles & roles:
        raise ReasonNotAllowed(reason=pending.reason)
    drafted = contract.draft(
        made,
        TransactionType.REVERSAL,
        pending.effective_on,
        now,
        transaction_id=transaction_id,
        reverses=pending.id,
        reason=pending.reason,
        note=note,
    )
    return contract.put(made, drafted)


def pending_cancellation(made: Contract) -> Transaction:
    """The transaction by which cover ends: of those that say so of that day, the first; the others changed nothing."""
    ended_on = min(term.ended.on for term in made.policy.terms if term.ended is not None)
    standing = made.standing
    reopened = max((i for i, item in enumerate(standing) if isinstance(item.change, Reopening)), default=-1)
    return next(
        item for item in standing[reopened + 1 :] if isinstance(item.change, Ending) and item.effective_on == ended_on
    )


def _rule(made: Contract, wish: Wish, today: date) -> CancellationRule:
    """The rule for a reason, if the caller may use it now."""
    term = made.term_on(wish.effective_on or today)
    rule = made.rules_of(term).cancellation(wish.reason)
    if rule is None or not rule.roles & wish.roles:
        raise ReasonNotAllowed(reason=wish.reason)
    if rule.within_days:
        until = day_of(made.opened(term.number).issued_at, made.policy.time_zone) + timedelta(days=rule.within_days)
        if today > until:
            raise ReasonNotAllowed(reason=wish.reason, until=until)
    return rule


def _effective_on(
    made: Contract, wish: Wish, rule: CancellationRule, state: State, today: date, *, is_flat: bool
) -> date:
    """The first day without cover, if it is allowed."""
    covered = [segment for term in made.policy.terms for segment in term.segments]
    starts_on, latest = covered[0].starts_on, covered[-1].ends_on - _DAY
    roles = rule.roles & wish.roles
    noticed = today if state is State.PENDING else today + timedelta(days=rule.notice_days)
    # Hours of today that are over cannot be given back to whom they covered.
    earliest = max(noticed, today + _DAY if roles <= _INSURED and not is_flat else today)
    day = wish.effective_on or max(earliest, starts_on)
    if day > latest:
        raise EffectiveDateInvalid(earliest=min(earliest, latest), latest=latest)
    if is_flat or day >= earliest:
        return day
    if day < noticed and rule.notice_days:
        raise NoticeTooShort(earliest=noticed)
    if _SYSTEM in roles or (state is State.SCHEDULED and day <= starts_on):
        return day
    backdating_days = made.rules_of(made.term_on(day)).cover.backdating_days
    allowed, days = max((backdating_days.get(role, 0) for role in roles), default=0), (today - day).days
    if allowed and days <= allowed:
        return day
    if days > 0:
        raise BackDating(days=days, allowed=allowed)
    raise EffectiveDateInvalid(earliest=earliest, latest=latest)
