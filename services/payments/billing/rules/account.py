"""A billing account: what is owed for one policy, and who owes it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

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
    """The payment method with which the first premium is collected; None where the payer pays it."""
    withdrawn_at: datetime | None = None
    """When the first invoice was withdrawn, and the whole price taken out of the books."""
    version: int = 1

    @property
    def user_id(self) -> UUID:
        """The party whose account it is."""
        return self.customer_id


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
    """The account after another transaction, which may bring another holder, payer or partner."""
    return replace(
        account,
        customer_id=transaction.customer_id,
        payer_id=transaction.payer_id,
        partner_id=transaction.partner_id,
        time_zone=transaction.time_zone,
        last_sequence=transaction.sequence,
        version=account.version + 1,
    )
