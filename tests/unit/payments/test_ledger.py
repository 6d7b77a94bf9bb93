"""The ledger's rules: every journal balances, whatever the amounts."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs import ids
from libs.money import CurrencyMismatch, Money
from libs.premium import ChargeLine, LineKind
from services.payments.ledger.rules import posting
from services.payments.ledger.rules.balance import Balance, differences
from services.payments.ledger.rules.changing import INCOME, POLICY_CHANGED, Credited, policy_changed
from services.payments.ledger.rules.chart import CHART, Side
from services.payments.ledger.rules.journal import Journal, Posting, Subject
from tests.support import guide

DAY = date(2026, 11, 24)
ABOUT = Subject(policy_id=ids.new())
# The events of the example behind the purchase: what happens, its amounts, the debits and the credits.
EXAMPLE: list[tuple[posting.Rule, tuple[int, ...], tuple[list[tuple[str, int]], list[tuple[str, int]]]]] = [
    (posting.COMMISSION_ACCRUED, (180_00,), ([("1190", 180_00)], [("2200", 180_00)])),
    (posting.INVOICE_ISSUED, (1429_00,), ([("1100", 1429_00)], [("1105", 1429_00)])),
    (posting.PAYMENT_CAPTURED, (1429_00,), ([("1010", 1429_00)], [("1100", 1429_00)])),
    (posting.PAYMENT_OVERPAID, (30_00,), ([("1010", 30_00)], [("2300", 30_00)])),
    (posting.CREDIT_APPLIED, (30_00,), ([("2300", 30_00)], [("1100", 30_00)])),
    (
        posting.PROVIDER_SETTLED,
        (1387_26, 41_74),
        ([("1000", 1387_26), ("5200", 41_74)], [("1010", 1429_00)]),
    ),
    (posting.PREMIUM_EARNED, (101_92,), ([("2000", 101_92)], [("4000", 101_92)])),
    (posting.COMMISSION_EXPENSED, (15_29,), ([("5100", 15_29)], [("1190", 15_29)])),
    (posting.COMMISSION_PAID, (180_00,), ([("2200", 180_00)], [("1000", 180_00)])),
    (posting.COMMISSION_CLAWED_BACK, (0, 90_74), ([("1110", 90_74)], [("1190", 90_74)])),
    (posting.REFUND_SUCCEEDED, (707_77,), ([("2310", 707_77)], [("1010", 707_77)])),
    (posting.REFUND_FAILED, (707_77,), ([("1010", 707_77)], [("2310", 707_77)])),
    (
        posting.DISPUTE_OPENED,
        (1429_00, 15_00),
        ([("1015", 1429_00), ("5210", 15_00)], [("1010", 1444_00)]),
    ),
    (posting.DISPUTE_WON, (1429_00,), ([("1010", 1429_00)], [("1015", 1429_00)])),
    (posting.DISPUTE_LOST, (1429_00,), ([("1100", 1429_00)], [("1015", 1429_00)])),
    (posting.INVOICE_WRITTEN_OFF, (95_07,), ([("5300", 95_07)], [("1100", 95_07)])),
    (posting.RESERVE_RAISED, (10000_00,), ([("5000", 10000_00)], [("2400", 10000_00)])),
    (posting.CLAIM_APPROVED, (7600_00,), ([("2400", 7600_00)], [("2410", 7600_00)])),
    (posting.PAYOUT_EXECUTED, (7600_00,), ([("2410", 7600_00)], [("1000", 7600_00)])),
    (posting.PAYOUT_RETURNED, (7600_00,), ([("1000", 7600_00)], [("2410", 7600_00)])),
    (posting.RESERVE_RELEASED, (2400_00,), ([("2400", 2400_00)], [("5000", 2400_00)])),
    (posting.RECOVERY_BOOKED, (1500_00,), ([("1120", 1500_00)], [("5000", 1500_00)])),
    (posting.RECOVERY_RECEIVED, (1500_00,), ([("1000", 1500_00)], [("1120", 1500_00)])),
    (posting.TAX_REMITTED, (204_00,), ([("2100", 204_00)], [("1000", 204_00)])),
    (
        posting.POLICY_BROKERED,
        (1080_00, 120_00),
        ([("1105", 1200_00)], [("2500", 1080_00), ("4200", 120_00)]),
    ),
]
amounts = st.integers(0, 10**15)


def usd(minor: int) -> Money:
    return Money(minor, "USD")


def lines(journal: Journal) -> list[tuple[str, str, int]]:
    return [(posting.account, posting.side.value, posting.amount.minor) for posting in journal.postings]


def event(rule: posting.Rule, *amounts: int) -> list[tuple[str, str, int]]:
    return lines(rule.journal("x_1", ABOUT, DAY, *(usd(amount) for amount in amounts)))


def line(kind: LineKind, minor: int, code: str = "", term: int = 1) -> ChargeLine:
    coverage = code if kind in (LineKind.PREMIUM, LineKind.RETENTION) else ""
    return ChargeLine(kind, usd(minor), DAY, DAY, coverage, "" if coverage else code, term_number=term)


def changed(*change: ChargeLine, credited: Credited | None = None) -> list[tuple[str, str, int]]:
    journal = policy_changed("ptx_1", ABOUT, DAY, change, credited=credited)
    return lines(journal) if journal else []


def given_back(unbilled: int = 0, invoiced: int = 0, balance: int = 0, refund: int = 0) -> Credited:
    return Credited(usd(unbilled), usd(invoiced), usd(balance), usd(refund))


def test_example_policy_of_the_design() -> None:
    premium, tax, fee = line(LineKind.PREMIUM, 1200_00, "own_damage"), line(LineKind.TAX, 204_00, "tax"), LineKind.FEE
    assert changed(premium, tax, line(fee, 25_00, "policy_fee")) == [
        ("1105", "debit", 1429_00),
        ("2000", "credit", 1200_00),
        ("2100", "credit", 204_00),
        ("4100", "credit", 25_00),
    ]
    for rule, amounts, expected in EXAMPLE:
        debited, credited = expected
        assert event(rule, *amounts) == [
            *((account, "debit", minor) for account, minor in debited),
            *((account, "credit", minor) for account, minor in credited),
        ], rule.name


def test_example_policy_is_endorsed_and_cancelled() -> None:
    assert changed(line(LineKind.PREMIUM, 151_23, "own_damage"), line(LineKind.TAX, 25_71, "tax")) == [
        ("1105", "debit", 176_94),
        ("2000", "credit", 151_23),
        ("2100", "credit", 25_71),
    ]
    pro_rata = (line(LineKind.PREMIUM, -604_93, "own_damage"), line(LineKind.TAX, -102_84, "tax"))
    assert changed(*pro_rata, credited=given_back(refund=707_77)) == [
        ("2000", "debit", 604_93),
        ("2100", "debit", 102_84),
        ("2310", "credit", 707_77),
    ]
    assert changed(*pro_rata, credited=given_back(unbilled=357_24, invoiced=119_08, refund=231_45)) == [
        ("2000", "debit", 604_93),
        ("2100", "debit", 102_84),
        ("1105", "credit", 357_24),
        ("1100", "credit", 119_08),
        ("2310", "credit", 231_45),
    ]
    retention = line(LineKind.RETENTION, 60_49, "own_damage")
    assert changed(pro_rata[0], line(LineKind.TAX, -92_55), retention, credited=given_back(balance=636_99)) == [
        ("2000", "debit", 604_93),
        ("2100", "debit", 92_55),
        ("2300", "credit", 636_99),
        ("4110", "credit", 60_49),
    ]


def test_lines_are_posted_by_coverage_tax_code_and_term() -> None:
    change = (
        line(LineKind.PREMIUM, 10, "fire"),
        line(LineKind.PREMIUM, 5, "fire"),
        line(LineKind.PREMIUM, 7, "fire", 2),
        line(LineKind.PREMIUM, 3, "theft"),
        line(LineKind.PREMIUM, -3, "theft"),
        line(LineKind.TAX, 2, "premium_tax"),
        line(LineKind.TAX, 1, "levy"),
    )
    journal = policy_changed("ptx_1", ABOUT, DAY, change, written_on=DAY)
    assert journal is not None
    assert journal.written_on == DAY
    assert [(p.account, p.coverage_code, p.tax_code, p.term_number, p.amount.minor) for p in journal.postings] == [
        ("1105", "", "", 0, 25),
        ("2000", "fire", "", 1, 15),
        ("2000", "fire", "", 2, 7),
        ("2100", "", "premium_tax", 1, 2),
        ("2100", "", "levy", 1, 1),
    ]


def test_change_that_moves_no_money_is_not_posted() -> None:
    assert changed() == []
    assert changed(line(LineKind.PREMIUM, 5, "fire"), line(LineKind.PREMIUM, -5, "fire")) == []
    assert changed(line(LineKind.PREMIUM, 5, "fire"), line(LineKind.PREMIUM, -5, "theft")) == [
        ("2000", "debit", 5),
        ("2000", "credit", 5),
    ]


@pytest.mark.parametrize("credited", [given_back(unbilled=4), given_back(unbilled=6, refund=-1)])
def test_what_is_credited_is_exactly_what_is_given_back(credited: Credited) -> None:
    with pytest.raises(ValueError, match=r"(?:is not what is|less than nothing)"):
        changed(line(LineKind.PREMIUM, -5, "fire"), credited=credited)


kinds = st.sampled_from(LineKind)
changes = st.lists(st.builds(line, kinds, st.integers(-(10**12), 10**12), st.sampled_from("abc"), st.integers(1, 2)))


@given(change=changes, shares=st.tuples(*[st.integers(0, 100)] * 4))
def test_every_change_balances_and_gives_back_what_was_charged(
    change: list[ChargeLine], shares: tuple[int, int, int, int]
) -> None:
    sum_of_lines = sum(each.amount.minor for each in change)
    credited = None
    if sum_of_lines < 0 and any(shares):
        credited = Credited(*usd(-sum_of_lines).split(shares))
    journal = policy_changed("ptx_1", ABOUT, DAY, change, credited=credited)
    owed = ("1105", "1100", "2300", "2310")
    for posted in () if journal is None else (journal,):
        assert posted.sum(Side.DEBIT) == posted.sum(Side.CREDIT)
        assert sum(signed(each) for each in posted.postings if each.account in owed) == sum_of_lines
        for kind, account in INCOME.items():
            of_kind = sum(each.amount.minor for each in change if each.kind is kind)
            assert -sum(signed(each) for each in posted.postings if each.account == account) == of_kind


def signed(each: Posting) -> int:
    return each.amount.minor if each.side is Side.DEBIT else -each.amount.minor


def test_nothing_is_not_posted() -> None:
    assert event(posting.POLICY_ISSUED, 100, 0, 0) == [("1105", "debit", 100), ("2000", "credit", 100)]
    with pytest.raises(ValueError, match="does not balance"):
        event(posting.INVOICE_ISSUED, 0)


@given(data=st.data(), rule=st.sampled_from(posting.RULES))
def test_every_journal_of_a_rule_balances(data: st.DataObject, rule: posting.Rule) -> None:
    each = data.draw(st.lists(amounts, min_size=len(rule.transfers), max_size=len(rule.transfers)).filter(any))
    journal = rule.journal("x_1", ABOUT, DAY, *map(usd, each))
    assert journal.sum(Side.DEBIT) == journal.sum(Side.CREDIT) == usd(sum(each))
    assert all(posting.amount.minor > 0 for posting in journal.postings)


def test_rules_have_names_of_their_own() -> None:
    names = [rule.name for rule in posting.RULES]
    assert len({*names, POLICY_CHANGED}) == len(names) + 1


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
        Journal("payment_captured", "pay_1", ABOUT, DAY, postings)


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


def test_document_shows_the_chart_and_the_rules() -> None:
    rows = [
        [cell.strip(" `") for cell in row.strip("|").split("|")]
        for row in (guide.DOCS / "ledger.md").read_text().splitlines()
        if row.startswith("|")
    ]
    assert [row for row in rows if row[0] in CHART] == [
        [account.code, account.name, account.normal.value] for account in CHART.values()
    ]
    assert [row for row in rows if row[1] == POLICY_CHANGED] == [
        [kind.value, POLICY_CHANGED, account] for kind, account in INCOME.items()
    ]
    names = {rule.name for rule in posting.RULES}
    assert [row for row in rows if row[1] in names] == [
        [
            rule.event,
            rule.name,
            "; ".join(transfer.debit for transfer in rule.transfers),
            "; ".join(transfer.credit for transfer in rule.transfers),
        ]
        for rule in posting.RULES
    ]
