"""The invoices that a transaction makes and changes, and what is to be paid then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.money import Money, total
from services.payments.billing.rules import invoice
from services.payments.billing.rules.applying import Bill, OpenInvoice, Outcome, Refunding, Standing
from services.payments.billing.rules.invoice import Invoice
from services.payments.billing.rules.plan import Installment
from services.payments.billing.rules.transaction import Kind, Transaction


@dataclass(frozen=True, slots=True)
class Result:
    """What a transaction led to, or would lead to."""

    billed: tuple[Invoice, ...]
    """The invoices that it makes, as they stand when credit has settled what it can."""
    changed: tuple[Invoice, ...]
    """Those of before that it settles or withdraws."""
    planned: tuple[tuple[int, Installment], ...]
    """With their terms, in the order they fall due."""
    credited: Money
    balance_due: Money
    is_plan_reduced: bool
    refund: Refunding | None = None
    refund_id: UUID | None = None
    """None where nothing is paid out, and in a preview."""


def result_of(
    standing: Standing,
    unsettled: Mapping[UUID, Invoice],
    outcome: Outcome,
    change: Transaction,
    now: datetime,
    invoice_ids: Sequence[UUID],
) -> Result:
    """The result of an outcome. `unsettled` are the account's open invoices, `invoice_ids` those of the new ones."""
    billed = [
        bill_of(change, bill, now, invoice_id) for bill, invoice_id in zip(outcome.bills, invoice_ids, strict=True)
    ]
    changed = {item.id: invoice.void(unsettled[item.id]) for item in outcome.voided}
    for settlement in outcome.settlements:
        if isinstance(settlement.invoice, int):
            number = settlement.invoice
            billed[number] = invoice.settle(billed[number], settlement.amount, now)
        else:
            changed[settlement.invoice] = invoice.settle(unsettled[settlement.invoice], settlement.amount, now)
    due = [item.amount_due for item in ({**unsettled, **changed}).values()] + [item.amount_due for item in billed]
    return Result(
        tuple(billed),
        tuple(changed.values()),
        tuple(outcome.planned(standing)),
        outcome.credited,
        total(due, change.currency),
        outcome.is_plan_reduced,
        outcome.refund,
    )


def bill_of(change: Transaction, bill: Bill, now: datetime, invoice_id: UUID) -> Invoice:
    """The invoice of what is billed at once. A first premium that lets cover begin can be paid in its time only."""
    return Invoice(
        id=invoice_id,
        policy_id=change.policy_id,
        user_id=change.payer_id,
        partner_id=change.partner_id,
        term_number=bill.term_number,
        installment_number=bill.number,
        due_on=bill.due_on,
        amounts=bill.amounts,
        issued_at=now,
        time_zone=change.time_zone,
        payable_until=_payable_until(change) if bill.number == 1 else None,
    )


def _payable_until(change: Transaction) -> datetime | None:
    """Until when the first premium of a term can be paid that lets its cover begin; None where cover does not wait."""
    if change.kind is Kind.NEW_BUSINESS:
        return invoice.payable_until(change.term_starts_on, change.time_zone)
    return change.first_payable_until


def open_invoice(unsettled: Invoice) -> OpenInvoice:
    """An invoice as a transaction finds it."""
    return OpenInvoice(unsettled.id, unsettled.term_number, unsettled.due_on, unsettled.amounts, unsettled.amount_due)
