"""The numbers of docs/billing.md are what the rules come to."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from libs import ids
from libs.money import Money, round_half_even
from libs.premium import ChargeLine, LineKind
from services.payments.billing.rules import applying, delinquency
from services.payments.billing.rules import refund as refunds
from services.payments.billing.rules.applying import OpenInvoice, Outcome, Planned, Standing
from services.payments.billing.rules.dunning import Action, Dunning
from services.payments.billing.rules.plan import Installment, Plan
from services.payments.billing.rules.transaction import Kind, Transaction
from services.payments.collection.adapters.sandbox import CARDS
from services.payments.ledger.rules import changing
from services.payments.ledger.rules.changing import Credited
from services.payments.ledger.rules.chart import Side
from services.payments.ledger.rules.journal import Journal, Subject
from services.payments.ledger.rules.posting import CREDIT_REFUNDED, REFUND_FAILED, REFUND_SUCCEEDED
from tests.support import guide

PAGE = (guide.DOCS / "billing.md").read_text()
ISSUED_ON = date(2026, 12, 20)
STARTS_ON, ENDS_ON = date(2027, 1, 1), date(2028, 1, 1)
LAPSED_ON = date(2027, 3, 3)


def rows_below(heading: str) -> list[list[str]]:
    """The rows of the table whose heading begins so."""
    lines = iter(PAGE.partition(f"\n| {heading}")[2].splitlines()[2:])
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in _while_in_table(lines)]


def _while_in_table(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if not line.startswith("|"):
            return
        yield line


def euros(minor: int) -> str:
    return f"{Decimal(minor) / 100:,.2f}"


def transaction(kind: Kind, net: int, tax: int, fee: int, effective_on: date, plan: Plan) -> Transaction:
    amounts = ((LineKind.PREMIUM, net), (LineKind.TAX, tax), (LineKind.FEE, fee))
    lines = tuple(ChargeLine(kind, Money(minor, "EUR"), STARTS_ON, ENDS_ON) for kind, minor in amounts if minor)
    fields: dict[str, Any] = {
        "id": ids.new(),
        "policy_id": ids.new(),
        "sequence": 1,
        "kind": kind,
        "term_number": 1,
        "customer_id": ids.new(),
        "payer_id": ids.new(),
        "partner_id": None,
        "product_code": "motor",
        "product_version": 2,
        "time_zone": "UTC",
        "term_starts_on": STARTS_ON,
        "term_ends_on": ENDS_ON,
        "effective_on": effective_on,
        "issued_at": datetime.combine(effective_on, datetime.min.time(), UTC),
        "total": Money(net + tax + fee, "EUR"),
        "lines": lines,
        "plan": plan,
    }
    return Transaction(**fields)


def issued() -> Outcome:
    new = transaction(Kind.NEW_BUSINESS, 1200_00, 204_00, 25_00, ISSUED_ON, Plan("monthly", 12))
    return applying.apply(Standing(Money.zero("EUR")), new, ISSUED_ON)


def test_installments_are_what_the_plan_comes_to() -> None:
    parts = issued().schedules[0].installments
    shown = [
        [f"{part.due_on}", euros((part.amounts - part.amounts.fees).total.minor), euros(part.amounts.fees.total.minor),
         euros(part.amounts.total.minor)]
        for part in parts
    ]  # fmt: skip
    table = rows_below("falls due")
    assert table[:3] == shown[:3]
    assert table[3] == [f"… and so on to {parts[-1].due_on}", *shown[-1][1:]]
    assert len({tuple(row[1:]) for row in shown[1:]}) == 1


def test_ends_of_grace_are_what_the_rules_say() -> None:
    for due_on, days, ends_on in rows_below("due date"):
        current = _began(date.fromisoformat(due_on), Dunning.of(int(days), []))
        assert f"{current.grace_ends_on}" == ends_on


def test_steps_are_done_on_the_days_that_the_page_says() -> None:
    text = PAGE.partition("whose steps are")[2].partition("and an invoice of")[0]
    steps = re.findall(r"`(\w+)`\s+on\s+day\s+(\d+)", text)
    rules = Dunning.of(30, [(int(day), Action(action)) for action, day in steps])
    current, done = _began(date(2027, 2, 1), rules), []
    for days in range(1, 31):
        today = date(2027, 2, 1) + timedelta(days=days)
        while (step := delinquency.next_step(current, rules)) and delinquency.day_of_step(current, step) <= today:
            current = delinquency.do(current, rules, step, today)
            done.append([f"{today}", step.action.value])
    assert rows_below("day | what") == done


def test_lapse_leaves_what_is_owed_for_the_days_of_grace() -> None:
    days = (LAPSED_ON - STARTS_ON).days
    net = round_half_even(1200_00 * Fraction(days, 365))
    tax = round_half_even(net * Fraction(17, 100))
    parts = issued().schedules[0].installments
    schedule_id, transaction_id = ids.new(), ids.new()
    planned = tuple(Planned(schedule_id, transaction_id, 1, part) for part in parts[3:])
    unpaid = tuple(OpenInvoice(ids.new(), 1, part.due_on, part.amounts, part.amounts.total) for part in parts[1:3])
    lapse = transaction(Kind.LAPSE, net - 1200_00, tax - 204_00, 0, LAPSED_ON, Plan())
    outcome = applying.apply(Standing(Money.zero("EUR"), planned, unpaid, {1: 3}), lapse, LAPSED_ON)
    settled = sum(item.amount.minor for item in outcome.settlements)
    left = sum(item.due.minor for item in unpaid) - settled
    owed, paid = net + tax + 25_00, parts[0].amounts.total.minor
    assert outcome.planned(Standing(Money.zero("EUR"), planned)) == []
    assert [item.invoice for item in outcome.settlements] == [unpaid[0].id]
    assert left == owed - paid
    assert [row[1] for row in rows_below("| amount")] == [euros(m) for m in (net, tax, 25_00, owed, paid, left)]
    assert f"net premium for {days} of 365 days" in PAGE
    given_up = sum(item.installment.amounts.total.minor for item in planned)
    assert f"({euros(given_up)}) fall away" in PAGE
    assert f"settles {euros(settled)} of the invoice" in PAGE


def _began(due_on: date, rules: Dunning) -> delinquency.Delinquency:
    now = datetime.combine(due_on + timedelta(days=1), datetime.min.time(), UTC)
    opened = delinquency.open_for(ids.new(), ids.new(), 0, due_on, Money(117_00, "EUR"), 1, now)
    return delinquency.begin_grace(opened, rules)


def test_refund_is_what_the_days_that_are_left_come_to() -> None:
    ends_on = date(2027, 7, 1)
    net, tax = _kept(ends_on)
    back, tax_back = 1200_00 - net, 204_00 - tax
    change = transaction(Kind.CANCELLATION, -back, -tax_back, 0, ends_on, Plan())
    outcome = applying.apply(Standing(Money.zero("EUR"), billed={1: 1}, refundable=1429_00), change, ISSUED_ON)
    assert outcome.refund is not None
    assert outcome.refund.not_before == ends_on
    refund = outcome.refund.amount.minor
    assert rows_below("given back") == [
        [f"net premium for {(ENDS_ON - ends_on).days} of 365 days", euros(back)],
        ["tax on it", euros(tax_back)],
        ["fee", "0.00"],
        ["refund", euros(refund)],
    ]
    booked = changing.policy_changed(
        "ptx",
        Subject(ids.new()),
        ends_on,
        change.lines,
        credited=Credited(*(Money(minor, "EUR") for minor in (0, 0, 0, refund))),
    )
    amount, credit = Money(refund, "EUR"), Money(30_00, "EUR")
    journals = [
        booked,
        *(rule.journal("x", Subject(ids.new()), ends_on, amount) for rule in (REFUND_SUCCEEDED, REFUND_FAILED)),
        CREDIT_REFUNDED.journal("x", Subject(ids.new()), ends_on, credit),
    ]
    assert [row[1:] for row in rows_below("event | debit")] == [
        [_side(journal, Side.DEBIT), _side(journal, Side.CREDIT)] for journal in journals if journal
    ]


def test_refund_of_installments_goes_back_to_the_newest_payments() -> None:
    parts = issued().schedules[0].installments
    paid, later = parts[:7], parts[7:]
    assert f"({euros(sum(part.amounts.total.minor for part in paid))})" in PAGE
    planned = tuple(Planned(ids.new(), ids.new(), 1, part) for part in later)
    ends_on = date(2027, 7, 1)
    net, tax = _kept(ends_on)
    change = transaction(Kind.CANCELLATION, net - 1200_00, tax - 204_00, 0, ends_on, Plan())
    captured = [refunds.Captured(ids.new(), part.amounts.total.minor) for part in reversed(paid)]
    standing = Standing(Money.zero("EUR"), planned, (), {1: 7}, refundable=sum(item.left for item in captured))
    outcome = applying.apply(standing, change, ends_on)
    assert outcome.refund is not None
    fallen = sum(part.amounts.total.minor for part in later)
    back = [amount.minor for _, amount in refunds.split(outcome.refund.amount, captured)]
    _, _, second = PAGE.partition("Paid in twelve installments")
    assert [row.split("|")[2].strip() for row in second.splitlines() if row.startswith(("| five", "| back"))] == [
        euros(minor) for minor in (fallen, *back)
    ]


def test_installments_that_fell_away_come_back() -> None:
    parts = issued().schedules[0].installments[1:]
    ends_on = date(2027, 7, 1)
    net, tax = _kept(ends_on)
    before = Standing(Money.zero("EUR"), tuple(Planned(ids.new(), ids.new(), 1, part) for part in parts), (), {1: 1})
    change = transaction(Kind.CANCELLATION, net - 1200_00, tax - 204_00, 0, ends_on, Plan())
    (kept,) = applying.apply(before, change, ISSUED_ON).schedules
    planned = tuple(Planned(ids.new(), ids.new(), 1, part) for part in kept.installments)
    cancelled = Standing(Money.zero("EUR"), planned, (), {1: 1}, fallen={1: parts})
    back = transaction(Kind.REVERSAL, 1200_00 - net, 204_00 - tax, 0, ends_on, Plan())
    rescinded = applying.apply(cancelled, back, ISSUED_ON)
    assert rescinded.schedules[0].installments == parts
    assert (rescinded.bills, rescinded.settlements, rescinded.refund) == ((), (), None)
    rows = [("before", parts), ("cancelled", kept.installments), ("rescinded", rescinded.schedules[0].installments)]
    assert rows_below("| planned") == [
        [name, _counted(items), euros(sum(part.amounts.total.minor for part in items))] for name, items in rows
    ]


def _counted(items: tuple[Installment, ...]) -> str:
    """Amounts in their order, those that are often with how often."""
    counts = [(minor, len(list(same))) for minor, same in itertools.groupby(part.amounts.total.minor for part in items)]
    return ", ".join(f"{count} × {euros(minor)}" if count > 1 else euros(minor) for minor, count in counts)


def test_cards_of_the_sandbox_are_those_of_the_page() -> None:
    table = {row[0].strip("`"): row for row in rows_below("card | payment")}
    assert list(table) == list(CARDS)
    for name, card in CARDS.items():
        _, payment, refund = table[name]
        assert card.decline_code in payment
        assert card.failure_code in refund
        assert ("answer is lost" in payment, "answer is lost" in refund) == (
            card.answer_is_lost,
            card.refund_answer_is_lost,
        )


def _kept(ends_on: date) -> tuple[int, int]:
    """Net premium and tax of the days until cover ends."""
    net = round_half_even(1200_00 * Fraction((ends_on - STARTS_ON).days, 365))
    return net, round_half_even(net * Fraction(17, 100))


def _side(journal: Journal, side: Side) -> str:
    return "; ".join(f"{item.account} {euros(item.amount.minor)}" for item in journal.postings if item.side is side)
