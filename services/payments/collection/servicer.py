"""The gRPC face of payments."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import grpc

from bazaruto.payments.v1 import payment_pb2 as pb
from bazaruto.payments.v1 import payment_pb2_grpc as rpc_pb
from libs import ids
from libs.db import Database
from libs.rpc import calls, idempotency, values
from libs.rpc.pages import Page
from services.payments.billing.store import invoices
from services.payments.collection.flows import collecting
from services.payments.collection.rules import payment
from services.payments.collection.rules.payment import Payment, State
from services.payments.collection.rules.provider import Provider, Unknown
from services.payments.collection.store import payments

_STATES = {
    State.PROCESSING: pb.Payment.STATE_PROCESSING,
    State.REQUIRES_ACTION: pb.Payment.STATE_REQUIRES_ACTION,
    State.SUCCEEDED: pb.Payment.STATE_SUCCEEDED,
    State.DECLINED: pb.Payment.STATE_DECLINED,
    State.CANCELED: pb.Payment.STATE_CANCELED,
}


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
            found = invoices.lock(session, ids.decode("inv", request.invoice_id))
            billed = calls.owned(found, "invoice")
            begun = collecting.begin(session, billed, expected, self._provider.name, datetime.now(UTC))
            # Who repeats the call after this process died gets this payment, and never makes another one.
            idempotency.keep(session, payment_to_proto(begun))
        outcome = collecting.charge(self._provider, begun, request.payment_method)
        with self._database.transaction() as session:
            done = collecting.record(session, begun.id, outcome, datetime.now(UTC))
            refusal = payment.refusal(done, outcome)
            reply = payment_to_proto(done)
            idempotency.keep(session, refusal or reply)
        if refusal:
            raise refusal
        return reply

    def ConfirmPayment(self, request: pb.ConfirmPaymentRequest, context: grpc.ServicerContext) -> pb.Payment:
        with self._database.reading(fresh=True) as session:
            found = calls.owned(payments.find(session, ids.decode("pay", request.payment_id)), "payment")
        # Confirming twice at the provider does it once, so that the key need only be stored with the outcome.
        waits = found.state is State.REQUIRES_ACTION
        outcome = collecting.confirm(self._provider, found) if waits else Unknown()
        with self._database.transaction() as session:
            idempotency.claim(session)
            done = collecting.record(session, found.id, outcome, datetime.now(UTC))
            refusal = payment.refusal(done, outcome) if waits else None
            reply = payment_to_proto(done)
            idempotency.keep(session, refusal or reply)
        if refusal:
            raise refusal
        return reply

    def GetPayment(self, request: pb.GetPaymentRequest, context: grpc.ServicerContext) -> pb.Payment:
        with self._database.reading() as session:
            found = payments.find(session, ids.decode("pay", request.payment_id))
        return payment_to_proto(calls.visible(found, "payment"))

    def ListPayments(self, request: pb.ListPaymentsRequest, context: grpc.ServicerContext) -> pb.ListPaymentsResponse:
        caller = calls.caller()
        page = Page.of(request, "payments", caller.subject, request.invoice_id)
        owner = None if caller.sees_all else caller.user_id
        invoice_id = ids.decode("inv", request.invoice_id) if request.invoice_id else None
        with self._database.reading() as session:
            found = payments.list_payments(session, owner, invoice_id, page.after_as(UUID), page.fetch)
        shown, token = page.cut(found, key=lambda item: item.id)
        return pb.ListPaymentsResponse(payments=[payment_to_proto(item) for item in shown], next_page_token=token)


def payment_to_proto(paid: Payment) -> pb.Payment:
    """The payment as it stands."""
    return pb.Payment(
        payment_id=ids.encode("pay", paid.id),
        invoice_id=ids.encode("inv", paid.invoice_id),
        user_id=ids.encode("usr", paid.user_id),
        amount=values.money_to_proto(paid.amount),
        state=_STATES[paid.state],
        provider=paid.provider,
        provider_reference=paid.provider_reference,
        decline_code=paid.decline_code,
        action_url=paid.action_url,
        create_time=values.time_to_proto(paid.created_at),
        complete_time=values.time_to_proto(paid.completed_at) if paid.completed_at else None,
        etag=f"{paid.version}-{paid.state}",
    )
