"""What is earned of a policy: by its newest timeline, never by its changes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.money import Money, round_half_even
from services.payments.billing.rules.earning import Earnable, TimelineMissing, earned_by
from services.payments.billing.rules.transaction import TimelineLine
from services.payments.ledger.rules.chart import Side
from services.payments.ledger.rules.earning import premium_earned
from services.payments.ledger.rules.journal import Journal, Subject
from services.payments.ledger.rules.period import Period

POLICY = UUID(int=7)
GUIDE = Path(__file__).parents[3] / "docs" / "ledger.md"
STARTS_ON, ENDS_ON = date(2025, 1, 1), date(2026, 1, 1)


def stretch(
    full: int, starts_on: date = STARTS_ON, ends_on: date = ENDS_ON, coverage: str = "own_damage", object_id: str = ""
) -> TimelineLine:
    """What a coverage costs over days of the year 2025."""
    return TimelineLine(1, object_id, coverage, starts_on, ends_on, Money(full, "USD"), 365)


def written(timeline: Sequence[TimelineLine]) -> dict[tuple[str, int], int]:
    """The lines of all transactions that a timeline comes to."""
    exact: dict[tuple[str, str], Fraction] = {}
    for item in timeline:
        key = (item.object_id, item.coverage_code)
        exact[key] = exact.get(key, Fraction(0)) + item.written
    sums: dict[tuple[str, int], int] = {}
    for (_, coverage), amount in exact.items():
        sums[coverage, 1] = sums.get((coverage, 1), 0) + round_half_even(amount)
    return sums


def policy(*timeline: TimelineLine, lines: dict[tuple[str, int], int] | None = None, gone: bool = False) -> Earnable:
    """A policy with a timeline and the lines that it comes to, or others."""
    return Earnable(POLICY, "USD", None, 1, gone, written(timeline) if lines is None else lines, timeline)


def earned(of: Earnable, day: date) -> int:
    """All that is earned, in minor units."""
    return sum(amount.minor for amount in earned_by(of, day).values())


def test_premium_is_earned_by_the_days_that_are_over() -> None:
    """T20."""
    of = policy(stretch(7000_00))
    day = STARTS_ON + timedelta(days=239)
    assert earned(of, day) == 4583_56
    assert sum(of.written.values()) - earned(of, day) == 2416_44


@pytest.mark.parametrize("cancelled_on", [date(2025, 7, 1)])
def test_cancelled_policy_is_earned_up_to_its_end_and_nothing_is_left(cancelled_on: date) -> None:
    """T08, T09: the retention of a short-rate cancellation is a line of its own (4110), and is not earned here."""
    of = policy(stretch(1200_00, ends_on=cancelled_on))
    assert sum(of.written.values()) == 595_07
    assert earned(of, date(2025, 6, 1)) == 496_44
    assert [earned(of, day) for day in (cancelled_on, ENDS_ON)] == [595_07, 595_07]


def test_change_that_comes_late_makes_up_for_the_months_before() -> None:
    before, after = stretch(1200_00), (stretch(1200_00, ends_on=date(2025, 3, 1)), stretch(1500_00, date(2025, 3, 1)))
    june = date(2025, 7, 1)
    assert earned(policy(*after), june) - earned(policy(before), june) == round(300_00 * 122 / 365)


def test_flat_cancellation_leaves_nothing_earned() -> None:
    assert earned_by(policy(lines={("own_damage", 1): 0}), ENDS_ON) == {}


def test_price_that_left_the_books_is_not_earned() -> None:
    assert earned_by(policy(stretch(1200_00), gone=True), ENDS_ON) == {}


def test_premium_without_days_is_refused() -> None:
    with pytest.raises(TimelineMissing):
        earned_by(policy(lines={("", 1): 1200_00}), ENDS_ON)


def test_lines_that_name_no_coverage_are_earned_as_a_whole() -> None:
    timeline = (stretch(600_01, coverage="glass"), stretch(599_99))
    assert earned_by(policy(*timeline, lines={("", 1): 1200_00}), ENDS_ON) == {("", 1): Money(1200_00, "USD")}


def test_journal_moves_from_unearned_to_earned_and_back() -> None:
    changes = {("own_damage", 1): Money(10192, "USD"), ("glass", 2): Money(-5, "USD"), ("theft", 1): Money(0, "USD")}
    journal = premium_earned("pol:2025-01", Subject(POLICY), date(2025, 1, 31), changes)
    assert journal is not None
    assert {(item.account, item.side, item.amount.minor, item.coverage_code, item.term_number) for item in
            journal.postings} == {
        ("2000", Side.DEBIT, 10192, "own_damage", 1), ("4000", Side.CREDIT, 10192, "own_damage", 1),
        ("4000", Side.DEBIT, 5, "glass", 2), ("2000", Side.CREDIT, 5, "glass", 2),
    }  # fmt: skip
    assert premium_earned("pol:2025-01", Subject(POLICY), date(2025, 1, 31), {}) is None


def test_documents_show_what_is_booked() -> None:
    rows = re.findall(r"^\| ([A-Z][a-z]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", GUIDE.read_text(), re.MULTILINE)
    uncut, cut, before = policy(stretch(1200_00)), policy(stretch(1200_00, ends_on=date(2025, 7, 1))), 0
    assert len(rows) == 6
    for month, (name, booked, shown, left) in enumerate(rows, 1):
        day = date(2025, month + 1, 1)
        of = cut if month == 6 else uncut
        now = earned(of, day)
        assert name == f"{date(2025, month, 1):%B}"
        assert [booked, shown, left] == [
            f"{minor / 100:.2f}" for minor in (now - before, now, sum(of.written.values()) - now)
        ]
        before = now


@pytest.mark.parametrize(
    ("day", "name", "last_day"),
    [
        (date(2026, 12, 1), "2026-11", date(2026, 11, 30)),
        (date(2026, 1, 31), "2025-12", date(2025, 12, 31)),
        (date(2024, 3, 30), "2024-02", date(2024, 2, 29)),
    ],
)
def test_last_period_is_the_month_before(day: date, name: str, last_day: date) -> None:
    period = Period.last_ended(day)
    assert (str(period), period.last_day, Period.parse(name)) == (name, last_day, period)


@pytest.mark.parametrize("name", ["2026-13", "2026-1", "2026", "2026-11-01", ""])
def test_period_is_a_month(name: str) -> None:
    with pytest.raises(ValueError, match="is no month"):
        Period.parse(name)


days = st.dates(STARTS_ON, ENDS_ON)


@st.composite
def timelines(draw: st.DrawFn) -> tuple[TimelineLine, ...]:
    """Up to three coverages of two objects, whose price changes on some days, and that may end before the year does."""
    ends_on = draw(days)
    lines = []
    for object_id, coverage in draw(
        st.lists(st.sampled_from([("", "a"), ("", "b"), ("x", "a")]), min_size=1, max_size=3, unique=True)
    ):
        edges = sorted({STARTS_ON, ends_on, *(day for day in draw(st.lists(days, max_size=3)) if day < ends_on)})
        for begin, end in pairwise(edges):
            lines.append(stretch(draw(st.integers(0, 10_000_000)), begin, end, coverage, object_id))
    return tuple(lines)


@given(timelines(), st.lists(days, max_size=6))
def test_earned_premium_never_falls_and_ends_at_what_is_written(
    timeline: tuple[TimelineLine, ...], moments: list[date]
) -> None:
    of = policy(*timeline)
    sums = [earned(of, day) for day in sorted(moments)]
    assert sums == sorted(sums)
    assert earned(of, STARTS_ON) == 0
    assert earned(of, ENDS_ON) == sum(of.written.values())


@given(st.permutations([None, *range(5)]), st.lists(timelines(), min_size=6, max_size=6))
def test_periods_add_up_to_what_is_written_whatever_changes_on_the_way(
    order: list[int | None], versions: list[tuple[TimelineLine, ...]]
) -> None:
    """A new timeline comes before some of the months, as changes of any day are issued at any time."""
    booked: dict[tuple[str, int], Money] = {}
    journals: list[Journal] = []
    period, zero = Period(STARTS_ON), Money.zero("USD")
    for number in [*order, None, None, None, None, None, None]:
        of = policy(*versions[number if number is not None else -1])
        now = earned_by(of, period.ends_on)
        changes = {part: now.get(part, zero) - booked.get(part, zero) for part in {**booked, **now}}
        booked = {**dict.fromkeys(booked, zero), **now}
        journal = premium_earned(f"pol:{period}", Subject(POLICY), period.last_day, changes)
        journals += [journal] if journal else []
        period = Period(period.ends_on)
    assert period == Period(ENDS_ON)
    net = sum(
        item.amount.minor * (1 if item.side is Side.CREDIT else -1)
        for journal in journals
        for item in journal.postings
        if item.account == "4000"
    )
    assert net == sum(written(versions[-1]).values())
