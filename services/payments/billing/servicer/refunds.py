"""The gRPC face of refunds."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import grpc
from sqlalchemy.orm import Session

from bazaruto.payments.v1 import refund_pb2 as pb
from bazaruto.payments.v1 import refund_pb2_grpc as rpc_pb
from libs import audit, clock, ids
from libs.calendar import day_of
from libs.db import Database
from libs.errors import AuthorityExceeded, FourEyes
from libs.money import AmountInvalid, CurrencyMismatch, Money
from libs.rpc import calls, idempotency, values
from libs.rpc.pages import Page
from services.payments.billing.flows import refunding
from services.payments.billing.flows.refunding import Order
from services.payments.billing.messages.refunds import refund_to_proto, states_from_proto
from services.payments.billing.rules import refund
from services.payments.billing.rules.account import Account
from services.payments.billing.rules.refund import Refund, State
from services.payments.billing.store import accounts, refunds, settling


class RefundServicer(rpc_pb.RefundServiceServicer):
    """Answers the calls of `RefundService`. Sending is for the jobs of collection."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def CreateRefund(self, request: pb.CreateRefundRequest, context: grpc.ServicerContext) -> pb.Refund:
        amount, now = values.money_from_proto(request.amount), clock.now()
        account_id = ids.decode("bac", request.billing_account_id, "billing_account_id")
        with self._database.transaction() as session:
            if not request.validate_only:
                idempotency.claim(session)
            holder = calls.owned(accounts.lock(session, account_id), "billing account")
            _check_amount(session, holder, amount)
            order = Order(
                account_id,
                holder.customer_id,
                holder.partner_id,
                holder.time_zone,
                amount,
                not_before=day_of(now, holder.time_zone),
                state=State.APPROVED if _may_decide(amount) else State.PENDING_APPROVAL,
                requested_by=calls.caller().user_id,
                note=request.note,
            )
            made = refunding.draft(session, order, ids.new(), now)
            reply = refund_to_proto(made, is_stored=not request.validate_only)
            if not request.validate_only:
                refunding.pay_out(session, made, now)
                idempotency.keep(session, reply)
        return reply

    def ApproveRefund(self, request: pb.ApproveRefundRequest, context: grpc.ServicerContext) -> pb.Refund:
        def approve(session: Session, before: Refund) -> Refund:
            caller = calls.caller().user_id
            if caller is not None and caller == before.requested_by:
                raise FourEyes(by=ids.encode("usr", caller))
            after = refund.approve(before, caller, calls.current().limit(before.amount.currency))
            refunds.save(session, after)
            refunding.release_later(session, after, clock.now())
            _record(session, "refund_approved", before, after)
            return after

        return self._changed(request.refund_id, approve)

    def RejectRefund(self, request: pb.RejectRefundRequest, context: grpc.ServicerContext) -> pb.Refund:
        def reject(session: Session, before: Refund) -> Refund:
            return refunding.take_back(session, before, clock.now(), by=calls.caller().user_id, note=request.note)

        return self._changed(request.refund_id, reject)

    def RetryRefund(self, request: pb.RetryRefundRequest, context: grpc.ServicerContext) -> pb.Refund:
        def retry(session: Session, before: Refund) -> Refund:
            after = refund.retry(before, ids.new)
            refunds.save(session, after)
            refunding.release_later(session, after, clock.now())
            _record(session, "refund_retried", before, after)
            return after

        return self._changed(request.refund_id, retry)

    def GetRefund(self, request: pb.GetRefundRequest, context: grpc.ServicerContext) -> pb.Refund:
        with self._database.reading() as session:
            shown = refunds.find(session, ids.decode("rfd", request.refund_id))
        return refund_to_proto(calls.visible(shown, "refund"))

    def ListRefunds(self, request: pb.ListRefundsRequest, context: grpc.ServicerContext) -> pb.ListRefundsResponse:
        criteria = (request.billing_account_id, request.state)
        page = Page.of(request, "refunds", calls.caller().subject, criteria)
        account = request.billing_account_id
        account_id = ids.decode("bac", account, "billing_account_id") if account else None
        with self._database.reading() as session:
            states = states_from_proto(request.state)
            rows = refunds.list_of(session, calls.scope(), account_id, states, page.after_as(UUID), page.fetch)
        shown, token = page.cut(rows, key=lambda item: item.id)
        return pb.ListRefundsResponse(refunds=[refund_to_proto(item) for item in shown], next_page_token=token)

    def _changed(self, refund_id: str, change: Callable[[Session, Refund], Refund]) -> pb.Refund:
        """The refund after a change, which is made with its account and itself locked."""
        with self._database.transaction() as session:
            idempotency.claim(session)
            known = calls.owned(refunds.find(session, ids.decode("rfd", refund_id)), "refund")
            accounts.lock(session, known.account_id)
            before = calls.owned(refunds.lock(session, known.id), "refund")
            reply = refund_to_proto(change(session, before))
            idempotency.keep(session, reply)
        return reply


def _check_amount(session: Session, holder: Account, amount: Money) -> None:
    """Raise what keeps an amount from being paid out of the credit of a locked account."""
    if amount.minor <= 0:
        raise AmountInvalid(f"{amount} is not more than nothing", actual=amount)
    if amount.currency != holder.currency:
        raise CurrencyMismatch(expected=holder.currency, actual=amount.currency)
    credit = Money(settling.find_credit(session, holder.id), holder.currency)
    refundable = Money(refunds.find_refundable(session, holder.id), holder.currency)
    refund.check_request(amount, credit, refundable)


def _may_decide(amount: Money) -> bool:
    """Whether the caller may decide on an amount alone. Policyholders have no limit: they ask."""
    try:
        refund.check_limit(amount, calls.current().limit(amount.currency))
    except AuthorityExceeded:
        return False
    return True


def _record(session: Session, action: str, before: Refund, after: Refund) -> None:
    audit.record(
        session,
        action,
        ids.encode("rfd", after.id),
        before={"state": before.state},
        after={"state": after.state, "amount": after.amount},
        account_id=ids.encode("bac", after.account_id),
    )
