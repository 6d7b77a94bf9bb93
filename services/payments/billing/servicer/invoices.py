"""The gRPC face of invoices, and of how policies are billed."""

from __future__ import annotations

from uuid import UUID

import grpc
from sqlalchemy.orm import Session

from bazaruto.payments.v1 import invoice_pb2 as pb
from bazaruto.payments.v1 import invoice_pb2_grpc as rpc_pb
from libs import clock, ids
from libs.db import Database
from libs.rpc import calls
from libs.rpc.pages import Page
from services.payments.billing.flows import applying
from services.payments.billing.messages.invoices import billing_to_proto, invoice_to_proto, transaction_from_billing
from services.payments.billing.messages.transactions import result_to_proto
from services.payments.billing.rules.amounts import Amounts
from services.payments.billing.rules.billing import Billing
from services.payments.billing.store import accounts, invoices, schedules, transactions


class InvoiceServicer(rpc_pb.InvoiceServiceServicer):
    """Answers the calls of `InvoiceService`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def OpenBilling(self, request: pb.OpenBillingRequest, context: grpc.ServicerContext) -> pb.Billing:
        change = transaction_from_billing(request)
        with self._database.transaction() as session:
            applying.apply(
                session, change, None, clock.now(), lambda result: result_to_proto(result).SerializeToString()
            )
            return billing_to_proto(calls.visible(_find_billing(session, change.policy_id), "billing"))

    def GetBilling(self, request: pb.GetBillingRequest, context: grpc.ServicerContext) -> pb.Billing:
        with self._database.reading() as session:
            billing = calls.visible(_find_billing(session, ids.decode("pol", request.policy_id)), "billing")
        return billing_to_proto(billing)

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


def _find_billing(session: Session, policy_id: UUID) -> Billing | None:
    """How a policy is billed; None before its first transaction."""
    account = accounts.find(session, policy_id)
    if account is None:
        return None
    plan_code = transactions.find_plan_code(session, policy_id) or ""
    charged = Amounts.of_lines(transactions.list_lines(session, policy_id, account.currency), account.currency)
    return Billing(account, plan_code, charged.premium, tuple(schedules.list_all(session, policy_id)))
