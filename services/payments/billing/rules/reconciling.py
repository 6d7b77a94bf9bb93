"""What policies, billing and the ledger say of one policy, held against each other.

policies decides what is owed, by the timeline; billing keeps the lines that it was sent; the ledger what was booked.
Nothing may fall between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from services.payments.ledger.rules.balance import Balance
from services.payments.ledger.rules.proof import Billed, Item, compare

UNDER_WAY: Final = timedelta(minutes=15)
"""A transaction that is younger may still be on its way between the two services."""
_WRITTEN: Final = (Item.PREMIUM, Item.RETENTION, Item.TAX, Item.FEES)


class Kind(StrEnum):
    """Between whom something differs."""

    NOT_APPLIED = "not_applied"  # policies issued it, payments knows nothing of it
    NOT_ISSUED = "not_issued"  # payments billed it, policies knows nothing of it
    NOT_CHARGED = "not_charged"  # policies and billing differ about an amount
    NOT_BOOKED = "not_booked"  # billing and the ledger differ about an amount


@dataclass(frozen=True, slots=True)
class Written:
    """What policies says of a policy. Of one of before, whose timeline is not written, nothing but that it is there."""

    policy_id: UUID
    sequence: int
    issued_at: datetime
    amounts: Mapping[Item, int]


@dataclass(frozen=True, slots=True)
class Kept:
    """What payments says of a policy: the last transaction that was applied, billing's sums, the ledger's balances."""

    sequence: int
    applied_at: datetime
    billed: Billed
    booked: Sequence[Balance]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing about which two differ: a sequence, or an amount in minor units."""

    kind: Kind
    item: str
    expected: int
    actual: int


def differences(written: Written | None, kept: Kept | None, now: datetime) -> list[Difference]:
    """Everything in which the three do not agree; what is under way between the services is no difference."""
    return [*_between_services(written, kept, now), *(_within_payments(kept) if kept else ())]


def _between_services(written: Written | None, kept: Kept | None, now: datetime) -> Iterator[Difference]:
    issued, applied = written.sequence if written else 0, kept.sequence if kept else 0
    if written and not issued:
        return
    if written and issued > applied:
        if now - written.issued_at > UNDER_WAY:
            yield Difference(Kind.NOT_APPLIED, "sequence", issued, applied)
    elif kept and applied > issued:
        if now - kept.applied_at > UNDER_WAY:
            yield Difference(Kind.NOT_ISSUED, "sequence", issued, applied)
    elif written and kept:
        for item in _WRITTEN:
            if written.amounts[item] != kept.billed.amounts[item]:
                yield Difference(Kind.NOT_CHARGED, item, written.amounts[item], kept.billed.amounts[item])


def _within_payments(kept: Kept) -> Iterable[Difference]:
    for compared in compare(kept.billed, kept.booked):
        if compared.difference.minor:
            yield Difference(Kind.NOT_BOOKED, compared.item, compared.billed.minor, compared.booked.minor)
