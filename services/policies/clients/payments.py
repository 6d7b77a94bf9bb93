"""The payments service as policies calls it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from uuid import UUID

import grpc
import structlog

from bazaruto.payments.v1 import billing_pb2 as billing_pb
from bazaruto.payments.v1 import billing_pb2_grpc as billing_rpc
from bazaruto.payments.v1 import invoice_pb2 as payments_pb
from bazaruto.payments.v1 import invoice_pb2_grpc as payments_rpc
from bazaruto.payments.v1 import payment_method_pb2 as methods_pb
from bazaruto.payments.v1 import payment_method_pb2_grpc as methods_rpc
from libs import ids
from libs.money import Money
from libs.rpc import values
from libs.rpc.errors import NeighbourUnavailable, RemoteError
from libs.rpc.interceptors import DeadlineTooShort
from services.policies.lifecycle.rules import renewal
from services.policies.lifecycle.rules.charges import premium_of
from services.policies.lifecycle.rules.policy import Policy
from services.policies.lifecycle.rules.settlement import (
    AS_USUAL,
    ChargeTiming,
    CreditTiming,
    Forecast,
    PlannedPart,
    Settlement,
)
from services.policies.lifecycle.rules.term import Term
from services.policies.lifecycle.rules.transaction import Transaction, TransactionType

log = structlog.get_logger("policies")

_MOMENT = 1.0  # seconds that an answer is waited for which can be done without
_TYPES = {
    kind: billing_pb.PolicyTransactionType.Value(f"POLICY_TRANSACTION_TYPE_{kind.name}")
    for kind in TransactionType
    if kind != "activation"
}
_CHARGES = {
    ChargeTiming.SPREAD: billing_pb.Schedule.CHARGE_TIMING_SPREAD,
    ChargeTiming.AT_ONCE: billing_pb.Schedule.CHARGE_TIMING_AT_ONCE,
    ChargeTiming.NEXT_INSTALLMENT: billing_pb.Schedule.CHARGE_TIMING_NEXT_INSTALLMENT,
}
_CREDITS = {
    CreditTiming.ACCOUNT: billing_pb.Schedule.CREDIT_TIMING_ACCOUNT,
    CreditTiming.REFUND: billing_pb.Schedule.CREDIT_TIMING_REFUND,
}


class Payments:
    """The payments service."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._invoices = payments_rpc.InvoiceServiceStub(channel)
        self._billing = billing_rpc.BillingServiceStub(channel)
        self._methods = methods_rpc.PaymentMethodServiceStub(channel)

    def payer_of(self, method_id: str) -> UUID:
        """The party that keeps a payment method. One that the caller may not use does not exist: payments decides."""
        method = self._methods.GetPaymentMethod(methods_pb.GetPaymentMethodRequest(payment_method_id=method_id))
        return ids.decode("cus", method.customer_id)

    def next_due_on(self, policy_id: UUID) -> date | None:
        """The first day on which something falls due for a policy that is not paid; None where all is paid.

        `RemoteError` where nothing is billed yet, `NeighbourUnavailable` when there is no answer within a moment.
        """
        request = billing_pb.GetNextDueDateRequest(policy_id=ids.encode("pol", policy_id))
        answer = self._billing.GetNextDueDate(request, timeout=_MOMENT)
        return values.optional_date(answer, "next_due_date")

    def past_due_of(self, policy_id: UUID) -> Money:
        """What fell due for a policy before today and is not paid.

        `RemoteError` where nothing is billed yet, `NeighbourUnavailable` when there is no answer.
        """
        request = billing_pb.GetNextDueDateRequest(policy_id=ids.encode("pol", policy_id))
        return values.money_from_proto(self._billing.GetNextDueDate(request).past_due_amount)

    def apply_transaction(
        self,
        policy: Policy,
        transaction: Transaction,
        terms: Sequence[Term],
        settlement: Settlement = AS_USUAL,
        installments: int = 0,
        payment_method: str = "",
        method_id: UUID | None = None,
    ) -> None:
        """Have what a transaction changes billed and booked. `policy` is as the transaction left it, and `terms` are
        those that it changed.

        Repeating it changes nothing. `installments` are those of the plan of a term that it begins; the first of them
        is collected with the token `payment_method`, or with the payment method `method_id`, where there is one.
        """
        request = transaction_to_proto(policy, transaction, terms, settlement, installments)
        request.payment_method = payment_method
        request.payment_method_id = ids.encode("pmt", method_id) if method_id else ""
        self._billing.ApplyPolicyTransaction(request)

    def preview_transaction(
        self,
        policy: Policy,
        transaction: Transaction,
        terms: Sequence[Term],
        settlement: Settlement = AS_USUAL,
        installments: int = 0,
    ) -> Forecast | None:
        """What payments expects to come of a transaction, within a moment.

        None where it cannot say: it does not answer, or an earlier transaction of the policy is on its way to it.
        """
        request = transaction_to_proto(policy, transaction, terms, settlement, installments)
        try:
            answer = self._billing.PreviewPolicyTransaction(
                billing_pb.PreviewPolicyTransactionRequest(transaction=request), timeout=_MOMENT
            )
        except (RemoteError, NeighbourUnavailable, DeadlineTooShort) as error:
            log.info("no forecast of payments", policy_id=request.policy_id, reason=str(error))
            return None
        return _forecast_from_proto(answer)

    def open_billing(self, policy: Policy, transaction: Transaction, installments: int, payment_method: str) -> None:
        """Have the policy billed by its installment plan. Repeating it changes nothing."""
        term = policy.terms[0]
        self._invoices.OpenBilling(
            payments_pb.OpenBillingRequest(
                policy_id=ids.encode("pol", policy.id),
                user_id=ids.encode("usr", policy.user_id),
                transaction_id=ids.encode("ptx", transaction.id),
                plan_code=policy.plan_code,
                installments=installments,
                start_date=values.date_to_proto(term.starts_on),
                premium=values.premium_to_proto(premium_of(term.lines(), term.currency)),
                issue_time=values.time_to_proto(policy.issued_at),
                payment_method=payment_method,
                time_zone=policy.time_zone,
            )
        )


def transaction_to_proto(
    policy: Policy, transaction: Transaction, terms: Sequence[Term], settlement: Settlement, installments: int
) -> billing_pb.ApplyPolicyTransactionRequest:
    """A transaction as payments is told of it, without what the first premium is collected with."""
    term = policy.term_numbered(transaction.term_number) or policy.terms[0]
    reverses, arrears, not_before = transaction.reverses, settlement.arrears_seen, settlement.refund_not_before
    payable_until = renewal.first_payable_until(policy, transaction)
    return billing_pb.ApplyPolicyTransactionRequest(
        policy_id=ids.encode("pol", policy.id),
        transaction_id=ids.encode("ptx", transaction.id),
        billing_sequence=transaction.billing_sequence or 0,
        type=_TYPES[transaction.type],
        term_number=term.number,
        customer_id=ids.encode("cus", policy.user_id),
        payer_id=ids.encode("cus", policy.payer_id),
        partner_id=ids.encode("par", policy.partner_id) if policy.partner_id else "",
        product_code=policy.product_code,
        product_version=term.product_version,
        time_zone=policy.time_zone,
        term_start_date=values.date_to_proto(term.starts_on),
        term_end_date=values.date_to_proto(term.ends_on),
        effective_date=values.date_to_proto(transaction.effective_on),
        issue_time=values.time_to_proto(transaction.issued_at),
        lines=[values.charge_line_to_proto(line) for line in transaction.lines],
        total=values.money_to_proto(premium_of(transaction.lines, term.currency).total),
        schedule=_schedule_to_proto(policy, settlement, installments),
        reverses_transaction_id=ids.encode("ptx", reverses) if reverses else "",
        timeline=[line for each in terms for line in _timeline_to_proto(each)],
        arrears_seen=values.money_to_proto(arrears) if arrears else None,
        refund_not_before_date=values.date_to_proto(not_before) if not_before else None,
        reason=transaction.reason,
        first_payable_until_time=values.time_to_proto(payable_until) if payable_until else None,
    )


def _schedule_to_proto(policy: Policy, settlement: Settlement, installments: int) -> billing_pb.Schedule | None:
    """How it is paid; None where nothing differs from what payments does anyway."""
    schedule = billing_pb.Schedule()
    if installments:
        schedule.plan_code, schedule.installments = settlement.plan_code or policy.plan_code, installments
    if settlement.charge is not ChargeTiming.SPREAD:
        schedule.charge_timing = _CHARGES[settlement.charge]
    if settlement.credit is not CreditTiming.ACCOUNT:
        schedule.credit_timing = _CREDITS[settlement.credit]
    return schedule if schedule.ByteSize() else None


def _timeline_to_proto(term: Term) -> list[billing_pb.TimelineLine]:
    """The net premium of a term by object, coverage and segment."""
    return [
        billing_pb.TimelineLine(
            term_number=term.number,
            object_id=object_id,
            coverage_code=coverage_code,
            start_date=values.date_to_proto(segment.starts_on),
            end_date=values.date_to_proto(segment.ends_on),
            full_term_amount=values.money_to_proto(amount),
            term_days=term.days,
        )
        for segment in term.segments
        for (object_id, coverage_code), amount in segment.full_term.items()
    ]


def _forecast_from_proto(answer: billing_pb.AppliedTransaction) -> Forecast:
    balance_due = values.money_from_proto(answer.balance_due)
    refund = answer.refund if answer.HasField("refund") else None
    return Forecast(
        values.money_from_proto(refund) if refund else Money.zero(balance_due.currency),
        balance_due,
        tuple(
            PlannedPart(
                part.term_number,
                part.installment_number,
                values.date_from_proto(part.due_date, "due_date"),
                values.premium_from_proto(part.premium),
            )
            for part in answer.planned
        ),
    )
