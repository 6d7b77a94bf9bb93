"""Splitting a price into installments, and what may be done with an invoice. T numbers are the design's cases."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs import ids
from libs.calendar import months_after
from libs.money import AmountInvalid, CurrencyMismatch, Money
from libs.premium import Premium
from services.payments.billing.rules import invoice
from services.payments.billing.rules.invoice import (
    Billing,
    Installment,
    Invoice,
    InvoiceAlreadyPaid,
    InvoiceNotPayable,
    State,
)

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


def premium(net: int, tax: int = 0, fees: int = 0, currency: str = "EUR") -> Premium:
    return Premium(Money(net, currency), Money(tax, currency), Money(fees, currency))


def billing(price: Premium, count: int, starts_on: date = date(2026, 12, 1)) -> Billing:
    return invoice.open_billing(
        policy_id=ids.new(),
        user_id=ids.new(),
        transaction_id=ids.new(),
        plan_code="monthly",
        count=count,
        starts_on=starts_on,
        issued_at=NOW,
        premium=price,
        payment_method="",
    )


def bill(price: Premium, **changes: object) -> Invoice:
    made = Invoice(ids.new(), "INV-2026-000001", ids.new(), ids.new(), Installment(1, NOW.date(), price), NOW)
    return replace(made, **changes)  # type: ignore[arg-type]


def test_t27_and_t35_together_make_parts_that_are_all_equal() -> None:
    parts = premium(1000_00, 170_00).split(12)
    assert [(part.net.minor, part.tax.minor) for part in parts] == [(83_34, 14_16)] * 4 + [(83_33, 14_17)] * 8
    assert {part.total for part in parts} == {Money(97_50, "EUR")}


def test_t36_two_installments_of_premium_and_tax() -> None:
    first, second = billing(premium(100_00, 20_00), 2).installments
    assert first.premium.total == second.premium.total == Money(60_00, "EUR")


@given(
    net=st.integers(0, 10**12),
    tax=st.integers(0, 10**12),
    fees=st.integers(0, 10**12),
    count=st.integers(1, 60),
    currency=st.sampled_from(["EUR", "JPY", "BHD", "CLF"]),
)
def test_parts_always_add_up_and_differ_by_one_at_most(
    net: int, tax: int, fees: int, count: int, currency: str
) -> None:
    parts = premium(net, tax, fees, currency).split(count)
    for name, whole in (("net", net), ("tax", tax), ("fees", fees), ("total", net + tax + fees)):
        amounts = [getattr(part, name).minor for part in parts]
        assert sum(amounts) == whole
        assert max(amounts) - min(amounts) <= 1


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2028, 1, 31), 1, date(2028, 2, 29)),
        (date(2026, 1, 31), 2, date(2026, 3, 31)),
        (date(2026, 8, 31), 3, date(2026, 11, 30)),
        (date(2026, 12, 15), 1, date(2027, 1, 15)),
        (date(2024, 2, 29), 12, date(2025, 2, 28)),
    ],
)
def test_month_ends_are_clamped(day: date, months: int, expected: date) -> None:
    assert months_after(day, months) == expected


def test_first_part_falls_due_at_issue_and_the_others_monthly_from_the_start() -> None:
    days = [part.due_on for part in billing(premium(1200_00), 12, date(2027, 1, 31)).installments]
    assert days[:4] == [date(2026, 11, 24), date(2027, 2, 28), date(2027, 3, 31), date(2027, 4, 30)]
    assert len(days) == 12


def test_two_parts_are_half_a_year_apart() -> None:
    assert invoice.due_dates(NOW.date(), date(2026, 12, 1), 2) == [NOW.date(), date(2027, 6, 1)]


@given(count=st.integers(1, 60), starts_on=st.dates(date(2020, 1, 1), date(2030, 1, 1)))
def test_no_part_falls_due_before_issue_or_before_an_earlier_part(count: int, starts_on: date) -> None:
    days = invoice.due_dates(NOW.date(), starts_on, count)
    assert len(days) == count
    assert days[0] == NOW.date()
    assert days == sorted(days)


def test_price_too_small_for_its_installments_is_refused() -> None:
    with pytest.raises(AmountInvalid, match="12 installments"):
        billing(premium(5, currency="JPY"), 12)


@pytest.mark.parametrize(
    ("price", "whole", "error"),
    [
        (premium(100, 20, 5), Money(124, "EUR"), AmountInvalid),
        (premium(100, -20, 5), Money(85, "EUR"), AmountInvalid),
        (premium(100), Money(100, "USD"), CurrencyMismatch),
        (Premium(Money(100, "EUR"), Money(20, "USD"), Money(0, "EUR")), Money(120, "EUR"), CurrencyMismatch),
    ],
)
def test_wrong_price_is_refused(price: Premium, whole: Money, error: type[Exception]) -> None:
    with pytest.raises(error):
        invoice.check_premium(price, whole)


def test_whole_price_is_accepted() -> None:
    invoice.check_premium(premium(100, 20, 5), Money(125, "EUR"))


@pytest.mark.parametrize(
    ("changes", "expected", "error"),
    [
        ({}, None, None),
        ({}, Money(125, "EUR"), None),
        ({}, Money(124, "EUR"), AmountInvalid),
        ({}, Money(-125, "EUR"), AmountInvalid),
        ({}, Money(125, "USD"), CurrencyMismatch),
        ({"state": State.PAID, "paid_at": NOW}, None, InvoiceAlreadyPaid),
        ({"state": State.VOID}, None, InvoiceNotPayable),
        ({"payable_until": NOW + timedelta(microseconds=1)}, None, None),
        ({"payable_until": NOW}, None, InvoiceNotPayable),
    ],
)
def test_what_may_be_paid(changes: dict[str, object], expected: Money | None, error: type[Exception] | None) -> None:
    candidate = bill(premium(100, 20, 5), **changes)
    if error is None:
        invoice.check_payable(candidate, expected, NOW)
        return
    with pytest.raises(error):
        invoice.check_payable(candidate, expected, NOW)


def test_payment_agreed_on_with_the_contract_may_be_made_late() -> None:
    invoice.check_payable(bill(premium(100), payable_until=NOW), None, NOW, agreed_before=True)


def test_only_the_first_invoice_has_an_end_and_that_is_midnight_where_the_policy_is() -> None:
    day = date(2026, 12, 1)
    assert invoice.payable_until(1, day, "Africa/Maputo") == datetime(2026, 12, 1, 22, tzinfo=UTC)
    assert invoice.payable_until(2, day, "Africa/Maputo") is None


def test_paid_invoice_owes_nothing() -> None:
    open_invoice = bill(premium(100, 20, 5))
    paid = invoice.pay(open_invoice, NOW)
    assert open_invoice.amount_due == Money(125, "EUR")
    assert paid.amount_due == Money(0, "EUR")
    assert (paid.state, paid.paid_at, paid.version) == (State.PAID, NOW, 2)


def test_number_is_readable() -> None:
    assert invoice.number_for(2026, 42) == "INV-2026-000042"
