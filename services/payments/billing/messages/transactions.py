"""Transactions of policies, and what came of them, as the contract carries them."""

from __future__ import annotations

import hashlib
from fractions import Fraction

from bazaruto.payments.v1 import billing_pb2 as pb
from libs import ids
from libs.rpc import values
from services.payments.billing.messages.invoices import installment_to_proto, invoice_to_proto
from services.payments.billing.rules.billing import Part, PartState
from services.payments.billing.rules.plan import ChargeTiming, Plan
from services.payments.billing.rules.result import Result
from services.payments.billing.rules.transaction import Kind, TimelineLine, Transaction

_KINDS = {pb.PolicyTransactionType.Value(f"POLICY_TRANSACTION_TYPE_{kind.upper()}"): kind for kind in Kind}
_TIMINGS = {
    pb.Schedule.CHARGE_TIMING_UNSPECIFIED: ChargeTiming.SPREAD,
    pb.Schedule.CHARGE_TIMING_SPREAD: ChargeTiming.SPREAD,
    pb.Schedule.CHARGE_TIMING_AT_ONCE: ChargeTiming.AT_ONCE,
    pb.Schedule.CHARGE_TIMING_NEXT_INSTALLMENT: ChargeTiming.NEXT_INSTALLMENT,
}


def transaction_from_proto(request: pb.ApplyPolicyTransactionRequest) -> Transaction:
    """The transaction. `FieldInvalid` for days and identifiers that are none, `AmountInvalid` for such amounts."""
    customer_id, reverses = ids.decode("cus", request.customer_id, "customer_id"), request.reverses_transaction_id
    method = request.payment_method_id
    return Transaction(
        id=ids.decode("ptx", request.transaction_id, "transaction_id"),
        policy_id=ids.decode("pol", request.policy_id),
        sequence=request.billing_sequence,
        kind=_KINDS[request.type],
        term_number=request.term_number,
        customer_id=customer_id,
        payer_id=ids.decode("cus", request.payer_id, "payer_id") if request.payer_id else customer_id,
        partner_id=ids.decode("par", request.partner_id, "partner_id") if request.partner_id else None,
        product_code=request.product_code,
        product_version=request.product_version,
        time_zone=request.time_zone,
        term_starts_on=values.date_from_proto(request.term_start_date, "term_start_date"),
        term_ends_on=values.date_from_proto(request.term_end_date, "term_end_date"),
        effective_on=values.date_from_proto(request.effective_date, "effective_date"),
        issued_at=values.time_from_proto(request.issue_time),
        total=values.money_from_proto(request.total),
        lines=tuple(values.charge_line_from_proto(line, f"lines[{i}]") for i, line in enumerate(request.lines)),
        timeline=tuple(_stretch_from_proto(line, f"timeline[{i}]") for i, line in enumerate(request.timeline)),
        plan=_plan_from_proto(request.schedule),
        reverses=ids.decode("ptx", reverses, "reverses_transaction_id") if reverses else None,
        reason=request.reason,
        refund_not_before=values.optional_date(request, "refund_not_before_date"),
        payment_method=request.payment_method,
        payment_method_id=ids.decode("pmt", method, "payment_method_id") if method else None,
        arrears_seen=values.money_from_proto(request.arrears_seen) if request.HasField("arrears_seen") else None,
        first_payable_until=(
            values.time_from_proto(request.first_payable_until_time)
            if request.HasField("first_payable_until_time")
            else None
        ),
    )


def fingerprint_of(request: pb.ApplyPolicyTransactionRequest) -> bytes:
    """What the same transaction is recognised by; policies forgets the token once it has heard of the first premium."""
    without_token = pb.ApplyPolicyTransactionRequest()
    without_token.CopyFrom(request)
    without_token.ClearField("payment_method")
    without_token.ClearField("payment_method_id")  # a program of before may send it again, and leaves it out
    return hashlib.sha256(without_token.SerializeToString(deterministic=True)).digest()


def result_to_proto(result: Result) -> pb.AppliedTransaction:
    """What a transaction led to, or would lead to."""
    refund = result.refund
    planned = [Part(term, part, PartState.PLANNED, None, is_settled=False) for term, part in result.planned]
    return pb.AppliedTransaction(
        invoices=[invoice_to_proto(item) for item in (*result.billed, *result.changed)],
        planned=[installment_to_proto(part) for part in planned],
        credited=values.money_to_proto(result.credited),
        balance_due=values.money_to_proto(result.balance_due),
        is_plan_reduced=result.is_plan_reduced,
        refund_id=ids.encode("rfd", result.refund_id) if result.refund_id else "",
        refund=values.money_to_proto(refund.amount) if refund else None,
        refund_not_before_date=values.date_to_proto(refund.not_before) if refund else None,
    )


def _plan_from_proto(schedule: pb.Schedule) -> Plan:
    return Plan(
        code=schedule.plan_code,
        count=schedule.installments,
        down_payment=Fraction(schedule.down_payment_share or 0),
        spreads_fees=schedule.spreads_fees,
        charge_timing=_TIMINGS[schedule.charge_timing],
        refunds_credit=schedule.credit_timing == pb.Schedule.CREDIT_TIMING_REFUND,
    )


def _stretch_from_proto(line: pb.TimelineLine, field: str) -> TimelineLine:
    return TimelineLine(
        term_number=line.term_number,
        object_id=line.object_id,
        coverage_code=line.coverage_code,
        starts_on=values.date_from_proto(line.start_date, f"{field}.start_date"),
        ends_on=values.date_from_proto(line.end_date, f"{field}.end_date"),
        full_term_amount=values.money_from_proto(line.full_term_amount),
        term_days=line.term_days,
    )
