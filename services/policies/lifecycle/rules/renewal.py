"""Renewals: when the next term of a policy is offered, who decides whether there is one, and how it begins.

| | `in_grace` | `on_payment` |
|---|---|---|
| renewed in time | cover goes on at once, paid or not | the term counts once it is paid |
| renewed late | covers from payment; the whole term is owed | covers from payment; the days before are not owed |
| not paid in its time | dunning, and lapse | the term was not taken |

A term that begins with its payment can be paid until the end of its first day, or of the day of a late renewal.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from libs.calendar import day_of, start_of, year_after
from libs.errors import AlreadyExists, FieldInvalid, Refused
from libs.premium import ChargeLine, LineKind, Premium
from services.policies.lifecycle.rules.contract import Changed, Contract, draft, put
from services.policies.lifecycle.rules.policy import Policy, PolicyStateInvalid
from services.policies.lifecycle.rules.product import ProductRules, RenewalRule
from services.policies.lifecycle.rules.quote import (
    RENEWAL,
    InstallmentPlanInvalid,
    PlanUnaffordable,
    Quote,
    QuoteExpired,
    QuoteNotAccepted,
    QuoteOutdated,
    QuoteStateInvalid,
    fits,
)
from services.policies.lifecycle.rules.returns import Method, Return
from services.policies.lifecycle.rules.state import State
from services.policies.lifecycle.rules.term import EndKind, Risk, Term
from services.policies.lifecycle.rules.transaction import Ending, Opening, Price, Transaction, TransactionType

INSURER = "insurer"
"""The reason for which an insurer ends a policy; not renewing it needs the same notice."""
BILLED_AHEAD_DAYS = 7
"""How many days before a term that is renewed without being asked begins it is, so that it is billed ahead."""
LONGEST_LATE_DAYS = 90
"""For how many days behind the end of a term an offer that nobody took is looked at."""
RENEWABLE = frozenset({State.SCHEDULED, State.IN_FORCE, State.EXPIRED})
"""The states in which a policy can be renewed; when it is expired, for as long as the product says."""


class RenewalNotDue(Refused):
    """The next term is not offered yet."""

    reason = "RENEWAL_NOT_DUE"


class DoNotRenew(Refused):
    """The policy is not renewed: its holder or the insurer decided so, or the product has no next term."""

    reason = "DO_NOT_RENEW"


class TermExists(AlreadyExists):
    """The policy has that term."""

    reason = "TERM_EXISTS"


class NoticeTooLate(Refused):
    """It is too late to decide on the next term."""

    reason = "NOTICE_TOO_LATE"


class Preference(StrEnum):
    """What is to become of a policy when its term ends."""

    AUTO = "auto"  # it is renewed without being asked
    MANUAL = "manual"  # it is renewed when its offer is accepted
    NONE = "none"  # it is not renewed


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody decided of the next term."""

    preference: Preference
    is_insurers: bool
    """Whether the insurer decided it, and not those who hold the policy."""
    reason: str
    actor: str
    decided_at: datetime
    version: int = 1


@dataclass(frozen=True, slots=True)
class Offer:
    """What a quote offers of a next term."""

    quote_id: UUID
    state: str
    product_version: int
    starts_on: date
    ends_on: date | None
    """None in a draft."""
    premium: Premium | None
    """None in a draft, and where the risk is declined."""
    lines: tuple[ChargeLine, ...]
    valid_until: datetime


@dataclass(frozen=True, slots=True)
class Offered:
    """The offer of a next term that was made without being asked for."""

    term_number: int
    quote_id: UUID
    timeline_sequence: int
    """The transaction whose timeline was priced."""
    starts_on: date
    offered_at: datetime


def last_term(policy: Policy) -> Term:
    """The last term that there is: one that was not taken never was, but for the first."""
    return next((term for term in reversed(policy.terms) if term.segments), policy.terms[0])


def next_number(policy: Policy) -> int:
    """The number of the next term. That of one that was not taken is not given again."""
    return policy.terms[-1].number + 1


def days_of_next(policy: Policy) -> tuple[date, date]:
    """The days of the next term, as many as the last one has; the product has the last word on its end."""
    last = last_term(policy)
    is_year = last.ends_on == year_after(last.starts_on) or last.days in (365, 366)
    return last.ends_on, year_after(last.ends_on) if is_year else last.ends_on + timedelta(days=last.days)


def risk_of_next(policy: Policy) -> Risk:
    """What the last segment of the last term insures, which the next term goes on with."""
    return last_term(policy).segments[-1].risk


def preference_of(decision: Decision | None, rules: ProductRules) -> Preference:
    """What is to become of the policy: what was decided, or else what the product says."""
    if decision is not None:
        return decision.preference
    if rules.renewal is None:
        return Preference.NONE
    return Preference.AUTO if rules.renewal.is_automatic else Preference.MANUAL


def check_due(policy: Policy, rules: ProductRules, decision: Decision | None, now: datetime) -> None:
    """Refuse to offer or begin a next term which there is already, is not due yet, or is not to be.

    `PolicyStateInvalid` for a contract that has ended, or that will before its term does.
    """
    state, last, today = policy.state(now), last_term(policy), day_of(now, policy.time_zone)
    if last.ended is not None or state not in RENEWABLE:
        raise PolicyStateInvalid(state=state)
    if last.number > 1 and (last.starts_on > today or last.cover_starts_at is None):
        raise TermExists(term_number=last.number)
    terms = _renewal_of(rules)
    if decision is not None and decision.preference is Preference.NONE:
        raise DoNotRenew(by="insurer" if decision.is_insurers else "holder")
    offered_from = last.ends_on - timedelta(days=terms.offer_days)
    if today < offered_from:
        raise RenewalNotDue(**{"from": offered_from.isoformat()})
    if today >= last.ends_on and today >= last.ends_on + timedelta(days=terms.late_days):
        raise PolicyStateInvalid(state=state)


def decide(
    policy: Policy,
    rules: ProductRules,
    current: Decision | None,
    preference: Preference,
    reason: str,
    *,
    by_insurer: bool,
    actor: str,
    now: datetime,
) -> Decision:
    """Decide on the next term of a policy.

    Those who hold it may until its term ends; the insurer only against a next term, with notice, for a reason, and may
    take that back. What the insurer refuses, nobody else allows: `DoNotRenew`. `NoticeTooLate`, `PolicyStateInvalid`.
    """
    state, last, today = policy.state(now), last_term(policy), day_of(now, policy.time_zone)
    if last.ended is not None or state not in (State.PENDING, State.SCHEDULED, State.IN_FORCE, State.GAP):
        raise PolicyStateInvalid(state=state)
    _renewal_of(rules)
    if last.number > 1 and last.starts_on > today:
        raise TermExists(term_number=last.number)
    is_refused = current is not None and current.is_insurers and current.preference is Preference.NONE
    if is_refused and not by_insurer:
        raise DoNotRenew(by="insurer")
    if by_insurer and preference is Preference.NONE:
        if not reason.strip():
            raise FieldInvalid(violations={"reason": "is needed of an insurer who does not renew"})
        insurers = rules.cancellation(INSURER)
        latest = last.ends_on - timedelta(days=insurers.notice_days if insurers else 0)
        if today > latest:
            raise NoticeTooLate(latest=latest)
    if today >= last.ends_on:
        raise NoticeTooLate(latest=last.ends_on - timedelta(days=1))
    version = current.version + 1 if current else 1
    return Decision(preference, by_insurer, reason, actor, now, version)


def check_quote(
    policy_id: str, quote: Quote, timeline_sequence: int, plan_code: str, now: datetime, *, is_taken_here: bool = False
) -> None:
    """Refuse a quote by which the next term cannot begin.

    `timeline_sequence` is the newest transaction that wrote a timeline. `is_taken_here` says that the offer is taken
    with this call, as it is of a policy that is renewed without being asked.
    """
    if quote.kind != RENEWAL or quote.policy_id != policy_id:
        raise QuoteStateInvalid(state=quote.kind)
    if now > quote.valid_until or quote.state == "expired":
        raise QuoteExpired(valid_until_time=quote.valid_until.isoformat(), state="expired")
    if quote.state != "accepted" and not (is_taken_here and quote.state == "quoted"):
        raise QuoteNotAccepted(state=quote.state)
    if quote.timeline_sequence != timeline_sequence:
        raise QuoteOutdated(timeline_sequence=str(timeline_sequence))
    if plan_code not in quote.plans:
        raise InstallmentPlanInvalid(plan=plan_code)
    if not fits(quote, quote.plans[plan_code]):
        raise PlanUnaffordable(plan=plan_code, installments=str(quote.plans[plan_code]))


def payable_on(term: Term, issued_at: datetime, time_zone: str) -> date:
    """The last day on which the first premium of a next term can be paid that waits for it."""
    return max(term.starts_on, day_of(issued_at, time_zone))


def first_payable_until(policy: Policy, transaction: Transaction) -> datetime | None:
    """From when on the first premium of a next term can no longer be paid; None where its cover does not wait for it.

    `policy` is as the transaction left it that began the term.
    """
    term = policy.term_numbered(transaction.term_number)
    if transaction.type is not TransactionType.RENEWAL or term is None or term.cover_starts_at is not None:
        return None
    last_day = payable_on(term, transaction.issued_at, policy.time_zone)
    return start_of(last_day + timedelta(days=1), policy.time_zone)


def renew(
    contract: Contract, quote: Quote, decision: Decision | None, now: datetime, *, transaction_id: UUID, **details: Any
) -> Changed:
    """Begin the next term as a quote offers it. Raises what `check_due` does. `details` are fields of the transaction.

    `TermExists` for a quote of other days than those that follow.
    """
    policy = contract.policy
    check_due(policy, contract.rules_of(last_term(policy)), decision, now)
    before, today = last_term(policy), day_of(now, policy.time_zone)
    if quote.starts_on != before.ends_on:
        raise TermExists(term_number=before.number)
    rules, starts_at = _renewal_of(contract.rules_of(before)), start_of(quote.starts_on, policy.time_zone)
    is_late = now > starts_at
    number = next_number(policy)
    risk = Risk(quote.answers, quote.objects, quote.coverages)
    opening = Opening(
        number,
        quote.starts_on,
        quote.ends_on,
        quote.product_version,
        risk,
        covered_from=max(quote.starts_on, today) if not rules.covers_in_grace else quote.starts_on,
        cover_starts_at=starts_at if rules.covers_in_grace and not is_late else None,
    )
    full_term = {
        (line.object_id, line.coverage_code): line.amount for line in quote.lines if line.kind is LineKind.PREMIUM
    }
    transaction = draft(
        contract,
        TransactionType.RENEWAL,
        quote.starts_on,
        now,
        opening,
        transaction_id=transaction_id,
        term_number=number,
        quote_id=quote.id,
        source_id=str(quote.id),
        prices=(Price(number, risk, full_term),),
        **details,
    )
    return put(contract, transaction)


def not_taken(contract: Contract, term: Term, source: str, now: datetime, *, transaction_id: UUID) -> Changed:
    """Take a next term back whose first premium was not paid in time: nothing of it is owed, and it never counted.

    `PolicyStateInvalid` as long as it can be paid.
    """
    policy = contract.policy
    opened = contract.opened(term.number)
    if day_of(now, policy.time_zone) <= payable_on(term, opened.issued_at, policy.time_zone):
        raise PolicyStateInvalid(state=policy.state(now))
    transaction = draft(
        contract,
        TransactionType.NOT_TAKEN,
        term.starts_on,
        now,
        Ending(EndKind.NOT_TAKEN, Return(Method.FLAT)),
        transaction_id=transaction_id,
        term_number=term.number,
        source_id=source,
    )
    return put(contract, transaction)


def _renewal_of(rules: ProductRules) -> RenewalRule:
    if rules.renewal is None:
        raise DoNotRenew(by="product")
    return rules.renewal
