"""The gRPC face of payments."""

from __future__ import annotations

from uuid import UUID

import grpc

from bazaruto.payments.v1 import payment_pb2 as pb
from bazaruto.payments.v1 import payment_pb2_grpc as rpc_pb
from libs import clock, ids
from libs.db import Database
from libs.rpc import calls, idempotency, values
from libs.rpc.pages import Page
from services.payments.billing.store import invoices, refunds
from services.payments.collection.flows import collecting
from services.payments.collection.messages import payment_to_proto
from services.payments.collection.rules import payment
from services.payments.collection.rules.payment import State
from services.payments.collection.rules.provider import Provider, Unknown
from services.payments.collection.store import payments


class PaymentServicer(rpc_pb.PaymentServiceServicer):
    """Answers the calls of `PaymentService`."""

    def __init__(self, database: Database, provider: Provider) -> None:
        self._database = database
        self._provider = provider

    def PayInvoice(self, request: pb.PayInvoiceRequest, context: grpc.ServicerContext) -> pb.Payment:
        amount = values.optional(request, "amount")
        expected = values.money_from_proto(amount) if amount else None
        with self._database.transaction() as session:
            idempotency.claim(session)
            invoice = calls.owned(invoices.lock(session, ids.decode("inv", request.invoice_id)), "invoice")
            processing = collecting.begin(session, invoice, expected, self._provider.name, clock.now())
            # The caller who repeats this call after the process died gets this payment, and never makes another one.
            idempotency.keep(session, payment_to_proto(processing))
        outcome = collecting.charge(self._provider, processing, request.payment_method)
        with self._database.transaction() as session:
            recorded = collecting.record(session, processing.id, outcome, clock.now())
            refusal = payment.refusal(recorded, outcome)
            reply = payment_to_proto(recorded)
            idempotency.keep(session, refusal or reply)
        if refusal:
            raise refusal
        return reply

    def ConfirmPayment(self, request: pb.ConfirmPaymentRequest, context: grpc.ServicerContext) -> pb.Payment:
        with self._database.reading(fresh=True) as session:
            waiting = calls.owned(payments.find(session, ids.decode("pay", request.payment_id)), "payment")
        # Confirming twice at the provider does it once, so that the key need only be stored with the outcome.
        waits = waiting.state is State.REQUIRES_ACTION
        outcome = collecting.confirm(self._provider, waiting) if waits else Unknown()
        with self._database.transaction() as session:
            idempotency.claim(session)
            recorded = collecting.record(session, waiting.id, outcome, clock.now())
            refusal = payment.refusal(recorded, outcome) if waits else None
            reply = payment_to_proto(recorded)
            idempotency.keep(session, refusal or reply)
        if refusal:
            raise refusal
        return reply

    def GetPayment(self, request: pb.GetPaymentRequest, context: grpc.ServicerContext) -> pb.Payment:
        with self._database.reading() as session:
            payment_id = ids.decode("pay", request.payment_id)
            shown = calls.visible(payments.find(session, payment_id), "payment")
            refunded = refunds.find_refunded(session, [payment_id])
        return payment_to_proto(shown, refunded.get(payment_id, 0))

    def ListPayments(self, request: pb.ListPaymentsRequest, context: grpc.ServicerContext) -> pb.ListPaymentsResponse:
        page = Page.of(request, "payments", calls.caller().subject, request.invoice_id)
        invoice_id = ids.decode("inv", request.invoice_id) if request.invoice_id else None
        with self._database.reading() as session:
            rows = payments.list_of(session, calls.scope(), invoice_id, page.after_as(UUID), page.fetch)
            refunded = refunds.find_refunded(session, [item.id for item in rows])
        shown, token = page.cut(rows, key=lambda item: item.id)
        messages = [payment_to_proto(item, refunded.get(item.id, 0)) for item in shown]
        return pb.ListPaymentsResponse(payments=messages, next_page_token=token)
