"""Refunds as the contract carries them."""

from __future__ import annotations

from bazaruto.payments.v1 import refund_pb2 as pb
from libs import ids
from libs.rpc import values
from services.payments.billing.rules.refund import Part, Refund, State


def refund_to_proto(refund: Refund, *, is_stored: bool = True) -> pb.Refund:
    """The refund as it stands. One that is only thought of has no identifier."""
    return pb.Refund(
        refund_id=ids.encode("rfd", refund.id) if is_stored else "",
        billing_account_id=ids.encode("bac", refund.account_id),
        policy_id=ids.encode("pol", refund.account_id),
        customer_id=ids.encode("cus", refund.user_id),
        amount=values.money_to_proto(refund.amount),
        refunded_amount=values.money_to_proto(refund.refunded),
        state=pb.Refund.State.Value(f"STATE_{refund.state.upper()}"),
        not_before_date=values.date_to_proto(refund.not_before),
        parts=[_part_to_proto(part) for part in refund.parts],
        transaction_id=ids.encode("ptx", refund.transaction_id) if refund.transaction_id else "",
        requested_by=ids.encode("usr", refund.requested_by) if refund.requested_by else "",
        decided_by=ids.encode("usr", refund.decided_by) if refund.decided_by else "",
        note=refund.note,
        create_time=values.time_to_proto(refund.created_at),
        complete_time=values.time_to_proto(refund.completed_at) if refund.completed_at else None,
        etag=f"{refund.version}-{refund.state}" if is_stored else "",
    )


def states_from_proto(state: pb.Refund.State.ValueType) -> tuple[State, ...]:
    """The states that a list is asked for; none where it is asked for all."""
    name = pb.Refund.State.Name(state).removeprefix("STATE_").lower()
    return (State(name),) if state else ()


def _part_to_proto(part: Part) -> pb.RefundPart:
    return pb.RefundPart(
        payment_id=ids.encode("pay", part.payment_id),
        amount=values.money_to_proto(part.amount),
        state=pb.RefundPart.State.Value(f"STATE_{part.state.upper()}"),
        provider_reference=part.provider_reference,
        failure_code=part.failure_code,
        sent_time=values.time_to_proto(part.sent_at) if part.sent_at else None,
        complete_time=values.time_to_proto(part.completed_at) if part.completed_at else None,
    )
