"""The gRPC face of billing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

import grpc

from bazaruto.payments.v1 import invoice_pb2 as pb
from bazaruto.payments.v1 import invoice_pb2_grpc as rpc_pb
from libs import ids
from libs.db import Database
from libs.errors import ResourceNotFound
from libs.rpc import calls, values
from libs.rpc.pages import Page
from services.payments.billing.flows import invoicing
from services.payments.billing.rules import invoice
from services.payments.billing.rules.invoice import Billing, Installment, Invoice, State
from services.payments.billing.store import billings, invoices
from services.payments.billing.store.billings import Billed

_STATES = {
    State.OPEN: pb.Invoice.STATE_OPEN,
    State.PAID: pb.Invoice.STATE_PAID,
    State.VOID: pb.Invoice.STATE_VOID,
}


class InvoiceServicer(rpc_pb.InvoiceServiceServicer):
    """Answers the calls of `InvoiceService`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def OpenBilling(self, request: pb.OpenBillingRequest, context: grpc.ServicerContext) -> pb.Billing:
        premium = values.premium_from_proto(request.premium)
        invoice.check_premium(premium, values.money_from_proto(request.premium.total))
        billing = invoice.open_billing(
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
        with self._database.transaction() as session:
            invoicing.open_billing(session, billing, datetime.now(UTC))
            found = billings.find(session, billing.policy_id)
        if found is None:
            raise ResourceNotFound(resource="billing")
        return billing_to_proto(*found)

    def GetBilling(self, request: pb.GetBillingRequest, context: grpc.ServicerContext) -> pb.Billing:
        with self._database.reading() as session:
            found = billings.find(session, ids.decode("pol", request.policy_id))
        billing, billed = found or (None, {})
        return billing_to_proto(calls.visible(billing, "billing"), billed)

    def GetInvoice(self, request: pb.GetInvoiceRequest, context: grpc.ServicerContext) -> pb.Invoice:
        with self._database.reading() as session:
            found = invoices.find(session, ids.decode("inv", request.invoice_id))
        return invoice_to_proto(calls.visible(found, "invoice"))

    def ListInvoices(self, request: pb.ListInvoicesRequest, context: grpc.ServicerContext) -> pb.ListInvoicesResponse:
        caller = calls.caller()
        page = Page.of(request, "invoices", caller.subject, request.policy_id)
        owner = None if caller.sees_all else caller.user_id
        policy_id = ids.decode("pol", request.policy_id) if request.policy_id else None
        with self._database.reading() as session:
            found = invoices.list_invoices(session, owner, policy_id, page.after_as(UUID), page.fetch)
        shown, token = page.cut(found, key=lambda item: item.id)
        return pb.ListInvoicesResponse(invoices=[invoice_to_proto(item) for item in shown], next_page_token=token)


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


def invoice_to_proto(billed: Invoice) -> pb.Invoice:
    """The invoice as it stands."""
    return pb.Invoice(
        invoice_id=ids.encode("inv", billed.id),
        invoice_number=billed.number,
        user_id=ids.encode("usr", billed.user_id),
        policy_id=ids.encode("pol", billed.policy_id),
        installment_number=billed.installment.number,
        state=_STATES[billed.state],
        premium=values.premium_to_proto(billed.installment.premium),
        amount_due=values.money_to_proto(billed.amount_due),
        due_date=values.date_to_proto(billed.installment.due_on),
        issue_time=values.time_to_proto(billed.issued_at),
        paid_time=values.time_to_proto(billed.paid_at) if billed.paid_at else None,
        etag=f"{billed.version}-{billed.state}",
        payable_until_time=values.time_to_proto(billed.payable_until) if billed.payable_until else None,
    )
