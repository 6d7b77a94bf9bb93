"""Earning: a run over many policies, in the books and in the proof of each."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import grpc
import psycopg
import pytest

from bazaruto.payments.v1 import billing_pb2
from bazaruto.payments.v1 import ledger_pb2 as pb
from libs import ids
from libs.errors import Unavailable
from libs.jobs import nightly, runs
from libs.jobs.nightly import RunUnderWay
from libs.rpc import values
from services.payments.billing import jobs
from services.payments.billing.store import earnings
from tests.integration.payments.house import House
from tests.integration.payments.test_applying import Contract, Kind, line, money
from tests.integration.payments.test_policy_ledger import prove
from tests.support import portfolio
from tests.support.errors import reason_of
from tests.support.people import People, new_key

RUN = "payments.run_earning"


def earn(house: House, period: str, asked_at: str = "") -> None:
    """Earn a period, as the job does."""
    house.registered.run(RUN, {"period": period, "asked_at": asked_at})


def write(house: House, count: int) -> list[UUID]:
    with psycopg.connect(house.url, autocommit=True) as connection:
        return portfolio.write(connection, count)


def earned(house: House) -> dict[UUID, int]:
    """What account 4000 shows of each policy."""
    query = """
        SELECT policy_id, sum(CASE side WHEN 'credit' THEN amount ELSE -amount END)::bigint
        FROM journals JOIN postings ON journal_id = id WHERE account_code = '4000' GROUP BY 1
    """
    return dict(house.rows(query))


def run_row(house: House) -> Any:
    with psycopg.connect(house.url, autocommit=True) as connection:
        return runs.list_runs(connection)[-1]


def test_hundreds_of_policies_are_earned_month_by_month_to_the_cent(house: House) -> None:
    policies = write(house, 300)
    for month in range(1, 13):
        earn(house, f"2025-{month:02}")
        if month == 1:
            assert earned(house) == {
                policy: round((100_000 + number) * 31 / 365) + round(20_000 * 31 / 365)
                for number, policy in enumerate(policies, 1)
            }
        assert all(values.money_from_proto(item).minor == 0 for item in house.trial_balance().differences)
    assert earned(house) == {policy: 120_000 + number for number, policy in enumerate(policies, 1)}
    assert run_row(house).done == 300
    earn(house, "2026-01")
    assert run_row(house).done == 0  # all is earned; there is nothing to look at
    ledger = prove(house, ids.encode("pol", policies[6]))
    assert (ledger["premium"], ledger["earned"], ledger["unearned"]) == ((120_007,) * 2, (120_007,) * 2, (0, 0))


def test_bad_policy_is_parked_and_earned_when_it_is_mended(house: House) -> None:
    policies = write(house, 30)
    with psycopg.connect(house.url, autocommit=True) as connection:
        (bad,) = portfolio.write(connection, 1)
        connection.execute("ALTER TABLE timeline_lines DISABLE TRIGGER ALL")
        connection.execute(
            "DELETE FROM timeline_lines USING applied_transactions AS applied"
            " WHERE applied.transaction_id = timeline_lines.transaction_id AND account_id = %s AND number = 2"
            " AND full_term_amount = 20000",
            (bad,),
        )
        connection.execute("UPDATE timeline_lines SET term_number = 9 FROM applied_transactions AS applied"
            " WHERE applied.transaction_id = timeline_lines.transaction_id AND account_id = %s", (bad,))  # fmt: skip
    earn(house, "2025-01")
    assert set(earned(house)) == set(policies)
    with psycopg.connect(house.url, autocommit=True) as connection:
        (parked,) = runs.list_parked(connection, RUN, 10)
        assert (parked.item_id, run_row(house).parked) == (bad, 1)
        assert "TimelineMissing" in parked.reason
        connection.execute(
            "UPDATE timeline_lines SET term_number = 1 FROM applied_transactions AS applied"
            " WHERE applied.transaction_id = timeline_lines.transaction_id AND account_id = %s",
            (bad,),
        )
    earn(house, "2025-01", "again")
    assert set(earned(house)) == {*policies, bad}
    assert run_row(house).parked == 0


def test_run_that_is_killed_goes_on_and_earns_nobody_twice(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    write(house, 60)
    monkeypatch.setattr(jobs, "_EARNED_AT_ONCE", 20)
    jobs.register(house.registered, house.database)  # type: ignore[arg-type]
    batches: list[Any] = []
    save = earnings.save

    def die_in_the_second_batch(*arguments: Any) -> None:
        batches.append(arguments)
        if len(batches) == 2:
            raise Unavailable
        save(*arguments)

    monkeypatch.setattr(earnings, "save", die_in_the_second_batch)
    with pytest.raises(Unavailable):
        earn(house, "2025-03")
    assert len(earned(house)) == 20
    earn(house, "2025-03")
    assert len(earned(house)) == 60
    assert house.rows("SELECT count(*), count(DISTINCT policy_id) FROM journals WHERE rule = 'premium_earned'") == [
        (60, 60)
    ]


def test_two_runs_at_once_earn_nobody_twice(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    policies = write(house, 80)
    monkeypatch.setattr(jobs, "_EARNED_AT_ONCE", 10)
    jobs.register(house.registered, house.database)  # type: ignore[arg-type]

    def run(asked_at: str) -> None:
        while True:
            try:
                earn(house, "2025-06", asked_at)
            except RunUnderWay:
                continue
            return

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, ("by one", "by one", "by another", "by another")))
    assert house.rows("SELECT count(*) FROM journals WHERE rule = 'premium_earned'") == [(80,)]
    assert set(earned(house)) == set(policies)
    assert house.rows("SELECT count(*) FROM parked_items") == [(0,)]


def test_night_earns_the_last_month_that_is_over(house: House) -> None:
    write(house, 3)
    at = datetime(2025, 4, 2, 3, 40, tzinfo=UTC)
    night = nightly.Night("2025-04-02", at, at)
    with house.database.transaction() as session:
        ids_ = jobs.list_unearned(session, night, UUID(int=0), 10)
        do = jobs.prepare_earning(session, ids_, night)
        for policy_id in ids_:
            do(policy_id)
    days = (date(2025, 4, 1) - date(2025, 1, 1)).days
    assert sorted(earned(house).values())[0] == round(100_001 * days / 365) + round(20_000 * days / 365)
    assert house.rows("SELECT DISTINCT effective_on, source_id LIKE 'pol_%:2025-03' FROM journals"
                      " WHERE rule = 'premium_earned'") == [(date(2025, 3, 31), True)]  # fmt: skip


TERM = (date(2025, 1, 1), date(2026, 1, 1))


def sent(*stretches: tuple[date, date, int]) -> list[billing_pb2.TimelineLine]:
    """The timeline of a coverage."""
    return [
        billing_pb2.TimelineLine(
            term_number=1,
            coverage_code="own_damage",
            start_date=values.date_to_proto(start),
            end_date=values.date_to_proto(end),
            full_term_amount=money(full),
            term_days=365,
        )
        for start, end, full in stretches
    ]


def test_changes_and_a_short_rate_cancellation_are_earned_by_the_timeline_they_left(
    house: House, people: People
) -> None:
    """T09, after an endorsement that came late: earned premium is what the days cost, retention is beside it (4110)."""
    contract = Contract(house, people.customer())
    term = {"term_start_date": values.date_to_proto(TERM[0]), "term_end_date": values.date_to_proto(TERM[1])}
    schedule = billing_pb2.Schedule(plan_code="annual", installments=1)
    premium = line(Kind.KIND_PREMIUM, 1200_00, "own_damage")
    contract.apply("NEW_BUSINESS", premium, timeline=sent((*TERM, 1200_00)), schedule=schedule, **term)
    policy = contract.policy_id

    def proof() -> dict[str, int]:
        said = prove(house, policy)
        assert {item: pair for item, pair in said.items() if pair[0] != pair[1]} == {}
        assert said["earned"][0] + said["unearned"][0] == said["premium"][0]
        assert said["unearned"][0] >= 0
        return {item: billed for item, (billed, _) in said.items()}

    assert (proof()["earned"], proof()["unearned"]) == (0, 1200_00)
    earn(house, "2025-01")
    assert (proof()["earned"], proof()["unearned"]) == (101_92, 1098_08)

    # 365.00 more a year from 1 January on, issued in February: January's part of it is earned at once.
    more = line(Kind.KIND_PREMIUM, 365_00, "own_damage")
    contract.apply("ENDORSEMENT", more, timeline=sent((*TERM, 1565_00)), **term)
    assert (proof()["earned"], proof()["unearned"]) == (132_92, 1432_08)
    earn(house, "2025-02")
    assert proof()["earned"] == round(1565_00 * 59 / 365)
    back = line(Kind.KIND_PREMIUM, -365_00, "own_damage")
    contract.apply("ENDORSEMENT", back, timeline=sent((*TERM, 1200_00)), **term)
    assert (proof()["earned"], proof()["unearned"]) == (193_97, 1006_03)

    cut = (TERM[0], date(2025, 7, 1), 1200_00)
    given_back, kept = (
        line(Kind.KIND_PREMIUM, -604_93, "own_damage"),
        line(Kind.KIND_RETENTION, 60_49, "own_damage"),
    )
    contract.apply("CANCELLATION", given_back, kept, timeline=sent(cut), **term)
    earn(house, "2025-07")
    said = proof()
    assert (said["premium"], said["earned"], said["unearned"], said["retention"]) == (595_07, 595_07, 0, 60_49)
    earn(house, "2025-12")
    assert proof() == said
    assert all(values.money_from_proto(item).minor == 0 for item in house.trial_balance().differences)


def ask(house: House, period: str, people: People, role: str = "finance") -> pb.RunEarningResponse:
    metadata = people.user(role).metadata(idempotency_key=new_key())
    return house.ledger.RunEarning(pb.RunEarningRequest(period=period), metadata=metadata)


def test_finance_asks_for_the_earning_of_a_month(house: House, people: People) -> None:
    write(house, 5)
    answer = ask(house, "2025-02", people)
    assert (answer.policies, values.date_from_proto(answer.until_date, "until_date")) == (5, date(2025, 3, 1))
    assert house.work() == [RUN]
    assert len(earned(house)) == 5
    assert ask(house, "2025-02", people).policies == 0


@pytest.mark.parametrize("ahead", [0, 400])
def test_month_that_is_not_over_is_not_earned(house: House, people: People, ahead: int) -> None:
    period = f"{datetime.now(UTC).date() + timedelta(days=ahead):%Y-%m}"
    with pytest.raises(grpc.RpcError) as refused:
        ask(house, period, people)
    assert reason_of(refused.value) == "INVALID_FIELD"
    assert house.work() == []
