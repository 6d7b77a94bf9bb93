"""Refunds of what transactions of policies give back, on a real server, a real database and the sandbox provider."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from prometheus_client import REGISTRY
from psycopg.rows import dict_row

from bazaruto.payments.v1 import billing_pb2 as pb
from bazaruto.payments.v1 import ledger_pb2
from bazarutod.doctor.databases import PROBES
from libs import clock, ids
from libs.calendar import day_of
from libs.config import Settings
from libs.rpc import values
from libs.telemetry import metrics
from services.payments.billing.kinds import ReleaseRefund
from services.payments.collection.flows import refunding, watching
from tests.integration.payments.house import House
from tests.integration.payments.test_accounts import statement_of
from tests.integration.payments.test_applying import Contract, Kind, contract, line, minor
from tests.support.people import People

__all__ = ["contract"]

TODAY = day_of(datetime.now(UTC), "Africa/Maputo")
PRO_RATA = (
    line(Kind.KIND_PREMIUM, -604_93, "own_damage"),
    line(Kind.KIND_TAX, -102_84, "premium_tax"),
)
BACK = tuple(line(item.kind, -minor(item.amount), item.coverage_code or item.charge_code) for item in PRO_RATA)
LATER = datetime.now(UTC) + timedelta(hours=1)


def paid(contract: Contract, card: str = "pm_card_ok", installments: int = 1) -> Contract:
    """The contract, with its first invoice paid."""
    (invoice,) = contract.issue(installments).invoices
    contract.house.pay(contract.person, invoice.invoice_id, card)
    return contract


def cancel(contract: Contract, **changes: Any) -> pb.AppliedTransaction:
    """Cancel it for half of the term, from today on unless it says otherwise."""
    changes = {"effective_date": values.date_to_proto(TODAY), **changes}
    return contract.apply("CANCELLATION", *PRO_RATA, **changes)


def refund_id_of(applied: pb.AppliedTransaction) -> UUID:
    return ids.decode("rfd", applied.refund_id)


def paid_out(applied: pb.AppliedTransaction) -> int:
    return minor(applied.refund) if applied.HasField("refund") else 0


def not_before(applied: pb.AppliedTransaction) -> date | None:
    return values.optional_date(applied, "refund_not_before_date")


def release(house: House, applied: pb.AppliedTransaction, now: datetime | None = None) -> None:
    refunding.release(house.database, house.provider, refund_id_of(applied), now or datetime.now(UTC))


def settle(house: House, attempt: int = 0) -> None:
    """What the jobs do that look after every part of a refund."""
    for (part_id,) in house.rows("SELECT id FROM refund_parts ORDER BY id"):
        refunding.settle(house.database, house.provider, part_id, attempt, LATER)


def states(house: House) -> list[tuple[str, str]]:
    return house.rows(
        "SELECT refunds.status, part.status FROM refunds JOIN refund_parts AS part ON refund_id = refunds.id"
        " ORDER BY refunds.id, part.id"
    )


def check_ledger(contract: Contract) -> None:
    """Billing and the ledger say the same of the policy, and what was paid back is what the provider paid back."""
    metadata = contract.house.people.admin().metadata()
    request = ledger_pb2.GetPolicyLedgerRequest(policy_id=contract.policy_id)
    proof = contract.house.ledger.GetPolicyLedger(request, metadata=metadata)
    assert {item.item: minor(item.difference) for item in proof.lines if minor(item.difference)} == {}
    sent = contract.house.rows("SELECT refund_id, amount FROM sandbox_refunds WHERE status = 'refunded' ORDER BY 1")
    assert sent == contract.house.rows("SELECT id, amount FROM refund_parts WHERE status = 'succeeded' ORDER BY 1")


def test_pro_rata_cancellation_of_a_policy_that_is_fully_paid_is_paid_back(contract: Contract) -> None:
    applied = cancel(paid(contract))
    assert (minor(applied.credited), paid_out(applied)) == (707_77, 707_77)
    assert not_before(applied) == TODAY
    assert contract.balances() == {"1010": 1429_00, "2000": 595_07, "2100": 101_16, "2310": 707_77, "4100": 25_00}
    journal = "SELECT account_code, side, amount FROM postings JOIN journals ON journals.id = journal_id"
    journal += f" WHERE source_id = '{ids.encode('ptx', last_transaction(contract))}' ORDER BY line"
    assert contract.house.rows(journal) == [
        ("2000", "debit", 604_93),
        ("2100", "debit", 102_84),
        ("2310", "credit", 707_77),
    ]
    assert "payments.release_refund" in contract.house.work()
    assert states(contract.house) == [("succeeded", "succeeded")]
    assert contract.balances() == {"1010": 721_23, "2000": 595_07, "2100": 101_16, "4100": 25_00}
    assert [minor(entry.amount) for entry in statement_of(contract).entries] == [1429_00, -1429_00, -707_77, 707_77]
    assert minor(statement_of(contract).closing_balance) == 0
    ((payment_id,),) = contract.house.rows("SELECT id FROM payments")
    shown = contract.house.get_payment(contract.person, ids.encode("pay", payment_id))
    assert (minor(shown.amount), minor(shown.refunded_amount)) == (1429_00, 707_77)
    check_ledger(contract)


def last_transaction(contract: Contract) -> UUID:
    ((transaction_id,),) = contract.house.rows(
        "SELECT transaction_id FROM applied_transactions ORDER BY sequence DESC LIMIT 1"
    )
    return UUID(str(transaction_id))


def test_refund_waits_for_the_day_on_which_cover_ends(contract: Contract) -> None:
    ends_on = TODAY + timedelta(days=20)
    applied = cancel(paid(contract), effective_date=values.date_to_proto(ends_on))
    assert not_before(applied) == ends_on
    release(contract.house, applied)
    assert states(contract.house) == [("approved", "waiting")]
    ((at,),) = contract.house.rows(
        "SELECT args->>'_at' FROM procrastinate_jobs WHERE task_name = 'payments.release_refund'"
    )
    assert day_of(datetime.fromisoformat(str(at)), "Africa/Maputo") == ends_on
    release(contract.house, applied, datetime.now(UTC) + timedelta(days=21))
    assert states(contract.house) == [("succeeded", "succeeded")]
    check_ledger(contract)


def test_policies_may_say_on_which_day_a_refund_is_paid(contract: Contract) -> None:
    day = TODAY + timedelta(days=3)
    applied = cancel(paid(contract), refund_not_before_date=values.date_to_proto(day))
    assert not_before(applied) == day


@pytest.mark.parametrize(
    ("timing", "credit", "refund"),
    [
        (pb.Schedule.CREDIT_TIMING_UNSPECIFIED, 100_00, 0),
        (pb.Schedule.CREDIT_TIMING_ACCOUNT, 100_00, 0),
        (pb.Schedule.CREDIT_TIMING_REFUND, 0, 100_00),
    ],
)
def test_what_a_change_gives_back_stays_or_is_paid_out_as_the_product_says(
    contract: Contract, timing: pb.Schedule.CreditTiming.ValueType, credit: int, refund: int
) -> None:
    paid(contract)
    back = line(Kind.KIND_PREMIUM, -100_00, "own_damage")
    applied = contract.apply("ENDORSEMENT", back, schedule=pb.Schedule(credit_timing=timing))
    assert (minor(applied.credited), paid_out(applied)) == (100_00, refund)
    assert (contract.balances().get("2300", 0), contract.balances().get("2310", 0)) == (credit, refund)
    check_ledger(contract)


def test_cancellation_pays_the_credit_out_that_was_there_before(contract: Contract) -> None:
    paid(contract)
    contract.apply("ENDORSEMENT", line(Kind.KIND_PREMIUM, -100_00, "own_damage"))
    applied = cancel(contract)
    assert (minor(applied.credited), paid_out(applied)) == (707_77, 807_77)
    assert contract.house.rows("SELECT count(*) FROM journals WHERE rule = 'credit_refunded'") == [(1,)]
    contract.house.work()
    assert contract.balances() == {"1010": 621_23, "2000": 495_07, "2100": 101_16, "4100": 25_00}
    check_ledger(contract)


def test_cancellation_that_is_not_fully_paid_pays_back_what_is_left(contract: Contract) -> None:
    paid(contract, installments=2)  # 727.00 paid, 702.00 planned
    applied = cancel(contract)
    assert (minor(applied.credited), paid_out(applied), len(applied.planned)) == (5_77, 5_77, 0)
    contract.house.work()
    check_ledger(contract)


def test_nothing_is_paid_back_that_was_not_paid(contract: Contract) -> None:
    contract.issue()
    applied = cancel(contract)
    assert (paid_out(applied), applied.refund_id, minor(applied.balance_due)) == (0, "", 721_23)
    assert not applied.HasField("refund_not_before_date")
    check_ledger(contract)


def test_refund_goes_back_to_the_newest_payments_first(contract: Contract) -> None:
    paid(contract)
    (invoice,) = contract.apply("ENDORSEMENT", line(Kind.KIND_PREMIUM, 200_00, "own_damage")).invoices
    contract.house.pay(contract.person, invoice.invoice_id)
    cancel(contract)
    parts = (
        "SELECT part.amount FROM refund_parts AS part JOIN payments ON payments.id = payment_id ORDER BY payments.id"
    )
    assert contract.house.rows(parts) == [(507_77,), (200_00,)]
    contract.house.work()
    assert states(contract.house) == [("succeeded", "succeeded")] * 2
    check_ledger(contract)


def test_reversal_takes_a_refund_back_that_was_not_sent(contract: Contract) -> None:
    cancelled = cancel(paid(contract), effective_date=values.date_to_proto(TODAY + timedelta(days=20)))
    applied = contract.apply("REVERSAL", *BACK, reverses_transaction_id=ids.encode("ptx", last_transaction(contract)))
    assert (minor(applied.balance_due), paid_out(applied)) == (0, 0)
    assert states(contract.house) == [("returned", "returned")]
    release(contract.house, cancelled, datetime.now(UTC) + timedelta(days=30))
    assert contract.house.provider.paid_back == []
    assert contract.balances() == {"1010": 1429_00, "2000": 1200_00, "2100": 204_00, "4100": 25_00}
    check_ledger(contract)


def test_what_a_refund_took_that_was_sent_is_due_again(contract: Contract) -> None:
    cancel(paid(contract))
    contract.house.work()
    applied = contract.apply("REINSTATEMENT", *BACK)
    assert minor(applied.balance_due) == 707_77
    assert states(contract.house) == [("succeeded", "succeeded")]
    check_ledger(contract)


def test_rest_of_a_refund_is_paid_out_when_cover_goes_on_with_a_gap(contract: Contract) -> None:
    ends_on = TODAY + timedelta(days=20)
    cancel(paid(contract), effective_date=values.date_to_proto(ends_on))
    applied = contract.apply("REINSTATEMENT", line(Kind.KIND_PREMIUM, 500_00, "own_damage"))
    assert (minor(applied.balance_due), paid_out(applied)) == (0, 207_77)
    assert not_before(applied) == ends_on
    check_ledger(contract)


def test_earlier_cancellation_pays_all_of_it_on_its_day(contract: Contract) -> None:
    cancel(paid(contract), effective_date=values.date_to_proto(TODAY + timedelta(days=20)))
    applied = contract.apply(
        "CANCELLATION",
        line(Kind.KIND_PREMIUM, -50_00, "own_damage"),
        effective_date=values.date_to_proto(TODAY + timedelta(days=2)),
    )
    assert paid_out(applied) == 757_77
    assert not_before(applied) == TODAY + timedelta(days=2)
    assert states(contract.house) == [("returned", "returned"), ("approved", "waiting")]
    check_ledger(contract)


def test_money_that_arrives_after_a_cancellation_is_paid_back(contract: Contract) -> None:
    (invoice,) = contract.issue().invoices
    waiting = contract.house.pay(contract.person, invoice.invoice_id, "pm_card_action")
    back = [line(Kind.KIND_PREMIUM, -1200_00, "own_damage"), line(Kind.KIND_TAX, -204_00, "premium_tax")]
    contract.apply("CANCELLATION", *back, effective_date=values.date_to_proto(TODAY))
    contract.house.confirm(contract.person, waiting.payment_id)
    assert contract.balances()["2300"] == 1404_00
    contract.house.work()
    assert contract.balances() == {"1010": 25_00, "4100": 25_00}
    check_ledger(contract)


def test_overpaid_credit_of_a_policy_that_goes_on_stays(contract: Contract) -> None:
    (invoice,) = contract.issue().invoices
    waiting = contract.house.pay(contract.person, invoice.invoice_id, "pm_card_action")
    contract.apply("ENDORSEMENT", line(Kind.KIND_PREMIUM, -500_00, "own_damage"))
    contract.house.confirm(contract.person, waiting.payment_id)
    contract.house.work()
    assert contract.balances()["2300"] == 500_00


@pytest.mark.parametrize(
    ("card", "code"),
    [("pm_card_refund_declined", "refund_declined"), ("pm_card_refund_expired", "method_expired")],
)
def test_refund_that_fails_stays_owed(contract: Contract, card: str, code: str) -> None:
    release(contract.house, cancel(paid(contract, card)))
    assert states(contract.house) == [("failed", "failed")]
    assert contract.house.rows("SELECT failure_code FROM refund_parts") == [(code,)]
    assert contract.balances()["2310"] == 707_77
    check_ledger(contract)


def _age_of_oldest(house: House) -> float:
    """How old the worker's page says that the oldest refund is whose end is not known."""
    with watching.shown(house.database):
        metrics.page()
    return REGISTRY.get_sample_value("bazaruto_refunds_oldest_sent_seconds") or 0


@pytest.mark.parametrize("card", ["pm_card_refund_timeout", "pm_card_refund_pending"])
def test_refund_whose_end_is_unknown_is_asked_for_and_not_sent_again(contract: Contract, card: str) -> None:
    release(contract.house, cancel(paid(contract, card)))
    assert states(contract.house) == [("sent", "sent")]
    assert contract.balances()["2310"] == 707_77
    assert _age_of_oldest(contract.house) > 0
    settle(contract.house)
    assert _age_of_oldest(contract.house) == 0
    assert states(contract.house) == [("succeeded", "succeeded")]
    assert len(contract.house.provider.paid_back) == 1
    check_ledger(contract)


def test_refund_that_comes_back_later_is_owed_again(contract: Contract) -> None:
    release(contract.house, cancel(paid(contract, "pm_card_refund_returned")))
    assert states(contract.house) == [("succeeded", "succeeded")]
    settle(contract.house)
    assert states(contract.house) == [("failed", "failed")]
    booked = "SELECT account_code, side, amount FROM postings JOIN journals ON journals.id = journal_id"
    assert contract.house.rows(f"{booked} WHERE rule = 'refund_succeeded' ORDER BY line") == [
        ("2310", "debit", 707_77),
        ("1010", "credit", 707_77),
    ]
    assert contract.house.rows(f"{booked} WHERE rule = 'refund_failed' ORDER BY line") == [
        ("1010", "debit", 707_77),
        ("2310", "credit", 707_77),
    ]
    check_ledger(contract)


def dies_before_it_begins(house: House, refund_id: UUID) -> None:
    """The process is killed before anything was stored: the job stands."""


def dies_before_it_sends(house: House, refund_id: UUID) -> None:
    with house.database.transaction() as session:
        refunding.begin(session, refund_id, datetime.now(UTC))


def dies_before_it_records(house: House, refund_id: UUID) -> None:
    with house.database.transaction() as session:
        (part,) = refunding.begin(session, refund_id, datetime.now(UTC))
    refunding.send(house.provider, part)


@pytest.mark.parametrize("dies", [dies_before_it_begins, dies_before_it_sends, dies_before_it_records])
def test_crash_at_any_step_loses_nothing_and_pays_nobody_twice(
    contract: Contract, dies: Callable[[House, UUID], None]
) -> None:
    applied = cancel(paid(contract))
    dies(contract.house, refund_id_of(applied))
    contract.house.work()  # the job that was killed runs again, and finds what it had done
    settle(contract.house)
    assert states(contract.house) == [("succeeded", "succeeded")]
    assert contract.house.rows("SELECT count(*), sum(amount)::bigint FROM sandbox_refunds") == [(1, 707_77)]
    assert len(set(contract.house.provider.paid_back)) == 1
    check_ledger(contract)


def test_doctor_names_refunds_whose_end_is_unknown_for_long(
    contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = dict(PROBES)["refunds"]
    release(contract.house, cancel(paid(contract, "pm_card_refund_pending")))
    with psycopg.connect(contract.house.url, row_factory=dict_row) as connection:
        assert look("payments", connection, Settings()).state == "ok"
        monkeypatch.setattr(clock, "now", lambda: datetime.now(UTC) + timedelta(hours=7))
        assert "1 refunds were sent" in look("payments", connection, Settings()).said


@pytest.mark.parametrize("breaks", ["breaks", "breaks_before"])
def test_provider_that_fails_in_any_way_leaves_an_end_that_is_asked_for(contract: Contract, breaks: str) -> None:
    applied = cancel(paid(contract))
    setattr(contract.house.provider, breaks, TimeoutError())
    release(contract.house, applied)
    assert states(contract.house) == [("sent", "sent")]
    settle(contract.house)
    setattr(contract.house.provider, breaks, None)
    settle(contract.house, 1)
    assert states(contract.house) == [("succeeded", "succeeded")]
    assert contract.house.rows("SELECT count(*) FROM sandbox_refunds") == [(1,)]
    check_ledger(contract)


def test_jobs_that_race_send_a_refund_once(contract: Contract) -> None:
    applied = cancel(paid(contract))

    def step(number: int) -> None:
        if number % 2:
            contract.house.handlers.release_refund(ReleaseRefund(refund_id_of(applied)))
        else:
            settle(contract.house)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(step, range(8)))
    settle(contract.house)
    assert states(contract.house) == [("succeeded", "succeeded")]
    assert contract.house.rows("SELECT count(*) FROM sandbox_refunds") == [(1,)]
    assert contract.house.rows("SELECT count(*) FROM journals WHERE rule = 'refund_succeeded'") == [(1,)]
    check_ledger(contract)


def test_database_refuses_to_pay_back_more_than_was_captured(house: House, people: People) -> None:
    contract = paid(Contract(house, people.customer()))
    cancel(contract)
    twice = "INSERT INTO refund_parts SELECT gen_random_uuid(), refund_id, payment_id, 2, 721_24, 'waiting'"
    with pytest.raises(psycopg.errors.CheckViolation, match="more than was captured"):
        house.rows(f"{twice} FROM refund_parts RETURNING id")
