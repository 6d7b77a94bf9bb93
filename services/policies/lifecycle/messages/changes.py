"""What a change of a policy did, or would do, as the contract carries it."""

from __future__ import annotations

from datetime import date, datetime

from bazaruto.policies.v1 import policy_pb2 as pb
from libs.rpc import values
from services.policies.lifecycle.messages.policies import (
    policy_to_proto,
    segments_to_proto,
    shown,
    transaction_to_proto,
)
from services.policies.lifecycle.rules.charges import premium_of
from services.policies.lifecycle.rules.contract import Changed
from services.policies.lifecycle.rules.settlement import Forecast, PlannedPart


def result_to_proto(
    changed: Changed,
    forecast: Forecast | None,
    now: datetime,
    *,
    documents: tuple[str, ...] = (),
    refund_not_before: date | None = None,
    is_stored: bool = True,
) -> pb.TransactionResult:
    """A change with what comes of it. `forecast` is what payments expects; None where it could not say."""
    transaction, currency, numbers = changed.transaction, changed.currency, {term.number for term in changed.terms}
    message = pb.TransactionResult(
        transaction=transaction_to_proto(transaction, currency),
        before=segments_to_proto(term for term in changed.before.terms if term.number in numbers),
        after=segments_to_proto(changed.terms),
        documents=documents,
        policy=policy_to_proto(changed.after, now),
        billing_pending=forecast is None and transaction.billing_sequence is not None,
    )
    if transaction.lines:
        lines = transaction.lines
        values.fill_premium(message.change, premium_of(lines, currency), shown(lines))
    if not is_stored:
        message.transaction.ClearField("transaction_id")
        message.policy.ClearField("etag")
    if forecast is not None:
        if forecast.refund.minor:
            values.fill_money(message.refund, forecast.refund)
        if forecast.balance_due.minor:
            values.fill_money(message.balance_due, forecast.balance_due)
        message.installments.extend(_planned_to_proto(part) for part in forecast.planned)
    if refund_not_before is not None:
        values.fill_date(message.refund_not_before_date, refund_not_before)
    return message


def _planned_to_proto(part: PlannedPart) -> pb.PlannedInstallment:
    return pb.PlannedInstallment(
        term_number=part.term_number,
        installment_number=part.number,
        due_date=values.date_to_proto(part.due_on),
        premium=values.premium_to_proto(part.premium),
    )
