"""The ledger of an account, page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import grpc
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from bazaruto.payments.v1 import ledger_pb2 as pb
from libs.money import Money
from libs.rpc import values
from services.payments.ledger.flows import booking
from services.payments.ledger.rules import posting
from services.payments.ledger.rules.entry import Extract, balances_behind
from services.payments.ledger.rules.journal import Journal, Subject
from services.payments.ledger.store import balances, days
from tests.integration.payments.house import House
from tests.support.errors import reason_of
from tests.support.people import People

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
TODAY = NOW.date()
RULES = (posting.PAYMENT_CAPTURED, posting.PAYMENT_OVERPAID, posting.REFUND_SUCCEEDED)
PLAIN = """
    SELECT effective_on, journal_id, CASE side WHEN normal THEN amount ELSE -amount END
    FROM journals JOIN postings ON journal_id = id JOIN accounts ON code = account_code
    WHERE account_code = '{account}' AND currency = '{currency}' AND effective_on <= '{until}'
    ORDER BY effective_on, journal_id, line
"""
_numbers = count()
events = st.tuples(
    st.sampled_from(RULES), st.integers(1, 10**12), st.sampled_from(["EUR", "JPY"]), st.integers(-3, 3), st.booleans()
)


@pytest.fixture
def books(make_database: Callable[[str], str]) -> Iterator[sa.Engine]:
    """A database without a server: its threads would draw random numbers beside those of the test."""
    url = make_database("payments").replace("postgresql:", "postgresql+psycopg:", 1)
    made = sa.create_engine(url)
    yield made
    made.dispose()


def event(rule: posting.Rule, minor: int, currency: str, offset: int) -> Journal:
    amounts = [Money(minor, currency)] * len(rule.transfers)
    return rule.journal(f"x_{next(_numbers)}", Subject(), TODAY + timedelta(days=offset), *amounts)


def enter(house: House, rule: posting.Rule, minor: int, currency: str, offset: int, when: datetime = NOW) -> None:
    with house.database.transaction() as session:
        booking.book(session, event(rule, minor, currency, offset), when)


class Accountant:
    """Somebody who reads the ledger of an account."""

    def __init__(self, house: House, people: People) -> None:
        self.house = house
        self.metadata = people.admin().metadata()

    def page(self, account: str = "1010", currency: str = "EUR", **fields: Any) -> pb.AccountLedger:
        request = pb.GetAccountLedgerRequest(account_code=account, currency_code=currency, **fields)
        return self.house.ledger.GetAccountLedger(request, metadata=self.metadata)


def read(books: sa.Engine, extract: Extract, size: int) -> list[tuple[date, UUID, int, int]]:
    """All pages: day, journal and signed amount of each posting, and the balance behind it."""
    rows: list[tuple[date, UUID, int, int]] = []
    after, behind = None, None
    while True:
        with Session(books) as session:
            opening, entries = balances.list_entries(session, extract, after, size)
        assert behind in (None, opening)
        for entry, balance in zip(entries, balances_behind(opening, entries), strict=True):
            before = opening if behind is None else behind
            rows.append(
                (entry.position.effective_on, entry.position.journal_id, (balance - before).minor, balance.minor)
            )
            after, behind = entry.position, balance
        if len(entries) < size:
            return rows


@pytest.fixture
def accountant(house: House, people: People) -> Accountant:
    return Accountant(house, people)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    entered=st.lists(events, max_size=8),
    size=st.integers(1, 6),
    account=st.sampled_from(["1010", "2300", "2310"]),
    currency=st.sampled_from(["EUR", "JPY"]),
    bounds=st.tuples(st.none() | st.integers(-4, 4), st.none() | st.integers(-4, 4)),
)
def test_running_balance_is_exact_across_pages_of_any_size(
    books: sa.Engine,
    entered: list[tuple[posting.Rule, int, str, int, bool]],
    size: int,
    account: str,
    currency: str,
    bounds: tuple[int | None, int | None],
) -> None:
    """Some journals are summed by day and some are not, and what is booked today counts on days of before."""
    for rule, minor, code, offset, summed in entered:
        with Session(books) as session:
            booking.book(session, event(rule, minor, code, offset), NOW)
            if summed:
                days.add_unsummed(session, 5)
            session.commit()
    first, last = (None if offset is None else TODAY + timedelta(days=offset) for offset in bounds)
    with books.connect() as connection:
        query = PLAIN.format(account=account, currency=currency, until=last or date.max)
        rows = connection.execute(sa.text(query)).all()
    balance, expected = 0, []
    for day, journal_id, amount in rows:
        balance += int(amount)
        if day >= (first or date.min):
            expected.append((day, journal_id, int(amount), balance))
    assert read(books, Extract(account, currency, first, last), size) == expected


def test_pages_go_on_where_the_one_before_ended(house: House, accountant: Accountant) -> None:
    for offset in (1, -1, 0, 0, 1):
        enter(house, posting.PAYMENT_CAPTURED, 100, "EUR", offset)
    token, behind = "", list[int]()
    for entries in (2, 2, 1):
        page = accountant.page(page_size=2, page_token=token)
        assert page.opening_balance.units == len(behind)
        assert len(page.entries) == entries
        behind += [entry.balance.units for entry in page.entries]
        token = page.next_page_token
    assert (behind, token) == ([1, 2, 3, 4, 5], "")


def test_ledger_of_an_account_tells_what_was_booked(house: House, accountant: Accountant) -> None:
    enter(house, posting.REFUND_SUCCEEDED, 500, "EUR", -1)
    enter(house, posting.PAYMENT_CAPTURED, 2000, "EUR", 0)
    ledger = accountant.page()
    assert (ledger.account_code, ledger.account_name, ledger.currency_code) == ("1010", "Gateway clearing", "EUR")
    assert [
        (entry.rule, entry.posting.side, entry.posting.amount.units, entry.balance.units) for entry in ledger.entries
    ] == [
        ("refund_succeeded", pb.Posting.SIDE_CREDIT, 5, -5),
        ("payment_captured", pb.Posting.SIDE_DEBIT, 20, 15),
    ]
    assert ledger.entries[0].booking_time == values.time_to_proto(NOW)
    assert ledger.opening_balance.units == 0
    assert accountant.page(from_date=values.date_to_proto(TODAY)).opening_balance.units == -5
    empty = accountant.page(from_date=values.date_to_proto(TODAY + timedelta(days=1)))
    assert (list(empty.entries), empty.opening_balance.units, empty.next_page_token) == ([], 15, "")
    assert list(accountant.page(account="1000").entries) == list(accountant.page(currency="USD").entries) == []


def test_ledger_of_an_account_as_it_stood_leaves_out_what_came_later(house: House, accountant: Accountant) -> None:
    enter(house, posting.PAYMENT_CAPTURED, 2000, "EUR", 0)
    enter(house, posting.PAYMENT_CAPTURED, 700, "EUR", -1, NOW + timedelta(minutes=1))
    house.registered.run("payments.close_days")
    stood = values.time_to_proto(NOW + timedelta(seconds=1))
    assert [entry.balance.units for entry in accountant.page().entries] == [7, 27]
    assert [entry.balance.units for entry in accountant.page(booked_until_time=stood).entries] == [20]
    later = values.date_to_proto(TODAY + timedelta(days=1))
    assert accountant.page(from_date=later, booked_until_time=stood).opening_balance.units == 20


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"account": "1011"}, "RESOURCE_NOT_FOUND"),
        ({"account": "x"}, "INVALID_FIELD"),
        ({"currency": ""}, "INVALID_FIELD"),
        ({"currency": "QQQ"}, "AMOUNT_INVALID"),
        ({"page_token": "nonsense"}, "PAGE_TOKEN_INVALID"),
        ({"from_date": {"year": 2026, "month": 2, "day": 30}}, "INVALID_FIELD"),
    ],
)
def test_ledger_that_cannot_be_shown_is_refused(accountant: Accountant, fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        accountant.page(**fields)
    assert reason_of(refused.value) == reason


def test_customer_does_not_see_the_ledger_of_an_account(house: House, people: People) -> None:
    request = pb.GetAccountLedgerRequest(account_code="1010", currency_code="EUR")
    with pytest.raises(grpc.RpcError) as refused:
        house.ledger.GetAccountLedger(request, metadata=people.customer().metadata())
    assert reason_of(refused.value) == "ACCESS_DENIED"
