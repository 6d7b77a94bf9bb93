"""What may be done with an invoice."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from libs import ids
from libs.money import AmountInvalid, CurrencyMismatch, Money
from libs.premium import Premium
from services.payments.billing.rules import invoice
from services.payments.billing.rules.amounts import Amounts
from services.payments.billing.rules.invoice import Invoice, InvoiceAlreadyPaid, InvoiceNotPayable, State

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


def bill(net: int, tax: int = 0, fees: int = 0, **changes: object) -> Invoice:
    amounts = Amounts.of_premium(Premium.of_minor(net, tax, fees, "EUR"))
    made = Invoice(ids.new(), ids.new(), ids.new(), None, 1, 1, NOW.date(), amounts, NOW, "UTC")
    return replace(made, **changes)  # type: ignore[arg-type]


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
    candidate = bill(100, 20, 5, **changes)
    if error is None:
        invoice.check_payable(candidate, expected, NOW)
        return
    with pytest.raises(error):
        invoice.check_payable(candidate, expected, NOW)


def test_payment_agreed_on_with_the_contract_may_be_made_late() -> None:
    invoice.check_payable(bill(100, payable_until=NOW), None, NOW, agreed_before=True)


def test_the_first_invoice_ends_with_the_first_day_of_cover_where_the_policy_is() -> None:
    assert invoice.payable_until(date(2026, 12, 1), "Africa/Maputo") == datetime(2026, 12, 1, 22, tzinfo=UTC)


def test_invoice_is_settled_in_parts() -> None:
    first = invoice.settle(bill(100, 20, 5), Money(100, "EUR"), NOW)
    assert (first.state, first.paid_at, first.amount_due) == (State.PARTIALLY_PAID, None, Money(25, "EUR"))
    invoice.check_payable(first, Money(25, "EUR"), NOW)
    paid = invoice.settle(first, Money(25, "EUR"), NOW)
    assert (paid.state, paid.paid_at, paid.version, paid.amount_due) == (State.PAID, NOW, 3, Money(0, "EUR"))


def test_void_invoice_owes_nothing() -> None:
    assert invoice.void(bill(100)).amount_due == Money(0, "EUR")
