"""The rules of policies: issuing one from a quote, putting it in force, and how it stands at a moment.

A policy is an immutable stack of transactions over a timeline of terms and segments. Days are half-open, [start, end),
in the product's time zone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from uuid import UUID

from libs.calendar import day_of, start_of
from libs.errors import Refused
from libs.money import Money
from libs.premium import LineKind
from services.policies.lifecycle.rules import charges
from services.policies.lifecycle.rules.quote import Quote
from services.policies.lifecycle.rules.returns import Method, Return
from services.policies.lifecycle.rules.state import Flag, State, is_cancel_pending, state_at
from services.policies.lifecycle.rules.term import Ended, EndKind, Item, Risk, Segment, Term
from services.policies.lifecycle.rules.transaction import CoverStart, Ending, Opening, Transaction, TransactionType

DEFAULT_PLAN = "annual"


class PolicyStateInvalid(Refused):
    """The policy is in a state that does not allow the operation."""

    reason = "POLICY_STATE_INVALID"


@dataclass(frozen=True, slots=True)
class Policy:
    """A contract of insurance, with the newest version of each of its terms, or the newest of some moment."""

    id: UUID
    number: str
    user_id: UUID
    """The party that holds it; a user's own party has the user's UUID."""
    created_by: UUID
    """The log-in that asked for its quote."""
    payer_id: UUID
    """The party that owes for it."""
    partner_id: UUID | None
    quote_id: UUID
    product_code: str
    product_version: int
    """The version of the product that it was issued with; that of each term stands there."""
    plan_code: str
    time_zone: str
    issued_at: datetime
    terms: tuple[Term, ...]
    activated_at: datetime | None = None
    version: int = 1
    has_timeline: bool = True
    """False for a policy of before, until a job has written what is insured, and line by line at what price."""
    is_delinquent: bool = False
    """Whether a premium is past due, as far as payments has told."""
    is_not_renewed: bool = False
    """Whether somebody decided that there is no next term."""
    offered_term: int | None = None
    """The number of the next term that was offered last; None where none was."""

    @property
    def payable_on(self) -> date:
        """The last day on which the first premium can be paid. Payments takes it until its end, and no longer."""
        return self.terms[0].starts_on

    def state(self, now: datetime) -> State:
        """How the policy stands at a moment."""
        return state_at(now, self.terms, self.time_zone, self.payable_on)

    def flags(self, now: datetime) -> tuple[Flag, ...]:
        """What else is known of the policy at a moment."""
        today = day_of(now, self.time_zone)
        holds = {
            Flag.CANCEL_PENDING: is_cancel_pending(today, self.terms),
            Flag.DELINQUENT: self.is_delinquent,
            Flag.RENEWAL_OFFERED: self.offered_term == self.terms[-1].number + 1 and not self.is_not_renewed,
            Flag.RENEWED: any(term.starts_on > today and not _is_void(term) for term in self.terms[1:]),
            Flag.DO_NOT_RENEW: self.is_not_renewed,
        }
        return tuple(flag for flag, is_so in holds.items() if is_so)

    def stands(self, now: datetime, state: State | None, flag: Flag | None) -> bool:
        """Whether the policy is in a state and has a flag at a moment; None is any."""
        return (state is None or self.state(now) is state) and (flag is None or flag in self.flags(now))

    def cover_ends_at(self, term: Term) -> datetime | None:
        """The first moment without cover of one of its terms; None where there never is any."""
        return start_of(term.segments[-1].ends_on, self.time_zone) if term.segments else None

    def paid_until(self, next_due_on: date | None) -> date | None:
        """The first day that is not paid for; None where it covers no day.

        `next_due_on` is the first day on which something falls due that is not paid; None where all is paid.
        """
        covered = [segment for term in self.terms for segment in term.segments]
        if not covered:
            return None
        ends_on = covered[-1].ends_on
        return max(min(next_due_on or ends_on, ends_on), covered[0].starts_on)

    def before_payment(self, known_at: datetime) -> Policy:
        """The policy without its first payment, where that was not known yet."""
        if self.activated_at is None or self.activated_at <= known_at:
            return self
        first = replace(self.terms[0], cover_starts_at=None)
        return replace(self, activated_at=None, terms=(first, *self.terms[1:]))

    def term_numbered(self, number: int) -> Term | None:
        """The term of that number."""
        return next((term for term in self.terms if term.number == number), None)

    def term_at(self, moment: datetime) -> Term:
        """The term of a moment; before all of them the first, behind them the last."""
        return self._term_on(day_of(moment, self.time_zone))

    def segment_at(self, moment: datetime) -> Segment | None:
        """What is insured at a moment, or will be next, or was last. None when nothing ever is."""
        day = day_of(moment, self.time_zone)
        segments = self._term_on(day).segments
        return next((segment for segment in segments if day < segment.ends_on), segments[-1] if segments else None)

    def _term_on(self, day: date) -> Term:
        later = (term for term in reversed(self.terms[1:]) if term.starts_on <= day and not _is_void(term))
        return next(later, self.terms[0])


def _is_void(term: Term) -> bool:
    """Whether a term is as if it had never been, because its first premium was not paid in time."""
    return term.ended is not None and term.ended.kind is EndKind.NOT_TAKEN


def prefix_of(product_code: str) -> str:
    """What the numbers of a product's policies begin with."""
    return product_code[:3].upper()


def number_for(product_code: str, year: int, sequence: int) -> str:
    """The number that people read: `MOT-2026-000042`."""
    return f"{prefix_of(product_code)}-{year}-{sequence:06d}"


def issue(
    quote: Quote, plan_code: str, now: datetime, *, policy_id: UUID, transaction_id: UUID, number: str, payer_id: UUID
) -> tuple[Policy, Transaction]:
    """Make a contract of a quote that can be issued: the new-business transaction with its first term and segment."""
    term = term_of(quote)
    segment = term.segments[0]
    policy = Policy(
        id=policy_id,
        number=number,
        user_id=quote.user_id,
        created_by=quote.created_by,
        payer_id=payer_id,
        partner_id=quote.partner_id,
        quote_id=quote.id,
        product_code=quote.product_code,
        product_version=quote.product_version,
        plan_code=plan_code,
        time_zone=quote.time_zone,
        issued_at=now,
        terms=(term,),
    )
    transaction = Transaction(
        transaction_id,
        1,
        TransactionType.NEW_BUSINESS,
        quote.starts_on,
        now,
        Opening(1, term.starts_on, term.ends_on, term.product_version, segment.risk),
        lines=tuple(term.lines()),
        quote_id=quote.id,
        source_id=str(quote.id),
        billing_sequence=1,
    )
    return policy, transaction


def term_of(quote: Quote) -> Term:
    """The term that a quote offers: one segment, whose lines are the full-term amounts."""
    full_term: dict[Item, Money] = {
        (line.object_id, line.coverage_code): line.amount for line in quote.lines if line.kind is LineKind.PREMIUM
    }
    return Term(
        1,
        quote.starts_on,
        quote.ends_on,
        quote.premium.currency,
        quote.product_version,
        (Segment(quote.starts_on, quote.ends_on, Risk(quote.answers, quote.objects, quote.coverages), full_term),),
        charges=tuple(
            replace(line, starts_on=quote.starts_on, ends_on=quote.starts_on, term_number=1)
            for line in quote.lines
            if line.kind in (LineKind.TAX, LineKind.FEE)
        ),
    )


def next_issue_time(last: Transaction, now: datetime) -> datetime:
    """When the transaction behind `last` counts as issued: now, and never before it."""
    return max(now, last.issued_at + timedelta(microseconds=1))


def activate(
    policy: Policy,
    term_number: int,
    last: Transaction,
    payment: str,
    paid_at: datetime,
    now: datetime,
    *,
    transaction_id: UUID,
) -> tuple[Policy, Transaction]:
    """Let cover of a term begin because its first premium is paid. `last` is the newest transaction of the stack.

    Cover begins with its first day, or with the payment when that is later: hours that are over cannot be bought.
    A term that is cancelled for a later day begins all the same: its days until then are owed. `PolicyStateInvalid`
    when another payment did it before, when the term has ended by then, or when there is none. Whether it was paid in
    time is decided by payments, before any money moves: here it would be too late.
    """
    term = policy.term_numbered(term_number)
    if term is None or term.cover_starts_at is not None:
        raise PolicyStateInvalid(state=policy.state(now))
    starts_at = max(start_of(term.starts_on, policy.time_zone), paid_at)
    ended = term.ended
    if ended and (ended.kind is not EndKind.CANCELLED or start_of(ended.on, policy.time_zone) <= starts_at):
        raise PolicyStateInvalid(state=policy.state(now))
    transaction = Transaction(
        transaction_id,
        last.sequence + 1,
        TransactionType.ACTIVATION,
        term.starts_on,
        next_issue_time(last, now),
        CoverStart(term.number, starts_at),
        term_number=term.number,
        source_id=payment,
    )
    terms = tuple(replace(each, cover_starts_at=starts_at) if each is term else each for each in policy.terms)
    first_paid_at = policy.activated_at or paid_at
    return replace(policy, activated_at=first_paid_at, version=policy.version + 1, terms=terms), transaction


def close_not_taken(
    policy: Policy, last: Transaction, source: str, billing_sequence: int, now: datetime, *, transaction_id: UUID
) -> tuple[Policy, Transaction]:
    """Take a contract back whose first premium was not paid in time: nothing of it is owed. `PolicyStateInvalid` as
    long as it can be paid.
    """
    state = policy.state(now)
    if state is not State.NOT_TAKEN:
        raise PolicyStateInvalid(state=state)
    term = policy.terms[0]
    void = replace(term, segments=(), charges=(), ended=Ended(EndKind.NOT_TAKEN, term.starts_on))
    transaction = Transaction(
        transaction_id,
        last.sequence + 1,
        TransactionType.NOT_TAKEN,
        term.starts_on,
        next_issue_time(last, now),
        Ending(EndKind.NOT_TAKEN, Return(Method.FLAT)),
        lines=tuple(charges.difference(void.lines(), term.lines(), term.starts_on)),
        source_id=source,
        billing_sequence=billing_sequence,
    )
    return replace(policy, version=policy.version + 1, terms=(void, *policy.terms[1:])), transaction
