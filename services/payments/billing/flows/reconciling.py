"""Holding what policies says against what was billed and booked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from libs.db import Database
from libs.errors import DomainError
from services.payments.billing.rules import reconciling
from services.payments.billing.rules.reconciling import Difference, Kept, Written
from services.payments.billing.store import accounts, differences, totals
from services.payments.ledger.store import balances

_LAST = UUID(int=2**128 - 1)

SumWritten = Callable[[UUID, int], Sequence[Written]]
"""What policies says of those behind an id: no more than a number of them, by their ids."""


def compare(
    database: Database, sum_written: SumWritten, after: UUID, limit: int, now: datetime
) -> dict[UUID, list[Difference] | DomainError]:
    """The differences of the next policies, by their ids, whichever side knows or knew them, or why there are none.

    Payments is read behind policies, at one moment: so what was issued meanwhile is not taken for missing there.
    """
    listed = {written.policy_id: written for written in sum_written(after, limit)}
    last = max(listed) if len(listed) == limit else _LAST
    with database.snapshot() as session:
        kept = accounts.list_last_applied(session, after, last, limit)
        differed = differences.list_policies(session, after, last, limit)
        policy_ids = sorted({*listed, *kept, *differed})[:limit]
        known = [policy_id for policy_id in policy_ids if policy_id in kept]
        billed, booked = totals.find_all(session, known), balances.list_of_policies(session, known)
    compared: dict[UUID, list[Difference] | DomainError] = {}
    for policy_id in policy_ids:
        sums = billed.get(policy_id)
        try:
            if isinstance(sums, DomainError):
                raise sums
            ours = Kept(*kept[policy_id], sums, booked.get(policy_id, [])) if sums else None
            compared[policy_id] = reconciling.differences(listed.get(policy_id), ours, now)
        except DomainError as error:
            compared[policy_id] = error
    return compared


def save_all(session: Session, compared: Mapping[UUID, list[Difference] | DomainError], now: datetime) -> None:
    """Keep the differences of policies; those of before that are mended go. Raises why one could not be compared."""
    known: dict[UUID, list[Difference]] = {}
    for policy_id, outcome in compared.items():
        if isinstance(outcome, DomainError):
            raise outcome
        known[policy_id] = outcome
    differences.save(session, known, now)
