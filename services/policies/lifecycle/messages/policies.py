"""Policies as the contract carries them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from bazaruto.policies.v1 import policy_pb2 as pb
from libs import ids
from libs.money import Money, total
from libs.premium import ChargeLine, LineKind
from libs.rpc import values
from services.policies.lifecycle.rules.charges import premium_of
from services.policies.lifecycle.rules.delinquency import Delinquency
from services.policies.lifecycle.rules.insured import key_to_find
from services.policies.lifecycle.rules.policy import Policy
from services.policies.lifecycle.rules.state import Flag, State
from services.policies.lifecycle.rules.term import Item, Risk, Segment, Term
from services.policies.lifecycle.rules.transaction import Reopening, Transaction, TransactionType

_STATES = {state: pb.Policy.State.Value(f"STATE_{state.name}") for state in State}
_STATES_BY_PROTO = {proto: state for state, proto in _STATES.items()}
_REASONS = {
    State.PENDING: pb.Cover.REASON_UNPAID,
    State.NOT_TAKEN: pb.Cover.REASON_NOT_TAKEN,
    State.SCHEDULED: pb.Cover.REASON_NOT_BEGUN,
    State.GAP: pb.Cover.REASON_GAP,
    State.LAPSED: pb.Cover.REASON_LAPSED,
    State.CANCELLED: pb.Cover.REASON_CANCELLED,
    State.EXPIRED: pb.Cover.REASON_EXPIRED,
}
_FLAGS = {flag: pb.Policy.Flag.Value(f"FLAG_{flag.name}") for flag in Flag}
_FLAGS_BY_PROTO = {proto: flag for flag, proto in _FLAGS.items()}
_TYPES = {kind: pb.PolicyTransaction.Type.Value(f"TYPE_{kind.name}") for kind in TransactionType}


def policy_to_proto(policy: Policy, moment: datetime) -> pb.Policy:
    """The contract as it stands at a moment."""
    term = policy.term_at(moment)
    segment = policy.segment_at(moment)
    state = policy.state(moment)
    ends_at = policy.cover_ends_at(term)
    message = pb.Policy(
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
        plan_code=policy.plan_code,
        etag=_etag(policy, state),
        flags=[_FLAGS[flag] for flag in policy.flags(moment)],
    )
    values.fill_time(message.issue_time, policy.issued_at)
    if policy.activated_at:
        values.fill_time(message.activate_time, policy.activated_at)
    if term.cover_starts_at:
        values.fill_time(message.cover_start_time, term.cover_starts_at)
    if ends_at:
        values.fill_time(message.cover_end_time, ends_at)
    _fill_term(message.term, term)
    if segment:
        # It is one of the term's: what is written there already is copied by the library, as a whole.
        shown_segment = message.term.segments[term.segments.index(segment)]
        message.coverages.MergeFrom(shown_segment.coverages)
        message.objects.MergeFrom(shown_segment.objects)
    return message


def etag_of(policy: Policy, moment: datetime) -> str:
    """What changes with every change of the contract, and of its state."""
    return _etag(policy, policy.state(moment))


def _etag(policy: Policy, state: State) -> str:
    return f"{policy.version}-{state}"


def preview_to_proto(policy: Policy, moment: datetime) -> pb.Policy:
    """The contract as it would be issued: what only a stored one has is empty."""
    message = policy_to_proto(policy, moment)
    for name in ("policy_id", "policy_number", "etag"):
        message.ClearField(name)
    return message


def cover_to_proto(
    policy: Policy,
    moment: datetime,
    paid_until: date | None,
    delinquency: Delinquency | None = None,
    insured: Policy | None = None,
) -> pb.Cover:
    """Whether it covers at a moment, and what: what `insured` says, where that was something else at that time.

    Behind its grace, a policy that is past due may have lapsed.
    """
    term, segment, state = policy.term_at(moment), (insured or policy).segment_at(moment), policy.state(moment)
    ends_at = policy.cover_ends_at(term)
    covers = state is State.IN_FORCE
    is_unclear = covers and delinquency is not None and delinquency.leaves_unclear(moment, policy.time_zone)
    message = pb.Cover(
        in_force=covers and not is_unclear,
        reason=pb.Cover.REASON_UNCLEAR if is_unclear else _reason(state, term),
        at_time=values.time_to_proto(moment),
        term_number=term.number,
        cover_start_time=values.time_to_proto(term.cover_starts_at) if term.cover_starts_at else None,
        cover_end_time=values.time_to_proto(ends_at) if ends_at else None,
        paid_until_date=values.date_to_proto(paid_until) if paid_until else None,
    )
    if delinquency is not None and delinquency.is_open and delinquency.grace_ends_on:
        values.fill_date(message.grace_end_date, delinquency.grace_ends_on)
    if segment and covers:
        _fill_risk(message, segment.risk)
    return message


def _reason(state: State, term: Term) -> pb.Cover.Reason.ValueType:
    """Why a policy does not cover; a next term that waits for its premium is not paid, and not over."""
    if state is State.EXPIRED and term.segments and term.cover_starts_at is None:
        return pb.Cover.REASON_UNPAID
    return _REASONS.get(state, pb.Cover.REASON_UNSPECIFIED)


def filter_from_proto(request: pb.ListPoliciesRequest) -> dict[str, Any]:
    """Which policies are asked for, by the names of the fields of a `Filter`."""
    return {
        "product_code": request.product_code,
        "number": request.policy_number,
        "user_id": ids.decode("cus", request.customer_id, "customer_id") if request.customer_id else None,
        "partner_id": ids.decode("par", request.partner_id, "partner_id") if request.partner_id else None,
        "identifier": key_to_find(request.object_identifier),
        "starts_from": values.optional_date(request, "start_from_date"),
        "starts_before": values.optional_date(request, "start_before_date"),
        "ends_from": values.optional_date(request, "end_from_date"),
        "ends_before": values.optional_date(request, "end_before_date"),
    }


def state_from_proto(request: pb.ListPoliciesRequest) -> State | None:
    """The state that is asked for; None for any."""
    return _STATES_BY_PROTO.get(request.state)


def flag_from_proto(request: pb.ListPoliciesRequest) -> Flag | None:
    """The flag that is asked for; None for any."""
    return _FLAGS_BY_PROTO.get(request.flag)


def _fill_term(message: pb.Term, term: Term) -> None:
    """A period for which the contract was agreed."""
    lines = term.lines()
    message.term_number = term.number
    values.fill_date(message.start_date, term.starts_on)
    values.fill_date(message.end_date, term.ends_on)
    values.fill_premium(message.premium, premium_of(lines, term.currency), shown(lines))
    for number, (segment, net) in enumerate(zip(term.segments, term.nets(), strict=True), 1):
        _fill_segment(message.segments.add(), number, segment, net, term)


def segments_to_proto(terms: Iterable[Term]) -> list[pb.Segment]:
    """The stretches of terms."""
    messages = []
    for term in terms:
        for number, (segment, net) in enumerate(zip(term.segments, term.nets(), strict=True), 1):
            messages.append(pb.Segment())
            _fill_segment(messages[-1], number, segment, net, term)
    return messages


def _fill_segment(message: pb.Segment, number: int, segment: Segment, net: Mapping[Item, Money], term: Term) -> None:
    message.segment_number = number
    message.term_number = term.number
    values.fill_date(message.start_date, segment.starts_on)
    values.fill_date(message.end_date, segment.ends_on)
    values.fill_money(message.net, total(net.values(), term.currency))
    values.fill_struct(message.answers, segment.risk.answers)
    _fill_risk(message, segment.risk)
    for item, amount in net.items():
        object_id, coverage_code = item
        if coverage_code:
            line = message.lines.add(coverage_code=coverage_code, object_id=object_id)
            values.fill_money(line.full_term_amount, segment.full_term[item])
            values.fill_money(line.amount, amount)


def _fill_risk(message: pb.Policy | pb.Segment | pb.Cover, risk: Risk) -> None:
    """What is insured, without what was asked about it."""
    for coverage in risk.coverages:
        values.fill_coverage(message.coverages.add(), coverage)
    for insured in risk.objects:
        values.fill_insured_object(message.objects.add(), insured)


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
        change=values.premium_to_proto(change, shown(transaction.lines)) if transaction.lines else None,
        term_number=transaction.term_number,
        actor=transaction.actor,
        reason=transaction.reason,
        note=transaction.note,
        quote_id=ids.encode("quo", transaction.quote_id) if transaction.quote_id else "",
        reverses_transaction_id=ids.encode("ptx", transaction.reverses) if transaction.reverses else "",
        no_loss_statement=transaction.change.statement if isinstance(transaction.change, Reopening) else "",
    )


def shown(lines: Sequence[ChargeLine]) -> list[ChargeLine]:
    """The lines that say what they are for. Those of before stand for sums, and say nothing."""
    return [line for line in lines if line.coverage_code or line.charge_code]


def written_to_proto(policy_id: UUID, terms: Sequence[Term], billed: tuple[int, datetime] | None) -> pb.WrittenPremium:
    """What a policy costs by its timeline, and the last of its transactions that payments is told of."""
    written = pb.WrittenPremium(policy_id=ids.encode("pol", policy_id))
    if billed is None or not terms:
        return written
    written.billing_sequence = billed[0]
    written.issue_time.CopyFrom(values.time_to_proto(billed[1]))
    sums = dict.fromkeys(LineKind, Money.zero(terms[0].currency))
    for term in terms:
        for line in term.lines():
            sums[line.kind] += line.amount
    for kind, field in (
        (LineKind.PREMIUM, written.premium),
        (LineKind.RETENTION, written.retention),
        (LineKind.TAX, written.tax),
        (LineKind.FEE, written.fees),
    ):
        field.CopyFrom(values.money_to_proto(sums[kind]))
    return written
