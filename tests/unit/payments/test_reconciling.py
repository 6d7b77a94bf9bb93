"""policies, billing and the ledger held against each other: what differs, and what is only on its way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from libs.money import Money
from services.payments.billing.rules.reconciling import Difference, Kept, Kind, Written, differences
from services.payments.ledger.rules.balance import Balance
from services.payments.ledger.rules.chart import CHART, Side
from services.payments.ledger.rules.proof import ACCOUNTS, Billed, Item

NOW = datetime(2026, 3, 1, 4, 30, tzinfo=UTC)
LONG_AGO, JUST_NOW = NOW - timedelta(hours=1), NOW - timedelta(minutes=3)
AMOUNTS = dict.fromkeys(Item, 0) | {Item.PREMIUM: 1200_00, Item.TAX: 204_00, Item.FEES: 25_00, Item.UNEARNED: 1200_00}


def written(sequence: int = 1, at: datetime = LONG_AGO, **amounts: int) -> Written:
    """What policies says."""
    return Written(UUID(int=1), sequence, at, AMOUNTS | {Item(name): minor for name, minor in amounts.items()})


def kept(sequence: int = 1, at: datetime = LONG_AGO, *, booked: dict[str, int] | None = None, **amounts: int) -> Kept:
    """What payments says: the ledger has what billing has but for some accounts."""
    billed = AMOUNTS | {Item(name): minor for name, minor in amounts.items()}
    books = {codes[0]: billed[item] for item, codes in ACCOUNTS.items() if item is not Item.PREMIUM} | (booked or {})
    balances = []
    for code, minor in books.items():
        amount, zero = Money(minor, "EUR"), Money.zero("EUR")
        sides = (amount, zero) if CHART[code].normal is Side.DEBIT else (zero, amount)
        balances.append(Balance(CHART[code], *sides))
    return Kept(sequence, at, Billed("EUR", billed), balances)


def test_what_agrees_is_no_difference() -> None:
    assert differences(written(), kept(), NOW) == []


@pytest.mark.parametrize(
    ("says", "has", "expected"),
    [
        (written(3), kept(2), [Difference(Kind.NOT_APPLIED, "sequence", 3, 2)]),
        (written(1), None, [Difference(Kind.NOT_APPLIED, "sequence", 1, 0)]),
        (written(2), kept(3), [Difference(Kind.NOT_ISSUED, "sequence", 2, 3)]),
        (None, kept(1), [Difference(Kind.NOT_ISSUED, "sequence", 0, 1)]),
        (written(premium=1200_01), kept(), [Difference(Kind.NOT_CHARGED, "premium", 1200_01, 1200_00)]),
        (written(tax=0), kept(), [Difference(Kind.NOT_CHARGED, "tax", 0, 204_00)]),
        (written(retention=5), kept(), [Difference(Kind.NOT_CHARGED, "retention", 5, 0)]),
        (written(), kept(booked={"1010": 7}), [Difference(Kind.NOT_BOOKED, "paid", 0, 7)]),
        (written(), kept(booked={"2100": 203_99}), [Difference(Kind.NOT_BOOKED, "tax", 204_00, 203_99)]),
    ],
)
def test_each_thing_that_differs_is_named(says: Written | None, has: Kept | None, expected: list[Difference]) -> None:
    assert differences(says, has, NOW) == expected


@pytest.mark.parametrize(
    ("says", "has"),
    [
        (written(3, JUST_NOW, premium=1), kept(2)),
        (written(1, JUST_NOW), None),
        (written(2, premium=1), kept(3, JUST_NOW)),
        (None, kept(1, JUST_NOW)),
    ],
)
def test_transaction_that_is_under_way_is_no_difference(says: Written | None, has: Kept | None) -> None:
    assert differences(says, has, NOW) == []


def test_of_a_policy_of_before_only_the_books_are_compared() -> None:
    of_before = Written(UUID(int=1), 0, LONG_AGO, {})
    assert differences(of_before, kept(), NOW) == []
    assert [item.kind for item in differences(of_before, kept(booked={"1010": 7}), NOW)] == [Kind.NOT_BOOKED]
