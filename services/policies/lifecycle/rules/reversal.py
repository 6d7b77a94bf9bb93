"""The rule by which the last transaction of money is taken back, line by line."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from libs.calendar import day_of
from libs.errors import AuthorityExceeded, Refused
from services.policies.lifecycle.rules import contract
from services.policies.lifecycle.rules.contract import Changed, Contract
from services.policies.lifecycle.rules.transaction import CoverStart, Opening, Transaction, TransactionType

CORRECTION: Final = "correction"
_TAKEN_BACK: Final = frozenset(
    {
        TransactionType.ENDORSEMENT,
        TransactionType.RENEWAL,
        TransactionType.CANCELLATION,
        TransactionType.LAPSE,
        TransactionType.REINSTATEMENT,
    }
)


class NotLastTransaction(Refused):
    """Only the last transaction of money that still counts can be taken back."""

    reason = "NOT_LAST_TRANSACTION"


def last_of(made: Contract) -> Transaction | None:
    """The transaction that can be taken back: the last one that counts and changed the timeline.

    None where that is new business, a contract that was not taken, a term that was paid for since it was added, or a
    cancellation of what was not paid for: its first bill is gone, and it is only bought anew.
    """
    changing = [item for item in made.standing if item.change is not None]
    last = next((item for item in reversed(changing) if not isinstance(item.change, CoverStart)), None)
    if last is None or last.type not in _TAKEN_BACK:
        return None
    if isinstance(last.change, Opening) and _is_paid_for(last.change, changing):
        return None
    if last.type is TransactionType.CANCELLATION and made.policy.terms[0].cover_starts_at is None:
        return None
    return last


def check_day(target: Transaction, time_zone: str, now: datetime, *, by_admin: bool) -> None:
    """`AuthorityExceeded` for whoever is no administrator on another day than that of the transaction."""
    if not by_admin and day_of(target.issued_at, time_zone) != day_of(now, time_zone):
        raise AuthorityExceeded(needed="admin", held="underwriter")


def reverse(made: Contract, target: Transaction, source: str, now: datetime, *, transaction_id: UUID) -> Changed:
    """The contract without a transaction: the stack is folded as if it were not there, and every line comes back."""
    return contract.put(
        made,
        contract.draft(
            made,
            TransactionType.REVERSAL,
            target.effective_on,
            now,
            transaction_id=transaction_id,
            term_number=target.term_number,
            reverses=target.id,
            reason=CORRECTION,
            source_id=source,
        ),
    )


def _is_paid_for(opening: Opening, changing: list[Transaction]) -> bool:
    starts = (item.change for item in changing if isinstance(item.change, CoverStart))
    return any(start.term_number == opening.term_number for start in starts)
