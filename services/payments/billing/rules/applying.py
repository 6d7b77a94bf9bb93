"""What a transaction of a policy does to its billing account: pure, so that a preview and the real thing are the same.

What is added goes into the installments of its term, or is billed at once. What is given back is set off against the
planned installments of its term first; what is left becomes credit. Credit settles open invoices, the one that fell due
first before the others, and then what is billed here. What is left is paid out where cover ends or the plan says so;
what transactions before had paid out and nobody has sent yet is credit again before anything is to be paid.

Where cover goes on that had ended, the installments that had fallen away are planned again: who pays by the month does
not owe the year at once. What they do not come to, because it was billed and given back meanwhile, is billed at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction
from uuid import UUID

from libs.calendar import day_of
from libs.money import Money
from services.payments.billing.rules import plan
from services.payments.billing.rules.amounts import Amounts, nothing, total
from services.payments.billing.rules.plan import ChargeTiming, Installment
from services.payments.billing.rules.refund import Recallable
from services.payments.billing.rules.transaction import ENDINGS, Kind, Transaction


@dataclass(frozen=True, slots=True)
class Planned:
    """An installment that is not billed."""

    schedule_id: UUID
    transaction_id: UUID
    """The transaction that planned it."""
    term_number: int
    installment: Installment


@dataclass(frozen=True, slots=True)
class OpenInvoice:
    """An invoice that is not settled."""

    id: UUID
    term_number: int
    due_on: date
    amounts: Amounts
    due: Money
    """What is still to be paid of it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A billing account as a transaction finds it."""

    credit: Money
    planned: tuple[Planned, ...] = ()
    """In the order they fall due."""
    open: tuple[OpenInvoice, ...] = ()
    """In the order they fell due."""
    billed: Mapping[int, int] = field(default_factory=dict)
    """The highest number of an installment that was billed, by its term."""
    is_withdrawn: bool = False
    """Whether the first invoice was withdrawn, and the whole price taken out of the books."""
    recallable: tuple[Recallable, ...] = ()
    fallen: Mapping[int, tuple[Installment, ...]] = field(default_factory=dict)
    """By its term: what would be planned if cover had not ended, in the order it falls due."""
    given_back: int = 0
    """What the ending gave back beyond what was planned; minor units. It was billed before."""
    refundable: int = 0
    """What can still be paid back of payments, beside what is recallable; minor units."""
    ended_on: date | None = None
    """The first day without cover, where an end was put to it before that still stands."""


@dataclass(frozen=True, slots=True)
class Bill:
    """What is to be billed at once. `number` is that of the installment; 0 for what is billed by itself."""

    term_number: int
    number: int
    due_on: date
    amounts: Amounts


@dataclass(frozen=True, slots=True)
class Schedule:
    """The installments of a term from now on, with those among them that are billed at once."""

    term_number: int
    installments: tuple[Installment, ...]


@dataclass(frozen=True, slots=True)
class Settlement:
    """What credit pays of an invoice: of an open one, or of the bill at that position."""

    invoice: UUID | int
    amount: Money


@dataclass(frozen=True, slots=True)
class Refunding:
    """What is to be paid out, and not before which day."""

    amount: Money
    not_before: date


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is to be done. Schedules of the same terms are superseded: what is planned by them is not billed."""

    credited: Money
    schedules: tuple[Schedule, ...] = ()
    bills: tuple[Bill, ...] = ()
    voided: tuple[OpenInvoice, ...] = ()
    settlements: tuple[Settlement, ...] = ()
    is_plan_reduced: bool = False
    recalled: tuple[Recallable, ...] = ()
    """Refunds that are not sent: their money is credit again."""
    refund: Refunding | None = None

    def planned(self, standing: Standing) -> list[tuple[int, Installment]]:
        """What is planned then, with its term, in the order it falls due."""
        changed = {schedule.term_number for schedule in self.schedules}
        billed = {(bill.term_number, bill.number) for bill in self.bills}
        kept = [(item.term_number, item.installment) for item in standing.planned if item.term_number not in changed]
        new = [(item.term_number, part) for item in self.schedules for part in item.installments]
        planned = [item for item in kept + new if (item[0], item[1].number) not in billed]
        return sorted(planned, key=lambda item: (item[1].due_on, item[0], item[1].number))


def apply(standing: Standing, transaction: Transaction, today: date) -> Outcome:
    """What the transaction does to the account; `today` is where the policy is."""
    currency = transaction.currency
    if transaction.kind is Kind.NOT_TAKEN and standing.is_withdrawn:
        return Outcome(Money.zero(currency))
    outcome = Outcome(Money.zero(currency))
    for term_number in sorted({line.term_number for line in transaction.lines}):
        lines = [line for line in transaction.lines if line.term_number == term_number]
        outcome = _apply_to_term(outcome, standing, transaction, term_number, Amounts.of_lines(lines, currency), today)
    if may_recall(transaction):
        outcome = replace(outcome, recalled=standing.recallable)
    outcome = replace(outcome, settlements=_settle(standing, outcome))
    return replace(outcome, refund=_refund(standing, transaction, outcome, today))


def may_recall(transaction: Transaction) -> bool:
    """Whether it takes the place of refunds that were not sent: it ends cover, or there is more to be paid."""
    return transaction.kind in ENDINGS or transaction.total.minor > 0


def may_restore(transaction: Transaction) -> bool:
    """Whether it may have cover go on that had ended."""
    return transaction.kind in (Kind.REINSTATEMENT, Kind.REVERSAL) and transaction.total.minor > 0


def may_refund(transaction: Transaction) -> bool:
    """Whether what it gives back may be paid out."""
    return transaction.kind in ENDINGS or transaction.plan.refunds_credit


def may_follow_ending(transaction: Transaction) -> bool:
    """Whether what it gives back goes with what an end of cover gives back, which is still to come."""
    return transaction.kind is Kind.ENDORSEMENT and transaction.total.minor < 0


def _apply_to_term(
    outcome: Outcome, standing: Standing, transaction: Transaction, term_number: int, change: Amounts, today: date
) -> Outcome:
    number = standing.billed.get(term_number, 0) + 1
    before = [item.installment for item in standing.planned if item.term_number == term_number]
    voided = _voidable(standing, transaction.kind, term_number)
    begins = transaction.plan.count and not before and term_number == transaction.term_number
    if begins and change.total.minor > 0:
        parts = _begin(transaction, change, number, today)
        # What lets cover begin is billed at once, so that it can be paid before the term begins.
        is_awaited = transaction.first_payable_until is not None
        bills = [
            Bill(term_number, part.number, part.due_on, part.amounts)
            for part in parts[:1]
            if is_awaited or _is_due(part, today)
        ]
        return replace(
            outcome,
            schedules=(*outcome.schedules, Schedule(term_number, tuple(parts))),
            bills=(*outcome.bills, *bills),
            is_plan_reduced=outcome.is_plan_reduced or len(parts) < transaction.plan.count,
        )
    owed = total([part.amounts for part in before] + [item.amounts for item in voided], change.currency) + change
    if change.total.minor > 0 and transaction.plan.charge_timing is ChargeTiming.AT_ONCE:
        return replace(outcome, bills=(*outcome.bills, Bill(term_number, 0, today, change)))
    fallen = standing.fallen.get(term_number, ())
    if change.total.minor > 0 and len(fallen) > len(before):
        return _restored(outcome, standing, term_number, change, owed, today)
    if not before and owed.total.minor > 0:
        return replace(
            outcome, bills=(*outcome.bills, Bill(term_number, 0, today, owed)), voided=(*outcome.voided, *voided)
        )
    credited = Money(max(-owed.total.minor, 0), change.currency)
    return replace(
        outcome,
        credited=outcome.credited + credited,
        schedules=(*outcome.schedules, *_changed(transaction, term_number, before, change, owed, today)),
        voided=(*outcome.voided, *voided),
    )


def _begin(transaction: Transaction, change: Amounts, number: int, today: date) -> list[Installment]:
    """The installments of a term that begins. The first premium of a policy falls due at issue."""
    first = plan.fees_first(change, transaction.plan)
    parts = plan.split(change - first, first, transaction.plan.count, transaction.plan.down_payment)
    issued_on = day_of(transaction.issued_at, transaction.time_zone)
    starts_on = transaction.term_starts_on
    due_on = issued_on if transaction.kind is Kind.NEW_BUSINESS else max(issued_on, starts_on)
    days = plan.due_dates(due_on, starts_on, transaction.plan.count)
    return [Installment(number + i, day, part) for i, (day, part) in enumerate(zip(days, parts, strict=False))]


def _restored(
    outcome: Outcome, standing: Standing, term_number: int, change: Amounts, owed: Amounts, today: date
) -> Outcome:
    """What is owed for a term whose cover goes on, by the installments that had fallen away.

    Those of days that are over are billed at once.
    """
    fallen, first = standing.fallen[term_number], plan.fees_first(change, plan.NO_PLAN)
    billed_before = standing.given_back - sum(bill.amounts.total.minor for bill in outcome.bills if not bill.number)
    at_once = _part(owed, first, billed_before)
    if total([part.amounts for part in fallen], owed.currency) == owed - at_once:
        amounts = [part.amounts for part in fallen]
    elif at_once.total.minor > 0:
        amounts = plan.split(owed - at_once, nothing(owed.currency), len(fallen))
    else:
        amounts = plan.split(owed - first, first, len(fallen))
    bills = (Bill(term_number, 0, today, at_once),) if at_once.total.minor > 0 else ()
    parts = [
        Installment(part.number, max(part.due_on, today), amount) for part, amount in zip(fallen, amounts, strict=False)
    ]
    due = (Bill(term_number, part.number, part.due_on, part.amounts) for part in parts if _is_due(part, today))
    return replace(
        outcome,
        schedules=(*outcome.schedules, Schedule(term_number, tuple(parts))),
        bills=(*outcome.bills, *bills, *due),
    )


def _part(owed: Amounts, first: Amounts, minor: int) -> Amounts:
    """The part of what is owed that comes to about an amount: `first`, and of the rest a share of each column."""
    rest = owed - first
    if minor <= 0 or rest.total.minor <= 0:
        return nothing(owed.currency)
    share = Fraction(max(minor - first.total.minor, 0), rest.total.minor)
    part = first + rest.share(share)
    return part if share < 1 and 0 < part.total.minor < owed.total.minor else owed


def _changed(
    transaction: Transaction,
    term_number: int,
    before: Sequence[Installment],
    change: Amounts,
    owed: Amounts,
    today: date,
) -> list[Schedule]:
    """The schedule that takes the place of the planned installments of a term, when there are any."""
    if not before:
        return []
    if transaction.kind in ENDINGS:
        amounts = _without_the_last(before, owed)
    elif transaction.plan.charge_timing is ChargeTiming.NEXT_INSTALLMENT and change.total.minor > 0:
        amounts = [before[0].amounts + change, *(part.amounts for part in before[1:])]
    else:
        first = plan.fees_first(change, transaction.plan) if change.total.minor > 0 else nothing(change.currency)
        amounts = plan.split(owed - first, first, len(before))
    latest = max(transaction.effective_on, today) if transaction.kind in ENDINGS else None
    parts = [
        Installment(part.number, min(part.due_on, latest or part.due_on), amount)
        for part, amount in zip(before, amounts, strict=False)
    ]
    return [Schedule(term_number, tuple(parts))]


def _without_the_last(before: Sequence[Installment], owed: Amounts) -> list[Amounts]:
    """As many installments from the first on as come to what is owed; the last of them has another amount."""
    left = owed
    kept: list[Amounts] = []
    for part in before:
        if left.total.minor <= 0:
            break
        amount = part.amounts if part.amounts.total < left.total else left
        kept.append(amount)
        left = left - amount
    if kept and left.total.minor > 0:
        kept[-1] = kept[-1] + left
    return kept


def _voidable(standing: Standing, kind: Kind, term_number: int) -> tuple[OpenInvoice, ...]:
    """The invoices that are withdrawn with a term that was not taken: those of which nothing was settled."""
    if kind is not Kind.NOT_TAKEN:
        return ()
    return tuple(item for item in standing.open if item.term_number == term_number and item.due == item.amounts.total)


def _is_due(part: Installment, today: date) -> bool:
    return part.due_on <= today


def _settle(standing: Standing, outcome: Outcome) -> tuple[Settlement, ...]:
    """What the credit of the account pays."""
    credit = _credit(standing, outcome)
    open_invoices: list[tuple[UUID | int, Money]] = [
        (item.id, item.due) for item in standing.open if item not in outcome.voided
    ]
    settlements = []
    for invoice, due in [*open_invoices, *((i, bill.amounts.total) for i, bill in enumerate(outcome.bills))]:
        amount = min(credit, due)
        if amount.minor > 0:
            settlements.append(Settlement(invoice, amount))
            credit = credit - amount
    return tuple(settlements)


def _credit(standing: Standing, outcome: Outcome) -> Money:
    """The credit that there is before anything is settled."""
    recalled = sum(item.amount for item in outcome.recalled)
    return standing.credit + outcome.credited + Money(recalled, outcome.credited.currency)


def _refund(standing: Standing, transaction: Transaction, outcome: Outcome, today: date) -> Refunding | None:
    """What is paid out of the credit that is left.

    What was to be paid out before still is. Of a policy that ends, all credit goes with it when nothing is planned,
    also that of a change within the days that are left to it. What cannot go back to a payment stays credit.
    """
    ends, recalled = transaction.kind in ENDINGS, sum(item.amount for item in outcome.recalled)
    ends = ends or standing.ended_on is not None
    settled = sum(item.amount.minor for item in outcome.settlements)
    left = _credit(standing, outcome).minor - settled
    payable = recalled
    if ends and not outcome.planned(standing):
        payable = left
    elif may_refund(transaction):
        payable += outcome.credited.minor
    amount = min(payable, left, standing.refundable + recalled)
    if amount <= 0:
        return None
    ends_on = standing.ended_on or transaction.effective_on
    days = [transaction.refund_not_before or (max(ends_on, today) if ends else today)]
    if not ends:
        days += [item.not_before for item in outcome.recalled]
    return Refunding(Money(amount, transaction.currency), max(days))
