"""Collecting an invoice, step by step, for the call of a payer and for the jobs.

`begin` and `record` run in transactions of their own, `charge` between them in none. A process that dies anywhere
leaves a payment that `settle` brings to its end: it asks the provider by the payment's id and never charges.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from libs import audit, ids
from libs.db import Database, when_committed
from libs.errors import ConcurrentChange
from libs.jobs import defer, required
from libs.money import Money
from libs.rpc import calls
from libs.rpc.interceptors import DeadlineTooShort
from services.payments.billing.flows import invoicing
from services.payments.billing.rules import invoice
from services.payments.billing.rules.delinquency import PolicyLapsing
from services.payments.billing.rules.invoice import Invoice
from services.payments.billing.store import accounts, delinquencies, invoices, payment_methods
from services.payments.collection import measures
from services.payments.collection.kinds import CONFIRM_PREMIUM, SETTLE, ConfirmPremium, Settle
from services.payments.collection.rules import payment
from services.payments.collection.rules.payment import Payment, PaymentInProgress, State
from services.payments.collection.rules.provider import Outcome, Provider, Unknown
from services.payments.collection.store import payments

PROVIDER_SECONDS = 15.0  # the longest that an answer of the provider is waited for
_KEPT_BACK = 0.5  # seconds of a call that are left for recording the outcome
_LEAST = 1.0  # seconds; with less left than this, no payment is begun

log = structlog.get_logger("collecting")
Answer = TypeVar("Answer")


def begin(
    session: Session,
    unpaid: Invoice,
    expected: Money | None,
    provider: str,
    now: datetime,
    *,
    agreed_before: bool = False,
    attempt: str = "",
) -> Payment:
    """Put a payment of a locked invoice in the books as under way, with the job that will look after it.

    `expected` is what the payer thinks is due, if they said so; `agreed_before` that they agreed with the contract.
    `attempt` names the try of the platform.
    """
    invoice.check_payable(unpaid, expected, now, agreed_before=agreed_before)
    _check_none_is_open(session, unpaid)
    # The lapse has locked every unsettled invoice: this one is either paid before it, or sees it.
    if delinquencies.find_is_lapsing(session, unpaid.policy_id):
        raise PolicyLapsing
    left = calls.seconds_left()
    if left is not None and left < _LEAST:
        raise DeadlineTooShort
    processing = payment.begin(unpaid, provider, now, payment_id=ids.new(), attempt=attempt)
    if not payments.add(session, processing):  # another invoice of the account was paid at this very moment
        _check_none_is_open(session, unpaid)
        raise ConcurrentChange
    _settle_later(session, processing, 0, now)
    return processing


def _check_none_is_open(session: Session, unpaid: Invoice) -> None:
    if open_payment_id := payments.find_open(session, unpaid):
        raise PaymentInProgress(payment_id=ids.encode("pay", open_payment_id))


def token_of(session: Session, unpaid: Invoice) -> str | None:
    """The token with which an invoice is collected; None where it is not, which the audit log then says the reason of.

    What the first one of a policy is paid with was agreed on with the contract. Others are collected where the payer
    wants it, with a method of theirs: not with that of whoever paid before.
    """
    holder = required(accounts.find(session, unpaid.policy_id), "billing account", unpaid.policy_id)
    token = payment_methods.find_token(session, unpaid.policy_id)
    if unpaid.is_first:
        return token
    if not holder.autopay:
        return None
    method = payment_methods.find(session, holder.payment_method_id) if holder.payment_method_id else None
    if method is not None and method.user_id == holder.payer_id:
        return token
    audit.record(
        session,
        "invoice_not_collected",
        ids.encode("inv", unpaid.id),
        reason="method_missing" if method is None else "method_of_another_payer",
        policy_id=ids.encode("pol", unpaid.policy_id),
    )
    return None


def charge(provider: Provider, processing: Payment, payment_method: str) -> Outcome:
    """Ask the provider for the money. Whatever goes wrong on the way, the outcome is then unknown."""
    return _asked(processing, lambda: provider.charge(processing.id, processing.amount, payment_method, _seconds()))


def confirm(provider: Provider, waiting: Payment) -> Outcome:
    """Ask the provider to go on with a payment whose payer acted."""
    return _asked(waiting, lambda: provider.confirm(waiting.id, _seconds()))


def record(session: Session, payment_id: UUID, outcome: Outcome, now: datetime) -> Payment:
    """Record an outcome with all that follows from it. Recording again, or after another's end, changes nothing."""
    invoice_id = required(payments.find(session, payment_id), "payment", payment_id).invoice_id
    unpaid = required(invoices.lock(session, invoice_id), "invoice", invoice_id)
    before = required(payments.lock(session, payment_id), "payment", payment_id)
    if payment.contradicts(before, outcome):
        log.error("provider contradicts the books", payment_id=ids.encode("pay", payment_id), state=before.state)
    after = payment.apply(before, outcome, now)
    if after is before:
        return before
    payments.save(session, after)
    if not after.is_open:
        audit.record(
            session,
            f"payment_{after.state}",
            ids.encode("pay", payment_id),
            before={"state": before.state},
            after={"state": after.state, "amount": after.amount, "decline_code": after.decline_code},
            invoice_id=ids.encode("inv", after.invoice_id),
            user_id=ids.encode("usr", after.user_id),
        )
    if after.state is State.SUCCEEDED:
        _succeeded(session, unpaid, after, now)
    when_committed(session, lambda: measures.count(before, after))
    log.info("payment recorded", payment_id=ids.encode("pay", payment_id), state=after.state)
    return after


def settle(database: Database, provider: Provider, payment_id: UUID, attempt: int, now: datetime) -> Payment:
    """Ask the provider what became of a payment, and record it; while that is not known, ask again later."""
    with database.reading() as session:
        open_payment = required(payments.find(session, payment_id), "payment", payment_id)
    if not open_payment.is_open:
        return open_payment
    outcome = _asked(open_payment, lambda: provider.find(payment_id, _seconds()))
    if payment.is_overdue(open_payment, outcome, now):
        outcome = _asked(open_payment, lambda: provider.cancel(payment_id, _seconds()))
    with database.transaction() as session:
        settled = record(session, payment_id, outcome or Unknown(), now)
        if settled.is_open:
            log.warning("payment still open", payment_id=ids.encode("pay", payment_id), attempt=attempt)
            _settle_later(session, settled, attempt + 1, now)
        # One that was given up is begun again by the job that collects, with the token.
        elif settled.account_id and settled.state in (State.SUCCEEDED, State.DECLINED):
            invoicing.forget_token(session, settled.account_id)
    return settled


def _succeeded(session: Session, unpaid: Invoice, paid: Payment, now: datetime) -> None:
    """The invoice is paid and the books say so; the first premium puts the policy in force."""
    invoicing.pay(session, unpaid, paid.id, paid.amount, now)
    # Where credit settled it before, that has let cover begin, or there is none that could.
    if unpaid.payable_until and unpaid.amount_due.minor:
        defer(session, CONFIRM_PREMIUM, ConfirmPremium(paid.id))


def _settle_later(session: Session, open_payment: Payment, attempt: int, now: datetime) -> None:
    at = now + payment.ask_after(attempt)
    defer(session, SETTLE, Settle(open_payment.id, attempt), at=at)


def _asked(about: Payment, ask: Callable[[], Answer]) -> Answer | Unknown:
    try:
        return ask()
    except Exception:
        # A provider may fail in any way, and money may have moved all the same.
        log.warning("provider did not answer", payment_id=ids.encode("pay", about.id), exc_info=True)
        return Unknown()


def _seconds() -> float:
    """How long the provider may take: less when a call waits for it whose deadline comes sooner."""
    left = calls.seconds_left()
    return PROVIDER_SECONDS if left is None else min(PROVIDER_SECONDS, max(left - _KEPT_BACK, _KEPT_BACK))
