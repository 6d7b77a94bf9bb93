"""Billings and invoices as the contract carries them, and as the domain knows them."""

from __future__ import annotations

from bazaruto.common.v1 import charge_pb2
from bazaruto.payments.v1 import invoice_pb2 as pb
from libs import ids
from libs.money import AmountInvalid, CurrencyMismatch, Money
from libs.premium import ChargeLine, LineKind, Premium
from libs.rpc import values
from services.payments.billing.rules.billing import Billing, KnownSchedule, Part, PartState
from services.payments.billing.rules.invoice import Invoice, State
from services.payments.billing.rules.plan import Plan
from services.payments.billing.rules.transaction import Kind, Transaction

_STATES = {
    State.OPEN: pb.Invoice.STATE_OPEN,
    State.PARTIALLY_PAID: pb.Invoice.STATE_PARTIALLY_PAID,
    State.PAID: pb.Invoice.STATE_PAID,
    State.VOID: pb.Invoice.STATE_VOID,
}
_PART_STATES = {
    PartState.PLANNED: pb.Installment.STATE_PLANNED,
    PartState.INVOICED: pb.Installment.STATE_INVOICED,
    PartState.SUPERSEDED: pb.Installment.STATE_SUPERSEDED,
}


def transaction_from_billing(request: pb.OpenBillingRequest) -> Transaction:
    """The first transaction of a policy, as it was sent before there were lines. Raises what is wrong with a price."""
    premium = values.premium_from_proto(request.premium)
    _check_premium(premium, values.money_from_proto(request.premium.total))
    customer_id = ids.decode("usr", request.user_id, "user_id")
    starts_on = values.date_from_proto(request.start_date, "start_date")
    amounts = ((LineKind.PREMIUM, premium.net), (LineKind.TAX, premium.tax), (LineKind.FEE, premium.fees))
    return Transaction(
        id=ids.decode("ptx", request.transaction_id, "transaction_id"),
        policy_id=ids.decode("pol", request.policy_id),
        sequence=1,
        kind=Kind.NEW_BUSINESS,
        term_number=1,
        customer_id=customer_id,
        payer_id=customer_id,
        partner_id=None,
        product_code="",
        product_version=0,
        time_zone=request.time_zone or "UTC",
        term_starts_on=starts_on,
        term_ends_on=None,
        effective_on=starts_on,
        issued_at=values.time_from_proto(request.issue_time),
        total=premium.total,
        lines=tuple(ChargeLine(kind, amount, starts_on, starts_on) for kind, amount in amounts if amount.minor),
        plan=Plan(request.plan_code, request.installments, spreads_fees=True),
        payment_method=request.payment_method,
    )


def billing_to_proto(billing: Billing) -> pb.Billing:
    """The billing with what became of its installments."""
    return pb.Billing(
        policy_id=ids.encode("pol", billing.account.id),
        user_id=ids.encode("usr", billing.account.customer_id),
        plan_code=billing.plan_code,
        premium=values.premium_to_proto(billing.premium),
        installments=[installment_to_proto(part) for part in billing.parts],
        schedules=[_schedule_to_proto(schedule) for schedule in billing.schedules],
    )


def installment_to_proto(part: Part) -> pb.Installment:
    """One part of the price, and its invoice if there is one."""
    return pb.Installment(
        installment_number=part.installment.number,
        due_date=values.date_to_proto(part.installment.due_on),
        premium=values.premium_to_proto(part.installment.amounts.premium),
        state=pb.Installment.STATE_SETTLED if part.is_settled else _PART_STATES[part.state],
        invoice_id=ids.encode("inv", part.invoice_id) if part.invoice_id else "",
        term_number=part.term_number,
    )


def invoice_to_proto(bill: Invoice) -> pb.Invoice:
    """The invoice as it stands. One that is only thought of has neither identifier nor number."""
    return pb.Invoice(
        invoice_id=ids.encode("inv", bill.id) if bill.number else "",
        invoice_number=bill.number,
        user_id=ids.encode("usr", bill.user_id),
        policy_id=ids.encode("pol", bill.policy_id),
        installment_number=bill.installment_number,
        state=_STATES[bill.state],
        premium=values.premium_to_proto(bill.amounts.premium),
        amount_due=values.money_to_proto(bill.amount_due),
        due_date=values.date_to_proto(bill.due_on),
        issue_time=values.time_to_proto(bill.issued_at),
        paid_time=values.time_to_proto(bill.paid_at) if bill.paid_at else None,
        etag=f"{bill.version}-{bill.state}",
        payable_until_time=values.time_to_proto(bill.payable_until) if bill.payable_until else None,
        items=[
            pb.InvoiceItem(
                kind=charge_pb2.ChargeLine.Kind.Value(f"KIND_{kind.upper()}"),
                charge_code=code,
                amount=values.money_to_proto(amount),
            )
            for kind, code, amount in bill.amounts.items
        ],
        term_number=bill.term_number,
        past_due_time=values.time_to_proto(bill.past_due_at) if bill.past_due_at else None,
    )


def _schedule_to_proto(schedule: KnownSchedule) -> pb.InstallmentSchedule:
    return pb.InstallmentSchedule(
        transaction_id=ids.encode("ptx", schedule.transaction_id),
        term_number=schedule.term_number,
        installments=[installment_to_proto(part) for part in schedule.parts],
    )


def _check_premium(premium: Premium, total: Money) -> None:
    """Raise what is wrong with a price: mixed currencies, a negative part, or parts that are not its total."""
    if min(premium.net.minor, premium.tax.minor, premium.fees.minor) < 0:
        raise AmountInvalid("a part of the premium is negative")
    if premium.total != total:
        if premium.total.currency != total.currency:
            raise CurrencyMismatch(expected=premium.total.currency, actual=total.currency)
        raise AmountInvalid("net, tax and fees do not add up to the total")
