"""Sums by day: whatever happens to jobs and to those who enter journals, a balance is the plain sum of its postings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from bazaruto.payments.v1 import ledger_pb2 as pb
from libs import ids
from libs.money import Money
from libs.rpc import values
from services.payments.ledger.flows import booking
from services.payments.ledger.rules import posting
from services.payments.ledger.rules.balance import AsOf, Dimension, differences
from services.payments.ledger.rules.chart import Side
from services.payments.ledger.rules.journal import Journal, Posting, Subject
from services.payments.ledger.store import balances, days
from tests.integration.payments.house import House
from tests.support.people import People

MIDNIGHT = datetime(2026, 11, 24, tzinfo=UTC)
PARTNERS = (None, ids.new(), ids.new())
PLAIN = """
    SELECT account_code, currency, {part} AS part,
           coalesce(sum(amount) FILTER (WHERE side = 'debit'), 0),
           coalesce(sum(amount) FILTER (WHERE side = 'credit'), 0)
    FROM journals JOIN postings ON journal_id = id
    WHERE effective_on <= cast(:last_day AS date) AND booked_at < cast(:booked_before AS timestamptz)
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
END = AsOf(date.max, datetime(9000, 1, 1, tzinfo=UTC))
_numbers = count()


@pytest.fixture
def engine(make_database: Callable[[str], str]) -> Iterator[sa.Engine]:
    """A database without a server: its threads would draw random numbers beside those of the test."""
    url = make_database("payments").replace("postgresql:", "postgresql+psycopg:", 1)
    made = sa.create_engine(url)
    yield made
    made.dispose()


moments = st.sampled_from([-25 * 60, -60, -1, 0, 1, 60, 23 * 60, 24 * 60]).map(
    lambda minutes: MIDNIGHT + timedelta(minutes=minutes)
)
effective_days = st.integers(-400, 40).map(lambda offset: MIDNIGHT.date() + timedelta(days=offset))


@st.composite
def journals(draw: st.DrawFn) -> tuple[Journal, datetime]:
    """A journal with the moment at which it is entered."""
    amount = Money(draw(st.integers(1, 10**15)), draw(st.sampled_from(["EUR", "JPY"])))
    coverage, tax = draw(st.sampled_from([("", ""), ("fire", ""), ("theft", ""), ("", "levy")]))
    postings = (
        Posting("1105", Side.DEBIT, amount),
        Posting("2100" if tax else "2000", Side.CREDIT, amount, coverage, tax, 1),
    )
    subject = Subject(partner_id=draw(st.sampled_from(PARTNERS)))
    source_id = f"x_{next(_numbers)}"
    return Journal("by_hand", source_id, subject, draw(effective_days), postings), draw(moments)


actions = st.one_of(
    st.tuples(st.just("enter"), journals()),
    st.tuples(st.just("begin"), journals()),
    st.tuples(st.sampled_from(["commit", "roll back"]), st.none()),
    st.tuples(st.sampled_from(["sum", "sum and die"]), st.integers(1, 3)),
)
as_ofs = st.builds(AsOf, st.none() | effective_days, st.none() | moments)


class Books:
    """Those who enter journals, some of whom take long to commit, and the job that sums what they entered."""

    def __init__(self, engine: sa.Engine, stack: ExitStack) -> None:
        self.engine = engine
        self.stack = stack
        self.begun: list[Session] = []

    def do(self, action: str, argument: Any) -> None:
        if action == "enter":
            with Session(self.engine) as session:
                booking.book(session, *argument)
                session.commit()
        elif action == "begin" and len(self.begun) < 2:
            session = self.stack.enter_context(Session(self.engine))
            booking.book(session, *argument)
            self.begun.append(session)
        elif action in ("commit", "roll back") and self.begun:
            session = self.begun.pop(0)
            session.commit() if action == "commit" else session.rollback()
        elif action in ("sum", "sum and die"):
            with Session(self.engine) as session:
                days.add_unsummed(session, argument)
                session.commit() if action == "sum" else session.rollback()

    def check(self, as_of: AsOf, dimension: Dimension | None = None) -> None:
        with Session(self.engine) as session:
            sums, _ = balances.list_all(session, as_of, dimension)
            expected = plain(session, as_of, dimension)
        assert [
            (line.account.code, line.debits.currency, line.part, line.debits.minor, line.credits.minor) for line in sums
        ] == expected
        assert not any(money.minor for money in differences(sums))


def plain(session: Session, as_of: AsOf, dimension: Dimension | None) -> list[tuple[Any, ...]]:
    """The sum of all postings, one by one."""
    part = f"coalesce({dimension.value}::text, '')" if dimension else "''"
    bounds = {
        "last_day": as_of.last_day or END.last_day,
        "booked_before": as_of.booked_before or END.booked_before,
    }
    return [tuple(row) for row in session.execute(sa.text(PLAIN.format(part=part)), bounds)]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(actions, min_size=3, max_size=12), asked=st.lists(as_ofs, min_size=2, max_size=2))
def test_quick_balance_is_the_plain_sum_whatever_happens(
    engine: sa.Engine, steps: list[tuple[str, Any]], asked: list[AsOf]
) -> None:
    """Books of one example are still there in the next: nothing is ever taken out of them."""
    with ExitStack() as stack:
        books = Books(engine, stack)
        for action, argument in steps:
            books.do(action, argument)
            books.check(asked[0])
        for as_of in (AsOf(), *asked):
            for dimension in (None, *Dimension):
                books.check(as_of, dimension)


def sum_up(house: House) -> None:
    house.registered.run("payments.close_days")


def test_job_sums_what_is_not_summed_in_steps(house: House, people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.payments.ledger.jobs._BATCH", 2)
    for _ in range(3):
        house.open(people.customer())
    before = house.trial_balance()
    assert house.rows("SELECT count(*) FROM unsummed_journals") == [(6,)]
    for _ in range(2):
        sum_up(house)
        assert house.rows("SELECT count(*) FROM unsummed_journals") == [(0,)]
        assert house.trial_balance() == before
    assert house.rows("SELECT sum(debits) FROM ledger_days WHERE dimension = ''") == [(6 * 1429_00,)]


def test_several_jobs_at_once_sum_each_journal_once(
    house: House, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.payments.ledger.jobs._BATCH", 1)
    for _ in range(6):
        house.open(people.customer())
    before = house.trial_balance()
    with ThreadPoolExecutor(3) as pool:
        for job in [pool.submit(sum_up, house) for _ in range(3)]:
            job.result(60)
    sum_up(house)
    assert house.rows("SELECT count(*) FROM unsummed_journals") == [(0,)]
    assert house.trial_balance() == before


def test_trial_balance_tells_the_books_as_they_stood_at_a_moment(house: House, people: People) -> None:
    def enter(source_id: str, moment: datetime, partner: UUID | None = None) -> None:
        with house.database.transaction() as session:
            about = Subject(partner_id=partner)
            journal = posting.RECOVERY_RECEIVED.journal(source_id, about, date(2026, 1, 1), Money(100, "EUR"))
            booking.book(session, journal, moment)

    def bank(moment: datetime) -> int:
        request = pb.GetTrialBalanceRequest(booked_until_time=values.time_to_proto(moment))
        reply = house.ledger.GetTrialBalance(request, metadata=people.admin().metadata())
        assert reply.booked_until_time == values.time_to_proto(moment)
        assert all(money.units == money.nanos == 0 for money in reply.differences)
        return sum(line.balance.units for line in reply.accounts if line.account_code == "1000")

    noon = MIDNIGHT + timedelta(hours=12)
    partner = ids.new()
    enter("x_1", MIDNIGHT - timedelta(seconds=1))
    enter("x_2", noon, partner)
    steps: tuple[Callable[[], None], ...] = (lambda: None, lambda: sum_up(house))
    for step in steps:
        step()
        assert bank(MIDNIGHT - timedelta(days=1)) == 0
        assert bank(MIDNIGHT) == bank(noon) == 1
        assert bank(noon + timedelta(microseconds=1)) == bank(noon + timedelta(days=1)) == 2
    request = pb.GetTrialBalanceRequest(dimension=pb.DIMENSION_PARTNER)
    reply = house.ledger.GetTrialBalance(request, metadata=people.admin().metadata())
    assert [(line.account_code, line.part) for line in reply.accounts] == [
        ("1000", ""), ("1000", ids.encode("par", partner)), ("1120", ""), ("1120", ids.encode("par", partner)),
    ]  # fmt: skip
