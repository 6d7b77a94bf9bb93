"""The gRPC face of payment methods."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import grpc
from google.protobuf import empty_pb2

from bazaruto.payments.v1 import payment_method_pb2 as pb
from bazaruto.payments.v1 import payment_method_pb2_grpc as rpc_pb
from libs import audit, clock, ids
from libs.db import Database
from libs.errors import ResourceNotFound
from libs.rpc import calls, idempotency
from libs.rpc.pages import Page
from services.payments.billing.messages.accounts import method_to_proto
from services.payments.billing.rules.payment_method import MethodInUse, PaymentMethod, PaymentMethodInvalid
from services.payments.billing.store import payment_methods


class PaymentMethodServicer(rpc_pb.PaymentMethodServiceServicer):
    """Answers the calls of `PaymentMethodService`. `knows` asks the provider, by its name, about a token."""

    def __init__(self, database: Database, provider: str, knows: Callable[[str], bool]) -> None:
        self._database = database
        self._provider = provider
        self._knows = knows

    def AddPaymentMethod(self, request: pb.AddPaymentMethodRequest, context: grpc.ServicerContext) -> pb.PaymentMethod:
        customer_id = _own_party(request.customer_id)
        if not self._knows(request.token):
            raise PaymentMethodInvalid
        with self._database.transaction() as session:
            idempotency.claim(session)
            method = PaymentMethod(
                id=ids.new(),
                user_id=customer_id,
                provider=self._provider,
                display_name=request.display_name,
                mandate_text=request.mandate_text,
                is_default=payment_methods.lock_default(session, customer_id) is None,
                created_at=clock.now(),
            )
            payment_methods.add(session, method, request.token)
            audit.record(session, "payment_method_added", ids.encode("pmt", method.id), mandate=method.mandate_text)
            reply = method_to_proto(method)
            idempotency.keep(session, reply)
        return reply

    def GetPaymentMethod(self, request: pb.GetPaymentMethodRequest, context: grpc.ServicerContext) -> pb.PaymentMethod:
        method_id = ids.decode("pmt", request.payment_method_id, "payment_method_id")
        # A policy may be issued with one that was just added: a replica may not have it yet.
        with self._database.reading(fresh=True) as session:
            return method_to_proto(calls.visible(payment_methods.find(session, method_id), "payment method"))

    def ListPaymentMethods(
        self, request: pb.ListPaymentMethodsRequest, context: grpc.ServicerContext
    ) -> pb.ListPaymentMethodsResponse:
        page = Page.of(request, "payment_methods", calls.caller().subject)
        with self._database.reading() as session:
            rows = payment_methods.list_of(session, calls.scope(), page.after_as(UUID), page.fetch)
        shown, token = page.cut(rows, key=lambda item: item.id)
        methods = [method_to_proto(item) for item in shown]
        return pb.ListPaymentMethodsResponse(payment_methods=methods, next_page_token=token)

    def RemovePaymentMethod(
        self, request: pb.RemovePaymentMethodRequest, context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        method_id = ids.decode("pmt", request.payment_method_id, "payment_method_id")
        with self._database.transaction() as session:
            idempotency.claim(session)
            calls.owned(payment_methods.lock(session, method_id), "payment method")
            if account_id := payment_methods.find_account(session, method_id):
                raise MethodInUse(billing_account_id=ids.encode("bac", account_id))
            payment_methods.delete(session, method_id)
            audit.record(session, "payment_method_removed", ids.encode("pmt", method_id))
            idempotency.keep(session, empty_pb2.Empty())
        return empty_pb2.Empty()

    def SetDefaultPaymentMethod(
        self, request: pb.SetDefaultPaymentMethodRequest, context: grpc.ServicerContext
    ) -> pb.PaymentMethod:
        method_id = ids.decode("pmt", request.payment_method_id, "payment_method_id")
        with self._database.transaction() as session:
            idempotency.claim(session)
            method = calls.owned(payment_methods.find(session, method_id), "payment method")
            if (before := payment_methods.lock_default(session, method.user_id)) and before != method_id:
                payment_methods.save_default(session, before, is_default=False)
            payment_methods.save_default(session, method_id, is_default=True)
            reply = method_to_proto(replace(method, is_default=True))
            idempotency.keep(session, reply)
        return reply


def _own_party(customer_id: str) -> UUID:
    """The party that is asked for, or the caller's own; `ResourceNotFound` unless the caller acts for it."""
    caller = calls.caller()
    party = ids.decode("cus", customer_id) if customer_id else caller.user_id
    if party is None or not caller.own.covers(party):
        raise ResourceNotFound(resource="customer")
    return party
