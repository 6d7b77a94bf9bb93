"""A billing account: what is owed for one policy, and who owes it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from libs.errors import FieldInvalid
from services.payments.billing.rules.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Account:
    """The billing account of a policy; it has the policy's identifier."""

    id: UUID
    customer_id: UUID
    payer_id: UUID
    partner_id: UUID | None
    currency: str
    time_zone: str
    opened_at: datetime
    last_sequence: int = 1
    """The position of the last transaction that was applied."""
    payment_method_id: UUID | None = None
    """The payment method with which invoices are collected; None where the payer pays them."""
    due_day: int = 0
    """The day of the month on which installments fall due; 0 for the days of the plan."""
    autopay: bool = False
    """Whether invoices are collected when they fall due, not only the first one."""
    withdrawn_at: datetime | None = None
    """When the first invoice was withdrawn, and the whole price taken out of the books."""
    version: int = 1

    @property
    def user_id(self) -> UUID:
        """The party whose account it is."""
        return self.customer_id


@dataclass(frozen=True, slots=True)
class AccountSums:
    """A billing account, and what is owed on it. Amounts are minor units of its currency."""

    account: Account
    planned: int
    due: int
    """What is billed and not settled."""
    past_due: int
    credit: int
    next_due_on: date | None

    @property
    def user_id(self) -> UUID:
        """The party whose account it is."""
        return self.account.customer_id

    @property
    def partner_id(self) -> UUID | None:
        """The partner who serves the policy."""
        return self.account.partner_id

    @property
    def balance(self) -> int:
        """All that is owed, less the credit."""
        return self.planned + self.due - self.credit


class EntryKind(StrEnum):
    """What moved the balance of an account."""

    TRANSACTION = "transaction"
    PAYMENT = "payment"
    WITHDRAWAL = "withdrawal"
    REFUND = "refund"


@dataclass(frozen=True, slots=True)
class Entry:
    """A debit of an account, or a credit: then it is negative."""

    kind: EntryKind
    booked_at: datetime
    source_id: UUID
    minor: int


CHANGEABLE = frozenset({"due_day", "autopay", "payment_method_id"})
"""What may be changed of an account. Who owes is what policies says: an account follows its transactions."""


def paid_by(account: Account, *, due_day: int, autopay: bool, payment_method_id: UUID | None) -> Account:
    """The account as somebody wants it paid; `update` takes of it what they name."""
    return replace(account, due_day=due_day, autopay=autopay, payment_method_id=payment_method_id)


def update(account: Account, new: Account, fields: Collection[str]) -> Account:
    """The account with some fields of another one. `FieldInvalid` for those that cannot be changed, or do not fit."""
    if "payer_id" in fields:
        raise FieldInvalid(violations={"billing_account.payer_id": "is changed by SetPayer of the policy, not here"})
    if not fields or not CHANGEABLE.issuperset(fields):
        raise FieldInvalid(violations={"update_mask": f"names none, or others than {', '.join(sorted(CHANGEABLE))}"})
    changes = {name: getattr(new, name) for name in fields}
    changed: Account = replace(account, **changes, version=account.version + 1)
    if changed.autopay and changed.payment_method_id is None:
        raise FieldInvalid(violations={"billing_account.autopay": "needs a payment method"})
    return changed


def redated(due_on: date, due_day: int, today: date) -> date:
    """The day of the same month on which an installment falls due instead; not before today."""
    return max(due_on.replace(day=due_day), today)


def open_account(transaction: Transaction, now: datetime, payment_method_id: UUID | None) -> Account:
    """The account of a policy whose first transaction is applied."""
    return Account(
        id=transaction.policy_id,
        customer_id=transaction.customer_id,
        payer_id=transaction.payer_id,
        partner_id=transaction.partner_id,
        currency=transaction.currency,
        time_zone=transaction.time_zone,
        opened_at=now,
        payment_method_id=payment_method_id,
    )


def follow(account: Account, transaction: Transaction) -> Account:
    """The account after another transaction, which may bring another holder, payer or partner.

    What a payer keeps is charged for that payer alone.
    """
    is_same_payer = transaction.payer_id == account.payer_id
    return replace(
        account,
        payment_method_id=account.payment_method_id if is_same_payer else None,
        autopay=account.autopay and is_same_payer,
        customer_id=transaction.customer_id,
        payer_id=transaction.payer_id,
        partner_id=transaction.partner_id,
        time_zone=transaction.time_zone,
        last_sequence=transaction.sequence,
        version=account.version + 1,
    )
