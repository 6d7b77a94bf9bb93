"""Billing accounts, their statements, and payment methods as the contract carries them."""

from __future__ import annotations

from collections.abc import Iterable

from bazaruto.payments.v1 import billing_pb2 as pb
from bazaruto.payments.v1 import payment_method_pb2 as methods_pb
from libs import ids
from libs.money import Money
from libs.rpc import values
from services.payments.billing.rules.account import Account, AccountSums, Entry, EntryKind, paid_by
from services.payments.billing.rules.payment_method import PaymentMethod

_SOURCES = {
    EntryKind.TRANSACTION: "ptx",
    EntryKind.PAYMENT: "pay",
    EntryKind.WITHDRAWAL: "inv",
    EntryKind.REFUND: "rfd",
}


def etag_of(account: Account) -> str:
    """What changes with every change of an account itself."""
    return str(account.version)


def account_to_proto(sums: AccountSums) -> pb.BillingAccount:
    """The account with what is owed on it."""
    account = sums.account
    return pb.BillingAccount(
        billing_account_id=ids.encode("bac", account.id),
        policy_id=ids.encode("pol", account.id),
        customer_id=ids.encode("cus", account.customer_id),
        payer_id=ids.encode("cus", account.payer_id),
        partner_id=ids.encode("par", account.partner_id) if account.partner_id else "",
        currency_code=account.currency,
        balance=values.money_to_proto(Money(sums.balance, account.currency)),
        amount_due=values.money_to_proto(Money(sums.due, account.currency)),
        past_due=values.money_to_proto(Money(sums.past_due, account.currency)),
        credit=values.money_to_proto(Money(sums.credit, account.currency)),
        next_due_date=values.date_to_proto(sums.next_due_on) if sums.next_due_on else None,
        due_day=account.due_day,
        autopay=account.autopay,
        payment_method_id=ids.encode("pmt", account.payment_method_id) if account.payment_method_id else "",
        open_time=values.time_to_proto(account.opened_at),
        etag=etag_of(account),
    )


def account_with(account: Account, message: pb.BillingAccount) -> Account:
    """The account with what the message says of how it is paid."""
    method = message.payment_method_id
    return paid_by(
        account,
        due_day=message.due_day,
        autopay=message.autopay,
        payment_method_id=ids.decode("pmt", method, "billing_account.payment_method_id") if method else None,
    )


def statement_to_proto(opening: Money, entries: Iterable[Entry]) -> pb.AccountStatement:
    """Debits and credits behind a balance, with the balance after each."""
    statement = pb.AccountStatement(opening_balance=values.money_to_proto(opening))
    balance = opening
    for entry in entries:
        amount = Money(entry.minor, opening.currency)
        balance = balance + amount
        statement.entries.add(
            kind=pb.AccountStatement.Kind.Value(f"KIND_{entry.kind.upper()}"),
            booking_time=values.time_to_proto(entry.booked_at),
            source_id=ids.encode(_SOURCES[entry.kind], entry.source_id),
            amount=values.money_to_proto(amount),
            balance=values.money_to_proto(balance),
        )
    statement.closing_balance.CopyFrom(values.money_to_proto(balance))
    return statement


def method_to_proto(method: PaymentMethod) -> methods_pb.PaymentMethod:
    """The payment method, without its token."""
    return methods_pb.PaymentMethod(
        payment_method_id=ids.encode("pmt", method.id),
        customer_id=ids.encode("cus", method.user_id),
        display_name=method.display_name,
        provider=method.provider,
        is_default=method.is_default,
        mandate_text=method.mandate_text,
        create_time=values.time_to_proto(method.created_at),
    )
