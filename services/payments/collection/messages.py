"""Payments as the contract carries them."""

from __future__ import annotations

from bazaruto.payments.v1 import payment_pb2 as pb
from libs import ids
from libs.money import Money
from libs.rpc import values
from services.payments.collection.rules.payment import Payment, State

_STATES = {
    State.PROCESSING: pb.Payment.STATE_PROCESSING,
    State.REQUIRES_ACTION: pb.Payment.STATE_REQUIRES_ACTION,
    State.SUCCEEDED: pb.Payment.STATE_SUCCEEDED,
    State.DECLINED: pb.Payment.STATE_DECLINED,
    State.CANCELED: pb.Payment.STATE_CANCELED,
}


def payment_to_proto(payment: Payment, refunded: int = 0) -> pb.Payment:
    """The payment as it stands, with what of it was paid back, in minor units."""
    return pb.Payment(
        payment_id=ids.encode("pay", payment.id),
        invoice_id=ids.encode("inv", payment.invoice_id),
        user_id=ids.encode("usr", payment.user_id),
        amount=values.money_to_proto(payment.amount),
        state=_STATES[payment.state],
        provider=payment.provider,
        provider_reference=payment.provider_reference,
        decline_code=payment.decline_code,
        action_url=payment.action_url,
        create_time=values.time_to_proto(payment.created_at),
        complete_time=values.time_to_proto(payment.completed_at) if payment.completed_at else None,
        refunded_amount=values.money_to_proto(Money(refunded, payment.amount.currency)),
        etag=f"{payment.version}-{payment.state}",
    )
