"""The gRPC face of billing accounts."""

from __future__ import annotations

import grpc

from bazaruto.payments.v1 import billing_pb2 as pb
from bazaruto.payments.v1 import billing_pb2_grpc as rpc_pb
from libs import clock
from libs.db import Database
from services.payments.billing.flows import applying
from services.payments.billing.messages.transactions import fingerprint_of, result_to_proto, transaction_from_proto
from services.payments.billing.rules.transaction import check_lines


class BillingServicer(rpc_pb.BillingServiceServicer):
    """Answers the calls of `BillingService`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ApplyPolicyTransaction(
        self, request: pb.ApplyPolicyTransactionRequest, context: grpc.ServicerContext
    ) -> pb.AppliedTransaction:
        change, fingerprint = transaction_from_proto(request), fingerprint_of(request)
        check_lines(change.lines)
        with self._database.transaction() as session:
            reply = applying.apply(
                session, change, fingerprint, clock.now(), lambda result: result_to_proto(result).SerializeToString()
            )
        return pb.AppliedTransaction.FromString(reply)

    def PreviewPolicyTransaction(
        self, request: pb.PreviewPolicyTransactionRequest, context: grpc.ServicerContext
    ) -> pb.AppliedTransaction:
        change = transaction_from_proto(request.transaction)
        check_lines(change.lines)
        with self._database.reading(fresh=True) as session:
            return result_to_proto(applying.preview(session, change, clock.now()))
