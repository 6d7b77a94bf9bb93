"""Delinquencies as the contract carries them."""

from __future__ import annotations

from bazaruto.policies.v1 import delinquency_pb2 as pb
from libs import ids
from libs.rpc import values
from services.policies.lifecycle.rules.delinquency import Delinquency, Standing
from services.policies.lifecycle.rules.lapse import Lapse

_STANDINGS = {pb.Delinquency.State.Value(f"STATE_{standing.name}"): standing for standing in Standing}


def delinquency_from_proto(message: pb.Delinquency) -> Delinquency:
    """How a delinquency stands, as payments tells it."""
    return Delinquency(
        ids.decode("dlq", message.delinquency_id, "delinquency.delinquency_id"),
        message.version,
        _STANDINGS[message.state],
        values.money_from_proto(message.past_due_amount),
        values.optional_date(message, "since_date"),
        values.optional_date(message, "grace_end_date"),
    )


def lapse_from_proto(request: pb.LapsePolicyRequest) -> Lapse:
    """The lapse that payments asks for."""
    return Lapse(
        ids.decode("dlq", request.delinquency_id, "delinquency_id"),
        request.version,
        values.date_from_proto(request.effective_date, "effective_date"),
    )
