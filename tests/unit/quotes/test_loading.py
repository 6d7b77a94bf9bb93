"""Loadings: exact, explained, and the same money as the formula on paper."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.premium import LineKind
from services.quotes.rating.rules.loading import STEP, Loading
from services.quotes.rating.rules.price import Price
from tests.unit.quotes.samples import calculate, calculator

BASE = calculate("motor").risk
COVERAGES = [coverage.code for coverage in BASE.coverages]


def load(*loadings: Loading) -> Price:
    return calculator("motor").tariff.load(BASE.price, loadings, BASE.starts_on)


def test_price_without_loadings_is_the_price() -> None:
    assert load() == BASE.price


def test_loading_on_everything_multiplies_the_net_and_its_taxes() -> None:
    loaded = load(Loading("", Decimal("0.25")))
    assert loaded.net == round(Fraction(BASE.price.net) * Fraction(5, 4))
    assert loaded.fees == BASE.price.fees
    step = next(step for step in loaded.steps if step.name == STEP)
    assert (step.kind, step.coverage_code, step.factor) == ("loading", "", "0.25")
    assert step.amount == loaded.net - BASE.price.net


@settings(max_examples=60)
@given(
    st.lists(
        st.builds(
            Loading,
            st.sampled_from(["", *COVERAGES]),
            st.decimals(Decimal("0.0001"), Decimal("9.9999"), places=4, allow_nan=False),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_lines_and_steps_add_up_and_the_net_is_rounded_once(loadings: list[Loading]) -> None:
    loaded = load(*loadings)
    exact = Fraction(0)
    for line in BASE.price.lines:
        if line.kind is LineKind.PREMIUM:
            value = Fraction(line.amount)
            for loading in loadings:
                if loading.coverage_code in ("", line.coverage_code):
                    value *= 1 + Fraction(loading.rate)
            exact += value
    assert loaded.net == round(exact)  # Python rounds half to even
    amounts = {kind: sum(line.amount for line in loaded.lines if line.kind is kind) for kind in LineKind}
    assert (amounts[LineKind.PREMIUM], amounts[LineKind.TAX], amounts[LineKind.FEE]) == (
        loaded.net,
        loaded.tax,
        loaded.fees,
    )
    assert sum(step.amount for step in loaded.steps) == loaded.total
    assert [step.name for step in loaded.steps].count(STEP) == len(loadings)
