"""The gRPC face of billing."""

from __future__ import annotations

from uuid import UUID

import grpc

from bazaruto.payments.v1 import invoice_pb2 as pb
from bazaruto.payments.v1 import invoice_pb2_grpc as rpc_pb
from libs import clock, ids
from libs.db import Database
from libs.errors import ResourceNotFound
from libs.rpc import calls
from libs.rpc.pages import Page
from services.payments.billing.flows import invoicing
from services.payments.billing.messages import billing_from_proto, billing_to_proto, invoice_to_proto
from services.payments.billing.store import billings, invoices


class InvoiceServicer(rpc_pb.InvoiceServiceServicer):
    """Answers the calls of `InvoiceService`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def OpenBilling(self, request: pb.OpenBillingRequest, context: grpc.ServicerContext) -> pb.Billing:
        billing = billing_from_proto(request)
        with self._database.transaction() as session:
            invoicing.open_billing(session, billing, clock.now())
            opened = billings.find(session, billing.policy_id)
        if opened is None:
            raise ResourceNotFound(resource="billing")
        return billing_to_proto(*opened)

    def GetBilling(self, request: pb.GetBillingRequest, context: grpc.ServicerContext) -> pb.Billing:
        with self._database.reading() as session:
            billing, billed = billings.find(session, ids.decode("pol", request.policy_id)) or (None, {})
        return billing_to_proto(calls.visible(billing, "billing"), billed)

    def GetInvoice(self, request: pb.GetInvoiceRequest, context: grpc.ServicerContext) -> pb.Invoice:
        with self._database.reading() as session:
            invoice = invoices.find(session, ids.decode("inv", request.invoice_id))
        return invoice_to_proto(calls.visible(invoice, "invoice"))

    def ListInvoices(self, request: pb.ListInvoicesRequest, context: grpc.ServicerContext) -> pb.ListInvoicesResponse:
        page = Page.of(request, "invoices", calls.caller().subject, request.policy_id)
        policy_id = ids.decode("pol", request.policy_id) if request.policy_id else None
        with self._database.reading() as session:
            rows = invoices.list_of(session, calls.scope(), policy_id, page.after_as(UUID), page.fetch)
        shown, token = page.cut(rows, key=lambda item: item.id)
        return pb.ListInvoicesResponse(invoices=[invoice_to_proto(item) for item in shown], next_page_token=token)
