"""The ledger's rules: every journal balances, whatever the amounts."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from libs import ids
from libs.money import CurrencyMismatch, Money
from libs.premium import Premium
from services.payments.ledger.rules import posting
from services.payments.ledger.rules.chart import CHART, Side
from services.payments.ledger.rules.journal import Balance, Journal, Posting, differences

DAY = date(2026, 11, 24)
POLICY = ids.new()
amounts = st.integers(0, 10**15)


def usd(minor: int) -> Money:
    return Money(minor, "USD")


def lines(journal: Journal) -> list[tuple[str, str, int]]:
    return [(posting.account, posting.side.value, posting.amount.minor) for posting in journal.postings]


def test_example_policy_of_the_design() -> None:
    premium = Premium(usd(1200_00), usd(204_00), usd(25_00))
    assert lines(posting.policy_issued("ptx_1", POLICY, premium, DAY)) == [
        ("1105", "debit", 1429_00),
        ("2000", "credit", 1200_00),
        ("2100", "credit", 204_00),
        ("4100", "credit", 25_00),
    ]
    assert lines(posting.invoice_issued("inv_1", POLICY, premium.total, DAY)) == [
        ("1100", "debit", 1429_00),
        ("1105", "credit", 1429_00),
    ]
    assert lines(posting.payment_captured("pay_1", POLICY, premium.total, DAY)) == [
        ("1010", "debit", 1429_00),
        ("1100", "credit", 1429_00),
    ]


def test_nothing_is_not_posted() -> None:
    journal = posting.policy_issued("ptx_1", POLICY, Premium(usd(100), usd(0), usd(0)), DAY)
    assert lines(journal) == [("1105", "debit", 100), ("2000", "credit", 100)]


@given(net=amounts, tax=amounts, fees=amounts)
def test_every_journal_balances(net: int, tax: int, fees: int) -> None:
    assume(net + tax + fees > 0)
    premium = Premium(usd(net), usd(tax), usd(fees))
    for journal in (
        posting.policy_issued("ptx_1", POLICY, premium, DAY),
        posting.invoice_issued("inv_1", POLICY, premium.total, DAY),
        posting.payment_captured("pay_1", POLICY, premium.total, DAY),
    ):
        assert journal.sum(Side.DEBIT) == journal.sum(Side.CREDIT) == premium.total
        assert all(posting.amount.minor > 0 for posting in journal.postings)


@pytest.mark.parametrize(
    ("postings", "error"),
    [
        ((), ValueError),
        ((Posting("1010", Side.DEBIT, usd(5)), Posting("1100", Side.CREDIT, usd(4))), ValueError),
        ((Posting("1010", Side.DEBIT, usd(-5)), Posting("1100", Side.CREDIT, usd(-5))), ValueError),
        ((Posting("9999", Side.DEBIT, usd(5)), Posting("1100", Side.CREDIT, usd(5))), ValueError),
        ((Posting("1010", Side.DEBIT, usd(5)), Posting("1100", Side.CREDIT, Money(5, "EUR"))), CurrencyMismatch),
    ],
)
def test_wrong_journal_cannot_be_made(postings: tuple[Posting, ...], error: type[Exception]) -> None:
    with pytest.raises(error):
        Journal("payment_captured", "pay_1", POLICY, DAY, postings)


def test_balance_is_positive_on_the_side_on_which_an_account_grows() -> None:
    assert Balance(CHART["1010"], usd(10), usd(3)).amount == usd(7)
    assert Balance(CHART["2000"], usd(3), usd(10)).amount == usd(7)
    assert Balance(CHART["2000"], usd(10), usd(3)).amount == usd(-7)


def test_differences_are_told_for_each_currency() -> None:
    yen = [Balance(CHART["1010"], Money(5, "JPY"), Money(0, "JPY"))]
    dollars = [Balance(CHART["1010"], usd(5), usd(0)), Balance(CHART["1100"], usd(0), usd(5))]
    assert differences([*dollars, *yen]) == [Money(5, "JPY"), usd(0)]


def test_chart_has_every_account_of_the_design() -> None:
    assert len(CHART) == 28
    debit_normal = "1000 1010 1015 1100 1105 1110 1120 1190 5000 5010 5100 5200 5210 5300 5900".split()
    assert [code for code, account in CHART.items() if account.normal is Side.DEBIT] == debit_normal
