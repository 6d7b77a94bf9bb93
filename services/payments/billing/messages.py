"""Billings and invoices as the contract carries them, and as the domain knows them."""

from __future__ import annotations

from collections.abc import Mapping

from bazaruto.payments.v1 import invoice_pb2 as pb
from libs import ids
from libs.rpc import values
from services.payments.billing.rules import invoice
from services.payments.billing.rules.invoice import Billed, Billing, Installment, Invoice, State

_STATES = {
    State.OPEN: pb.Invoice.STATE_OPEN,
    State.PAID: pb.Invoice.STATE_PAID,
    State.VOID: pb.Invoice.STATE_VOID,
}


def billing_from_proto(request: pb.OpenBillingRequest) -> Billing:
    """The billing that policies asks for. Raises what is wrong with its price or its plan."""
    premium = values.premium_from_proto(request.premium)
    invoice.check_premium(premium, values.money_from_proto(request.premium.total))
    return invoice.open_billing(
        policy_id=ids.decode("pol", request.policy_id),
        user_id=ids.decode("usr", request.user_id),
        transaction_id=ids.decode("ptx", request.transaction_id),
        plan_code=request.plan_code,
        count=request.installments,
        starts_on=values.date_from_proto(request.start_date, "start_date"),
        issued_at=values.time_from_proto(request.issue_time),
        premium=premium,
        payment_method=request.payment_method,
        time_zone=request.time_zone or "UTC",
    )


def billing_to_proto(billing: Billing, billed: Mapping[int, Billed]) -> pb.Billing:
    """The billing with what became of its installments."""
    return pb.Billing(
        policy_id=ids.encode("pol", billing.policy_id),
        user_id=ids.encode("usr", billing.user_id),
        plan_code=billing.plan_code,
        premium=values.premium_to_proto(billing.premium),
        installments=[installment_to_proto(part, billed.get(part.number)) for part in billing.installments],
    )


def installment_to_proto(part: Installment, billed: Billed | None) -> pb.Installment:
    """One part of the price, and its invoice if there is one."""
    state = pb.Installment.STATE_PLANNED
    if billed is not None:
        state = pb.Installment.STATE_SETTLED if billed.paid else pb.Installment.STATE_INVOICED
    return pb.Installment(
        installment_number=part.number,
        due_date=values.date_to_proto(part.due_on),
        premium=values.premium_to_proto(part.premium),
        state=state,
        invoice_id=ids.encode("inv", billed.invoice_id) if billed else "",
    )


def invoice_to_proto(bill: Invoice) -> pb.Invoice:
    """The invoice as it stands."""
    return pb.Invoice(
        invoice_id=ids.encode("inv", bill.id),
        invoice_number=bill.number,
        user_id=ids.encode("usr", bill.user_id),
        policy_id=ids.encode("pol", bill.policy_id),
        installment_number=bill.installment.number,
        state=_STATES[bill.state],
        premium=values.premium_to_proto(bill.installment.premium),
        amount_due=values.money_to_proto(bill.amount_due),
        due_date=values.date_to_proto(bill.installment.due_on),
        issue_time=values.time_to_proto(bill.issued_at),
        paid_time=values.time_to_proto(bill.paid_at) if bill.paid_at else None,
        etag=f"{bill.version}-{bill.state}",
        payable_until_time=values.time_to_proto(bill.payable_until) if bill.payable_until else None,
    )
