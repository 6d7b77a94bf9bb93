"""The calls that end cover of a policy, and that take such an end back."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import grpc
from sqlalchemy.orm import Session

from bazaruto.policies.v1 import cancellation_pb2 as cancellation_pb
from bazaruto.policies.v1 import policy_pb2 as pb
from libs import ids
from libs.rpc import values
from services.policies.lifecycle.flows import cancelling
from services.policies.lifecycle.flows.changing import Decision
from services.policies.lifecycle.rules.cancellation import Wish
from services.policies.lifecycle.rules.contract import Contract
from services.policies.lifecycle.servicer.changing import Changing, acting_roles

_SERVICES: Final = ("payments",)  # which cancels what is not paid, in its own name


class CancellationCalls(Changing):
    """Cancelling, and rescinding a cancellation."""

    def CancelPolicy(
        self, request: cancellation_pb.CancelPolicyRequest, context: grpc.ServicerContext
    ) -> pb.TransactionResult:
        effective_on = values.optional_date(request, "effective_date")

        def decide(session: Session, made: Contract, now: datetime) -> Decision:
            wish = Wish(request.reason, acting_roles(made.policy), effective_on, request.note)
            return cancelling.cancel(session, made, wish, now)

        policy_id = ids.decode("pol", request.policy_id)
        return self._changed(policy_id, decide, only_checks=request.validate_only, services=_SERVICES)

    def RescindCancellation(
        self, request: cancellation_pb.RescindCancellationRequest, context: grpc.ServicerContext
    ) -> pb.TransactionResult:
        def decide(session: Session, made: Contract, now: datetime) -> Decision:
            return cancelling.rescind(made, acting_roles(made.policy), request.note, now)

        policy_id = ids.decode("pol", request.policy_id)
        return self._changed(policy_id, decide, only_checks=request.validate_only, services=_SERVICES)
