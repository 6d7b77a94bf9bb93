"""Changes of what a policy insures as the contract carries them."""

from __future__ import annotations

from collections.abc import Sequence

from bazaruto.policies.v1 import endorsement_pb2 as endorsement_pb
from bazaruto.policies.v1 import policy_pb2 as pb
from libs import ids
from libs.rpc import values
from services.policies.lifecycle.rules.change_request import Conflict, OnConflict, Request
from services.policies.lifecycle.rules.product import ChangeRule
from services.policies.lifecycle.rules.settlement import ChargeTiming, CreditTiming, Settlement

_ON_CONFLICT = {
    endorsement_pb.QuoteEndorsementRequest.ON_CONFLICT_OVERRIDE: OnConflict.OVERRIDE,
    endorsement_pb.QuoteEndorsementRequest.ON_CONFLICT_REFUSE: OnConflict.REFUSE,
}
_CHARGES = {
    endorsement_pb.IssueEndorsementRequest.CHARGE_TIMING_SPREAD: ChargeTiming.SPREAD,
    endorsement_pb.IssueEndorsementRequest.CHARGE_TIMING_AT_ONCE: ChargeTiming.AT_ONCE,
    endorsement_pb.IssueEndorsementRequest.CHARGE_TIMING_NEXT_INSTALLMENT: ChargeTiming.NEXT_INSTALLMENT,
}
_CREDITS = {
    endorsement_pb.IssueEndorsementRequest.CREDIT_TIMING_ACCOUNT: CreditTiming.ACCOUNT,
    endorsement_pb.IssueEndorsementRequest.CREDIT_TIMING_REFUND: CreditTiming.REFUND,
}


def request_from_proto(message: endorsement_pb.QuoteEndorsementRequest) -> Request:
    """What is to be different. `FieldInvalid` for a day that is none, `AmountInvalid` for such amounts."""
    objects, coverages = message.objects, message.coverages
    return Request(
        values.date_from_proto(message.effective_date, "effective_date"),
        values.struct_from_proto(message.answers),
        tuple(values.insured_object_from_proto(item) for item in objects.add),
        {item.object_id: values.struct_from_proto(item.fields) for item in objects.change},
        tuple(objects.remove),
        tuple(values.coverage_from_proto(item) for item in coverages.add),
        tuple(values.coverage_from_proto(item) for item in coverages.change),
        tuple(coverages.remove),
        _ON_CONFLICT.get(message.on_conflict, OnConflict.KEEP_LATER),
    )


def settlement_from_proto(message: endorsement_pb.IssueEndorsementRequest, rule: ChangeRule) -> Settlement:
    """How the change is to be settled: as is asked, or as the product says."""
    usual = usual_settlement(rule)
    return Settlement(
        _CHARGES.get(message.charge_timing, usual.charge), _CREDITS.get(message.credit_timing, usual.credit)
    )


def usual_settlement(rule: ChangeRule) -> Settlement:
    """How a product has its changes settled."""
    return Settlement(
        ChargeTiming.AT_ONCE if rule.charges_at_once else ChargeTiming.SPREAD,
        CreditTiming.REFUND if rule.refunds_credit else CreditTiming.ACCOUNT,
    )


def conflicts_to_proto(conflicts: Sequence[Conflict]) -> list[pb.QuoteEndorsementResponse.Conflict]:
    """The transactions of later days that changed the same."""
    return [
        pb.QuoteEndorsementResponse.Conflict(
            transaction_id=ids.encode("ptx", conflict.transaction.id),
            effective_date=values.date_to_proto(conflict.transaction.effective_on),
            path=conflict.path,
        )
        for conflict in conflicts
    ]
