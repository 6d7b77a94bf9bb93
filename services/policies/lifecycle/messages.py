"""Policies as the contract carries them."""

from __future__ import annotations

from datetime import datetime

from bazaruto.policies.v1 import policy_pb2 as pb
from libs import ids
from libs.rpc import values
from services.policies.lifecycle.rules.policy import Policy, Segment, State, Transaction, TransactionType

_STATES = {
    State.PENDING: pb.Policy.STATE_PENDING,
    State.IN_FORCE: pb.Policy.STATE_IN_FORCE,
    State.NOT_TAKEN: pb.Policy.STATE_NOT_TAKEN,
    State.EXPIRED: pb.Policy.STATE_EXPIRED,
}
_TYPES = {
    TransactionType.NEW_BUSINESS: pb.PolicyTransaction.TYPE_NEW_BUSINESS,
    TransactionType.ACTIVATION: pb.PolicyTransaction.TYPE_ACTIVATION,
}


def policy_to_proto(policy: Policy, now: datetime) -> pb.Policy:
    """The contract as it stands at a moment."""
    term = policy.term
    state = policy.state(now)
    segments = [segment_to_proto(segment) for segment in term.segments]
    return pb.Policy(
        policy_id=ids.encode("pol", policy.id),
        policy_number=policy.number,
        user_id=ids.encode("usr", policy.user_id),
        quote_id=ids.encode("quo", policy.quote_id),
        product_code=policy.product_code,
        product_version=policy.product_version,
        state=_STATES[state],
        term=pb.Term(
            term_number=term.number,
            start_date=values.date_to_proto(term.starts_on),
            end_date=values.date_to_proto(term.ends_on),
            premium=values.premium_to_proto(term.premium),
            segments=segments,
        ),
        coverages=segments[-1].coverages,
        plan_code=policy.plan_code,
        issue_time=values.time_to_proto(policy.issued_at),
        activate_time=values.time_to_proto(policy.activated_at) if policy.activated_at else None,
        etag=f"{policy.version}-{state}",
    )


def segment_to_proto(segment: Segment) -> pb.Segment:
    """A stretch of a term."""
    return pb.Segment(
        segment_number=segment.number,
        start_date=values.date_to_proto(segment.starts_on),
        end_date=values.date_to_proto(segment.ends_on),
        coverages=[values.coverage_to_proto(coverage) for coverage in segment.coverages],
        premium=values.premium_to_proto(segment.premium),
    )


def transaction_to_proto(transaction: Transaction) -> pb.PolicyTransaction:
    """One issued change."""
    return pb.PolicyTransaction(
        transaction_id=ids.encode("ptx", transaction.id),
        sequence=transaction.sequence,
        type=_TYPES[transaction.type],
        effective_date=values.date_to_proto(transaction.effective_on),
        issue_time=values.time_to_proto(transaction.issued_at),
        premium_change=values.money_to_proto(transaction.premium_change),
    )
