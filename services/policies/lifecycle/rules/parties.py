"""Who holds a policy, owes for it and serves it, and how that changes: by transactions without money."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID

from libs.calendar import day_of
from libs.errors import FieldInvalid
from services.policies.lifecycle.rules.effective import EffectiveDateInvalid
from services.policies.lifecycle.rules.insured import STANDING
from services.policies.lifecycle.rules.policy import Policy, PolicyStateInvalid, next_issue_time
from services.policies.lifecycle.rules.transaction import Transaction, TransactionType

HOLDER, PAYER, PARTNER = "holder", "payer", "partner"
"""Which party is another one: the reason of the transaction."""


@dataclass(frozen=True, slots=True)
class Parties:
    """Who holds a policy, who owes for it, and who serves it."""

    holder: UUID
    payer: UUID
    partner: UUID | None


@dataclass(frozen=True, slots=True)
class Handover:
    """A change of the parties of a policy."""

    before: Parties
    after: Parties
    reason: str
    effective_on: date
    source_id: str = ""
    """What caused it, where nobody called for it."""
    consent: str = ""
    """How the parties agreed, where they did not call themselves."""


def parties_of(policy: Policy) -> Parties:
    """The parties of a policy."""
    return Parties(policy.user_id, policy.payer_id, policy.partner_id)


def with_parties(policy: Policy, parties: Parties) -> Policy:
    """The policy with other parties, as it was or as it will be."""
    return replace(policy, user_id=parties.holder, payer_id=parties.payer, partner_id=parties.partner)


def transfer(
    policy: Policy,
    holder: UUID,
    partner: UUID | None,
    effective_on: date | None,
    last_on: date | None,
    consent: str,
    now: datetime,
) -> Handover:
    """Another holder, whom that partner serves, from a day on; without a day from today.

    `last_on` is the day of the last change of this kind. Whoever paid as the holder is followed by the new one.
    `PolicyStateInvalid`, `EffectiveDateInvalid`, `FieldInvalid`.
    """
    _check_standing(policy, now)
    if holder == policy.user_id:
        raise FieldInvalid(violations={"customer_id": "holds the policy already"})
    today = day_of(now, policy.time_zone)
    day = effective_on or today
    earliest = last_on or min(policy.terms[0].starts_on, today)
    if not earliest <= day <= today:
        raise EffectiveDateInvalid(earliest=earliest.isoformat(), latest=today.isoformat())
    before = parties_of(policy)
    payer = holder if before.payer == before.holder else before.payer
    return Handover(before, Parties(holder, payer, partner), HOLDER, day, consent=consent)


def pay_by(policy: Policy, payer: UUID, now: datetime) -> Handover:
    """Another payer, from today. `PolicyStateInvalid`, `FieldInvalid`."""
    _check_standing(policy, now)
    if payer == policy.payer_id:
        raise FieldInvalid(violations={"payer_id": "is the payer already"})
    before = parties_of(policy)
    return Handover(before, replace(before, payer=payer), PAYER, day_of(now, policy.time_zone))


def serve_by(policy: Policy, partner: UUID | None, since: date, source_id: str) -> Handover | None:
    """Another partner, from a day on, whatever the state; None where it is that one already."""
    if policy.partner_id == partner:
        return None
    before = parties_of(policy)
    return Handover(before, replace(before, partner=partner), PARTNER, since, source_id)


def hand_over(
    policy: Policy, handover: Handover, last: Transaction, billing_sequence: int, now: datetime, *, transaction_id: UUID
) -> tuple[Policy, Transaction]:
    """The policy with its new parties, and the transaction. `last` is the newest one of the stack."""
    transaction = Transaction(
        transaction_id,
        last.sequence + 1,
        TransactionType.SERVICING,
        handover.effective_on,
        next_issue_time(last, now),
        term_number=policy.term_at(now).number,
        billing_sequence=billing_sequence,
        source_id=handover.source_id,
        reason=handover.reason,
    )
    return replace(with_parties(policy, handover.after), version=policy.version + 1), transaction


def _check_standing(policy: Policy, now: datetime) -> None:
    state = policy.state(now)
    if state not in STANDING:
        raise PolicyStateInvalid(state=state)
