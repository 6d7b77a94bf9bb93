"""The ledger on a real database: what may be read, and what not even SQL can do to it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import grpc
import psycopg
import pytest
import sqlalchemy as sa

from bazaruto.payments.v1 import ledger_pb2 as pb
from libs import ids
from libs.money import Money
from libs.rpc import values
from services.payments.ledger.flows import booking
from services.payments.ledger.rules import posting
from services.payments.ledger.rules.chart import CHART
from services.payments.ledger.rules.journal import JournalConflict, Subject
from tests.integration.payments.house import House, premium
from tests.support.errors import reason_of
from tests.support.people import People

TODAY = datetime.now(UTC).date()


def balances(house: House, day: date | None = None) -> dict[tuple[str, str], int]:
    accounts = house.trial_balance(day).accounts
    return {
        (line.account_code, line.balance.currency_code): values.money_from_proto(line.balance).minor
        for line in accounts
    }


def test_trial_balance_is_told_for_each_currency(house: House, people: People) -> None:
    person = people.customer()
    house.pay(person, house.invoice_of(person))
    house.open(person, premium=premium(5000, 850, currency="JPY"))
    assert balances(house) == {
        ("1010", "EUR"): 1429_00,
        ("1100", "EUR"): 0,
        ("1100", "JPY"): 5850,
        ("1105", "EUR"): 0,
        ("1105", "JPY"): 0,
        ("2000", "EUR"): 1200_00,
        ("2000", "JPY"): 5000,
        ("2100", "EUR"): 204_00,
        ("2100", "JPY"): 850,
        ("4100", "EUR"): 25_00,
    }
    trial_balance = house.trial_balance()
    assert [money.currency_code for money in trial_balance.differences] == ["EUR", "JPY"]
    first = trial_balance.accounts[0]
    assert (first.account_code, first.account_name, first.debits.units, first.credits.units) == (
        "1010",
        "Gateway clearing",
        1429,
        0,
    )
    house.check_money()


def test_trial_balance_counts_until_a_day(house: House, people: People) -> None:
    issued = datetime.now(UTC) - timedelta(days=10)
    house.open(people.customer(), issue_time=values.time_to_proto(issued))
    assert balances(house, issued.date() - timedelta(days=1)) == {}
    assert balances(house, issued.date())[("1105", "EUR")] == 1429_00
    assert balances(house, TODAY + timedelta(days=1))[("1105", "EUR")] == 0
    assert house.trial_balance(issued.date()).as_of_date == values.date_to_proto(issued.date())


def test_empty_books_balance(house: House) -> None:
    trial_balance = house.trial_balance()
    assert not trial_balance.accounts
    assert not trial_balance.differences


def test_journals_are_listed_newest_first(house: House, people: People) -> None:
    person = people.customer()
    billing = house.open(person)
    paid = house.pay(person, billing.installments[0].invoice_id)
    house.open(people.customer())
    admin = people.admin()
    request = pb.ListJournalsRequest(policy_id=billing.policy_id, page_size=2)
    first = house.ledger.ListJournals(request, metadata=admin.metadata())
    assert [journal.rule for journal in first.journals] == ["payment_captured", "invoice_issued"]
    captured = first.journals[0]
    assert captured.source_id == paid.payment_id
    assert captured.policy_id == billing.policy_id
    assert [(line.account_code, line.side, line.amount.units) for line in captured.postings] == [
        ("1010", pb.Posting.SIDE_DEBIT, 1429),
        ("1100", pb.Posting.SIDE_CREDIT, 1429),
    ]
    request.page_token = first.next_page_token
    second = house.ledger.ListJournals(request, metadata=admin.metadata())
    assert [journal.rule for journal in second.journals] == ["policy_changed"]
    assert not second.next_page_token
    everything = house.ledger.ListJournals(pb.ListJournalsRequest(), metadata=admin.metadata())
    assert len(everything.journals) == 5


def test_page_token_of_another_list_is_refused(house: House, people: People) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        house.ledger.ListJournals(pb.ListJournalsRequest(page_token="nonsense"), metadata=people.admin().metadata())
    assert reason_of(refused.value) == "PAGE_TOKEN_INVALID"


def test_customer_does_not_see_the_ledger(house: House, people: People) -> None:
    metadata = people.customer().metadata()
    for call in (
        lambda: house.ledger.GetTrialBalance(pb.GetTrialBalanceRequest(), metadata=metadata),
        lambda: house.ledger.ListJournals(pb.ListJournalsRequest(), metadata=metadata),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            call()
        assert reason_of(refused.value) == "ACCESS_DENIED"


def test_same_journal_again_changes_nothing_and_another_one_conflicts(house: House) -> None:
    now = datetime.now(UTC)
    subject = Subject(policy_id=ids.new(), billing_account_id=ids.new())
    journal = posting.PAYMENT_CAPTURED.journal("pay_1", subject, TODAY, Money(5, "EUR"))
    for _ in range(2):
        with house.database.transaction() as session:
            booking.book(session, journal, now)
    assert house.rows("SELECT count(*) FROM postings") == [(2,)]
    debit, credit = journal.postings
    for other in (
        posting.PAYMENT_CAPTURED.journal("pay_1", subject, TODAY, Money(6, "EUR")),
        posting.PAYMENT_CAPTURED.journal("pay_1", subject, TODAY, Money(5, "USD")),
        replace(journal, subject=replace(subject, policy_id=None)),
        replace(journal, subject=replace(subject, claim_id=ids.new())),
        replace(journal, effective_on=TODAY - timedelta(days=1)),
        replace(journal, written_on=TODAY),
        replace(journal, postings=(replace(debit, term_number=1), credit)),
        replace(journal, postings=(debit, replace(credit, coverage_code="fire"))),
    ):
        with pytest.raises(JournalConflict), house.database.transaction() as session:
            booking.book(session, other, now)


def test_journals_are_found_by_what_they_say(house: House, people: People) -> None:
    admin, now = people.admin().metadata(), datetime.now(UTC)
    about = {name: ids.new() for name in ("policy_id", "billing_account_id", "claim_id", "partner_id")}
    written = TODAY - timedelta(days=3)
    with house.database.transaction() as session:
        for number, rule in enumerate((posting.RECOVERY_RECEIVED, posting.TAX_REMITTED)):
            subject = Subject(**about) if rule is posting.RECOVERY_RECEIVED else Subject()
            journal = rule.journal(f"x_{number}", subject, TODAY, Money(5, "EUR"), written_on=written)
            booking.book(session, journal, now + timedelta(minutes=number))
    fields = {
        "policy_id": ids.encode("pol", about["policy_id"]),
        "billing_account_id": ids.encode("bac", about["billing_account_id"]),
        "claim_id": ids.encode("clm", about["claim_id"]),
        "partner_id": ids.encode("par", about["partner_id"]),
    }

    def find(**criteria: Any) -> list[str]:
        journals = house.ledger.ListJournals(pb.ListJournalsRequest(**criteria), metadata=admin).journals
        return [journal.source_id for journal in journals]

    assert find() == ["x_1", "x_0"]
    for name, value in fields.items():
        assert find(**{name: value}) == ["x_0"]
        assert find(**{name: ids.encode(value[:3], ids.new())}) == []
    assert find(account_code="1120") == find(rule="recovery_received") == find(source_id="x_0") == ["x_0"]
    assert find(account_code="1000") == ["x_1", "x_0"]
    between = values.time_to_proto(now + timedelta(minutes=1))
    assert find(booked_until_time=between) == ["x_0"]
    assert find(booked_from_time=between) == ["x_1"]
    assert find(account_code="1120", rule="tax_remitted") == []
    first = house.ledger.ListJournals(pb.ListJournalsRequest(claim_id=fields["claim_id"]), metadata=admin).journals[0]
    assert {name: getattr(first, name) for name in fields} == fields
    assert first.written_date == values.date_to_proto(written)
    second = house.ledger.ListJournals(pb.ListJournalsRequest(rule="tax_remitted"), metadata=admin).journals[0]
    assert not any(getattr(second, name) for name in fields)


def test_journals_are_found_by_the_trace_of_the_call_that_entered_them(house: House, people: People) -> None:
    admin = people.admin().metadata()
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    metadata = (*house.worker.metadata(), ("traceparent", f"00-{trace_id}-b7ad6b7169203331-01"))
    house.invoices.OpenBilling(house.request(people.customer()), metadata=metadata)
    house.open(people.customer())
    request = pb.ListJournalsRequest(trace_id=trace_id)
    journals = house.ledger.ListJournals(request, metadata=admin).journals
    assert [(journal.rule, journal.trace_id) for journal in journals] == [
        ("invoice_issued", trace_id),
        ("policy_changed", trace_id),
    ]


@pytest.mark.parametrize(
    "criteria", [{"account_code": "11"}, {"claim_id": "clm_x"}, {"trace_id": "A" * 32}, {"rule": "x" * 51}]
)
def test_filter_that_can_match_nothing_is_refused(house: House, people: People, criteria: dict[str, Any]) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        house.ledger.ListJournals(pb.ListJournalsRequest(**criteria), metadata=people.admin().metadata())
    assert reason_of(refused.value) == "INVALID_FIELD"


_JOURNAL = (
    "INSERT INTO journals (id, rule, source_id, policy_id, currency, effective_on, booked_at, lines)"
    " VALUES ('{}', 'by_hand', '{}', gen_random_uuid(), 'EUR', now(), now(), 2)"
)
_POSTING = "INSERT INTO postings (journal_id, line, account_code, side, amount) VALUES ('{}', {}, '{}', '{}', {})"


@pytest.mark.parametrize("lines", [[], [("1010", "debit", 5)], [("1010", "debit", 5), ("1100", "credit", 4)]])
def test_unbalanced_journal_fails_at_commit(house: House, lines: list[tuple[str, str, int]]) -> None:
    journal_id = ids.new()
    with psycopg.connect(house.url) as connection:
        connection.execute(_JOURNAL.format(journal_id, "x"))
        for number, (account, side, amount) in enumerate(lines, 1):
            connection.execute(_POSTING.format(journal_id, number, account, side, amount))
        with pytest.raises(psycopg.errors.CheckViolation, match="does not balance"):
            connection.commit()
    assert house.rows("SELECT count(*) FROM journals") == [(0,)]


def test_journal_cannot_be_added_to_later(house: House, people: People) -> None:
    house.open(people.customer())
    journal_id = house.rows("SELECT id FROM journals")[0][0]
    with psycopg.connect(house.url) as connection:
        for number, side in ((8, "debit"), (9, "credit")):
            connection.execute(_POSTING.format(journal_id, number, "1100", side, 1))
        with pytest.raises(psycopg.errors.CheckViolation, match="does not balance"):
            connection.commit()


@pytest.mark.parametrize(("account", "amount"), [("1010", 0), ("1010", -5), ("9999", 5)])
def test_amount_that_is_not_positive_and_unknown_account_are_refused(house: House, account: str, amount: int) -> None:
    journal_id = ids.new()
    with psycopg.connect(house.url) as connection:
        connection.execute(_JOURNAL.format(journal_id, "x"))
        with pytest.raises((psycopg.errors.CheckViolation, psycopg.errors.ForeignKeyViolation)):
            connection.execute(_POSTING.format(journal_id, 1, account, "debit", amount))


DEBTS = [
    (posting.PAYMENT_OVERPAID, posting.CREDIT_APPLIED, "policy_id"),
    (posting.CREDIT_REFUNDED, posting.REFUND_SUCCEEDED, "policy_id"),
    (posting.CLAIM_APPROVED, posting.PAYOUT_EXECUTED, "claim_id"),
]


def enter(house: House, rule: posting.Rule, subject: Subject, minor: int, currency: str = "EUR") -> None:
    journal = rule.journal(str(ids.new()), subject, TODAY, Money(minor, currency))
    with house.database.transaction() as session:
        booking.book(session, journal, datetime.now(UTC))


@pytest.mark.parametrize(("owe", "pay", "of"), DEBTS)
def test_no_more_is_paid_than_is_owed(house: House, owe: posting.Rule, pay: posting.Rule, of: str) -> None:
    subject, other = Subject(**{of: ids.new()}), Subject(**{of: ids.new()})
    if owe is posting.CREDIT_REFUNDED:
        for about in (subject, other):
            enter(house, posting.PAYMENT_OVERPAID, about, 100)
    enter(house, owe, subject, 60)
    enter(house, owe, other, 100)
    enter(house, pay, subject, 50)
    for minor, currency in ((11, "EUR"), (1, "JPY")):
        with pytest.raises(sa.exc.IntegrityError, match="takes more from account"):
            enter(house, pay, subject, minor, currency)
    enter(house, pay, subject, 10)


def test_two_who_pay_the_last_of_what_is_owed_at_once_do_not_both(house: House) -> None:
    subject = Subject(policy_id=ids.new())
    enter(house, posting.PAYMENT_OVERPAID, subject, 100)

    def pay(_: int) -> bool:
        try:
            enter(house, posting.CREDIT_APPLIED, subject, 60)
        except sa.exc.IntegrityError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(pay, range(4))) == [False, False, False, True]


@pytest.mark.parametrize("table", ["journals", "postings", "accounts"])
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET ctid = ctid", "TRUNCATE {} CASCADE"])
def test_books_cannot_be_changed_even_by_sql(house: House, people: People, table: str, statement: str) -> None:
    house.open(people.customer())
    column = {"journals": "rule", "postings": "side", "accounts": "name"}[table]
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        house.rows(statement.format(table).replace("ctid", column))


def test_database_knows_the_same_accounts_as_the_program(house: House) -> None:
    assert sorted(house.rows("SELECT code, name, normal FROM accounts")) == [
        (account.code, account.name, account.normal.value) for account in CHART.values()
    ]
