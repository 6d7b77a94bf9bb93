"""The impact of a version: what is counted of risks that were priced before and are priced again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.errors import Refused
from services.quotes.impact.flows.rating_again import rate_again
from services.quotes.impact.rules.impact import EDGES, LARGEST, Before, Change, Impact, bucket_of, ends_of
from services.quotes.impact.rules.rate_change import RateChange
from services.quotes.impact.store import rate_changes
from services.quotes.quoting.rules.approval import Approval
from services.quotes.quoting.rules.calculation import compile_calculator
from services.quotes.quoting.rules.underwriting import Outcome
from services.quotes.quoting.store.portfolio import PricedQuote
from services.quotes.rating.rules.answers import AnswerInvalid
from services.quotes.rating.rules.loading import Loading
from services.quotes.rating.rules.pricing import Risk
from tests.unit.quotes.samples import NOW, calculate, small_tariff

AMOUNTS = st.integers(0, 10**9)
APPROVED = Before(UUID(int=1), "Q-2026-000001", "EUR", 100_00, [("driver_age", 60_00)], Outcome.APPROVED, frozenset())


@given(AMOUNTS, AMOUNTS)
def test_change_lies_between_the_ends_of_its_bucket(old: int, new: int) -> None:
    near, far = ends_of(bucket_of(old, new))
    if old == 0:
        assert (near, far) == ((0, 0) if new == 0 else (100, None))
        return
    percent = Fraction(new - old, old) * 100
    if percent == 0:
        assert (near, far) == (0, 0)
    else:
        sign = 1 if percent > 0 else -1
        assert near * sign >= 0
        assert near * sign < percent * sign
        assert far is None or percent * sign <= far * sign


@pytest.mark.parametrize("edge", EDGES[1:])
def test_change_of_just_an_edge_is_in_the_bucket_that_is_nearer_to_none(edge: int) -> None:
    for old in (100, 300, 10**15 + 700):
        old -= old % 100
        up = old + old // 100 * edge
        assert ends_of(bucket_of(old, up))[1] == edge
        assert ends_of(bucket_of(old, up + 1))[0] == edge
        assert ends_of(bucket_of(old, old - old // 100 * edge))[1] == -edge


@given(st.lists(st.tuples(AMOUNTS, AMOUNTS), max_size=60))
def test_ten_largest_each_way_are_kept(totals: list[tuple[int, int]]) -> None:
    impact = Impact()
    after = calculate("motor")
    for number, (old, new) in enumerate(totals):
        price = after.risk.price._replace(net=new, tax=0, fees=0)
        impact.add(
            APPROVED._replace(quote_id=UUID(int=number), total=old),
            replace(after, risk=replace(after.risk, price=price)),
        )
    changes = [Change(UUID(int=number), APPROVED.number, *pair) for number, pair in enumerate(totals)]
    dearer = sorted((change for change in changes if change.amount > 0), key=lambda change: -change.amount)
    cheaper = sorted((change for change in changes if change.amount < 0), key=lambda change: change.amount)
    assert impact.increases == dearer[:LARGEST]
    assert impact.decreases == cheaper[:LARGEST]
    assert sum(impact.buckets.values()) == len(totals) == impact.seen
    assert impact.new_total - impact.old_total == sum(change.amount for change in changes)


def test_each_step_is_added_up_before_and_after() -> None:
    impact = Impact()
    after = calculate("motor")
    impact.add(APPROVED, after)
    impact.add(APPROVED, after)
    ages = sum(step.amount for step in after.risk.price.steps if step.name == "driver_age")
    assert len([step for step in after.risk.price.steps if step.name == "driver_age"]) == 2  # it is on two coverages
    factor = impact.factors["driver_age"]
    assert (factor.risks, factor.old, factor.new) == (2, 120_00, 2 * ages)
    assert sum(factor.new for factor in impact.factors.values()) == 2 * after.risk.price.total


def test_rules_count_that_did_not_meet_the_quote_before() -> None:
    impact = Impact()
    taxi = calculate("motor", use="taxi")
    impact.add(APPROVED, taxi)
    impact.add(APPROVED._replace(outcome=Outcome.REFERRED, rules=frozenset({"taxi"})), taxi)
    impact.add(APPROVED, calculate("motor", driver_age=17, licence_years=0))
    assert impact.rules == Counter({("taxi", Outcome.REFERRED): 1, ("driver_too_young", Outcome.DECLINED): 1})
    assert impact.decisions == Counter(
        {
            (Outcome.APPROVED, Outcome.REFERRED): 1,
            (Outcome.REFERRED, Outcome.REFERRED): 1,
            (Outcome.APPROVED, Outcome.DECLINED): 1,
        }
    )


def test_what_cannot_be_rated_is_told_by_reason_and_by_what_it_is_about() -> None:
    impact = Impact()
    for question in ("roof", "roof", "dog"):
        impact.add_unrated(AnswerInvalid("no", question=question))
    impact.add_unrated(Refused())
    impact.add(APPROVED._replace(currency="MZN"), calculate("motor"))
    assert sorted((*cause, count) for cause, count in impact.unrated.items()) == [
        ("ANSWER_INVALID", "dog", 1),
        ("ANSWER_INVALID", "roof", 2),
        ("CURRENCY_MISMATCH", "EUR", 1),
        ("ERROR_REASON_UNSPECIFIED", "", 1),
    ]
    assert (impact.seen, impact.old_total, sum(impact.buckets.values())) == (5, 0, 0)


def test_what_an_underwriter_approved_and_added_stays_as_it_was() -> None:
    tariff = small_tariff()
    risk = Risk({"area": 100, "roof": "straw", "dog": False}, (), date(2026, 12, 1))
    approval = Approval(("straw",), (Loading("", Decimal("0.1")),))
    price = tariff.load(tariff.price_from(risk, date(2026, 12, 1)).price, approval.loadings, date(2026, 12, 1))
    assert price.total > tariff.price_from(risk, date(2026, 12, 1)).price.total
    steps = [(step.name, step.amount) for step in price.steps]
    quote = PricedQuote(
        UUID(int=1), "Q-1", date(2026, 12, 1), risk, "EUR", price.total, steps, Outcome.APPROVED,
        frozenset({"straw"}), approval,
    )  # fmt: skip
    impact = Impact()
    rate_again(impact, compile_calculator(tariff.product), [quote])
    assert impact.buckets == Counter({0: 1})
    assert impact.decisions == Counter({(Outcome.APPROVED, Outcome.APPROVED): 1})
    assert impact.rules == Counter()
    assert all(factor.old == factor.new for factor in impact.factors.values())


def test_memory_stays_small_however_many_causes_there_are() -> None:
    impact = Impact()
    for number in range(1000):
        impact.add_unrated(AnswerInvalid("no", question=f"question_{number}"))
    assert len(impact.unrated) == 51
    assert sum(impact.unrated.values()) == 1000


@given(st.lists(st.tuples(AMOUNTS, st.sampled_from(["use", "driver_age"])), max_size=5))
def test_what_was_found_comes_back_from_its_row(changes: Sequence[tuple[int, str]]) -> None:
    impact = Impact()
    for total, question in changes:
        impact.add(APPROVED._replace(total=total), calculate("motor", use="taxi"))
        impact.add_unrated(AnswerInvalid("no", question=question))
    made = RateChange(
        UUID(int=1), "motor", 2, True, UUID(int=2), NOW, "EUR", 7, UUID(int=3), 5, UUID(int=4), None, impact
    )
    row = rate_changes.row_from_rate_change(made)
    assert rate_changes.rate_change_from_row(_Row(row)) == made
    assert Decimal(row["impact"]["new_total"]) == impact.new_total


class _Row:
    """A row with a column for each value."""

    def __init__(self, values: dict[str, object]) -> None:
        self.__dict__.update(values)
