"""Coverages: defaults are filled in, and what is not offered is refused."""

from __future__ import annotations

import pytest

from libs.money import CurrencyMismatch, Money
from libs.premium import Coverage
from services.quotes.catalogue.adapters.reading import read
from services.quotes.rating.rules.coverage import CoverageInvalid, compile_choice
from tests.unit.quotes.samples import small

choose = compile_choice(read(small()))


def eur(minor: int) -> Money:
    return Money(minor, "EUR")


def test_mandatory_coverage_is_added_with_its_defaults() -> None:
    assert choose([]) == (Coverage("house", None, eur(500_00)),)


def test_what_is_not_chosen_of_a_coverage_takes_the_first_that_is_offered() -> None:
    assert choose([Coverage("garden")]) == (
        Coverage("house", None, eur(500_00)),
        Coverage("garden", eur(1000_00), None),
    )


def test_chosen_amounts_are_kept_in_the_order_of_the_offers() -> None:
    choices = [Coverage("garden", eur(2000_00)), Coverage("house", None, eur(0))]
    assert choose(choices) == (Coverage("house", None, eur(0)), Coverage("garden", eur(2000_00)))


@pytest.mark.parametrize(
    "choices",
    [
        [Coverage("pool")],
        [Coverage("")],
        [Coverage("garden", eur(1500_00))],
        [Coverage("house", None, eur(250_00))],
        [Coverage("house", eur(1000_00))],  # has no limit to choose
        [Coverage("garden", None, eur(0))],  # has no deductible to choose
        [Coverage("garden"), Coverage("garden", eur(2000_00))],
    ],
)
def test_what_is_not_offered_is_refused_with_its_coverage(choices: list[Coverage]) -> None:
    with pytest.raises(CoverageInvalid) as caught:
        choose(choices)
    assert caught.value.metadata == {"coverage": choices[0].code}


def test_amount_in_another_currency_is_refused() -> None:
    with pytest.raises(CurrencyMismatch) as caught:
        choose([Coverage("garden", Money(1000_00, "USD"))])
    assert caught.value.metadata == {"expected": "EUR", "actual": "USD"}


def test_nothing_chosen_of_a_product_without_mandatory_coverage_is_refused() -> None:
    optional = compile_choice(read(small(lambda document: document["coverages"][0].update(mandatory=False))))
    with pytest.raises(CoverageInvalid):
        optional([])
