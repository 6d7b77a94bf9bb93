"""Policies as the contract carries them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bazaruto.policies.v1 import policy_pb2 as pb
from libs import ids
from libs.money import Money, total
from libs.premium import ChargeLine
from libs.rpc import values
from services.policies.lifecycle.rules.charges import premium_of
from services.policies.lifecycle.rules.policy import Policy
from services.policies.lifecycle.rules.state import State
from services.policies.lifecycle.rules.term import Item, Segment, Term
from services.policies.lifecycle.rules.transaction import Transaction, TransactionType

_STATES = {state: pb.Policy.State.Value(f"STATE_{state.name}") for state in State}
_TYPES = {
    TransactionType.NEW_BUSINESS: pb.PolicyTransaction.TYPE_NEW_BUSINESS,
    TransactionType.ACTIVATION: pb.PolicyTransaction.TYPE_ACTIVATION,
    TransactionType.NOT_TAKEN: pb.PolicyTransaction.TYPE_NOT_TAKEN,
}


def policy_to_proto(policy: Policy, moment: datetime) -> pb.Policy:
    """The contract as it stands at a moment."""
    term = policy.term_at(moment)
    segment = policy.segment_at(moment)
    state = policy.state(moment)
    ends_at = policy.cover_ends_at(term)
    return pb.Policy(
        policy_id=ids.encode("pol", policy.id),
        policy_number=policy.number,
        user_id=ids.encode("usr", policy.created_by),
        customer_id=ids.encode("cus", policy.user_id),
        payer_id=ids.encode("cus", policy.payer_id),
        partner_id=ids.encode("par", policy.partner_id) if policy.partner_id else "",
        quote_id=ids.encode("quo", policy.quote_id),
        product_code=policy.product_code,
        product_version=term.product_version,
        time_zone=policy.time_zone,
        state=_STATES[state],
        term=term_to_proto(term),
        coverages=[values.coverage_to_proto(coverage) for coverage in segment.risk.coverages] if segment else (),
        objects=[values.insured_object_to_proto(item) for item in segment.risk.objects] if segment else (),
        plan_code=policy.plan_code,
        issue_time=values.time_to_proto(policy.issued_at),
        activate_time=values.time_to_proto(policy.activated_at) if policy.activated_at else None,
        cover_start_time=values.time_to_proto(term.cover_starts_at) if term.cover_starts_at else None,
        cover_end_time=values.time_to_proto(ends_at) if ends_at else None,
        etag=f"{policy.version}-{state}",
    )


def preview_to_proto(policy: Policy, moment: datetime) -> pb.Policy:
    """The contract as it would be issued: what only a stored one has is empty."""
    message = policy_to_proto(policy, moment)
    for name in ("policy_id", "policy_number", "etag"):
        message.ClearField(name)
    return message


def term_to_proto(term: Term) -> pb.Term:
    """A period for which the contract was agreed."""
    lines = term.lines()
    return pb.Term(
        term_number=term.number,
        start_date=values.date_to_proto(term.starts_on),
        end_date=values.date_to_proto(term.ends_on),
        premium=values.premium_to_proto(premium_of(lines, term.currency), _shown(lines)),
        segments=segments_to_proto(term),
    )


def segments_to_proto(term: Term) -> list[pb.Segment]:
    """The stretches of a term."""
    return [_segment_to_proto(number, segment, term) for number, segment in enumerate(term.segments, 1)]


def _segment_to_proto(number: int, segment: Segment, term: Term) -> pb.Segment:
    net = term.net_of(segment)
    risk = segment.risk
    return pb.Segment(
        segment_number=number,
        start_date=values.date_to_proto(segment.starts_on),
        end_date=values.date_to_proto(segment.ends_on),
        coverages=[values.coverage_to_proto(coverage) for coverage in risk.coverages],
        net=values.money_to_proto(total(net.values(), term.currency)),
        answers=values.struct_to_proto(risk.answers),
        objects=[values.insured_object_to_proto(item) for item in risk.objects],
        lines=[
            _segment_line_to_proto(item, segment.full_term[item], amount) for item, amount in net.items() if item[1]
        ],
    )


def _segment_line_to_proto(item: Item, full_term: Money, amount: Money) -> pb.SegmentLine:
    object_id, coverage_code = item
    return pb.SegmentLine(
        coverage_code=coverage_code,
        object_id=object_id,
        full_term_amount=values.money_to_proto(full_term),
        amount=values.money_to_proto(amount),
    )


def transaction_to_proto(transaction: Transaction, currency: str) -> pb.PolicyTransaction:
    """One issued change."""
    change = premium_of(transaction.lines, currency)
    return pb.PolicyTransaction(
        transaction_id=ids.encode("ptx", transaction.id),
        sequence=transaction.sequence,
        type=_TYPES[transaction.type],
        effective_date=values.date_to_proto(transaction.effective_on),
        issue_time=values.time_to_proto(transaction.issued_at),
        premium_change=values.money_to_proto(change.net),
        change=values.premium_to_proto(change, _shown(transaction.lines)) if transaction.lines else None,
        term_number=transaction.term_number,
        actor=transaction.actor,
        reason=transaction.reason,
        quote_id=ids.encode("quo", transaction.quote_id) if transaction.quote_id else "",
    )


def _shown(lines: Sequence[ChargeLine]) -> list[ChargeLine]:
    """The lines that say what they are for. Those of before stand for sums, and say nothing."""
    return [line for line in lines if line.coverage_code or line.charge_code]
