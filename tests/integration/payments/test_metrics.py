"""What payments tells whoever watches: how old open payments are, and how long payments take to come to an end."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psycopg
import pytest
from prometheus_client import REGISTRY

from bazaruto.payments.v1 import payment_pb2 as pb
from libs import ids
from libs.jobs import operating
from libs.telemetry import metrics
from services.payments.collection.flows import collecting, watching
from services.payments.collection.rules.payment import State
from services.payments.collection.rules.provider import ActionRequired, Charged
from tests.integration.payments.house import House
from tests.support.people import People
from tests.support.servers import free_address
from tests.support.waiting import until

_ROOT = Path(__file__).parents[3]
_AGE = "bazaruto_payments_oldest_open_seconds"


def ago(**time: float) -> datetime:
    """A moment in the past."""
    return datetime.now(UTC) - timedelta(**time)


def oldest_ages(page: str) -> dict[str, float]:
    """The age of the oldest payment by state, on a page of metrics."""
    samples = re.findall(rf'^{_AGE}{{state="(\w+)"}} (\S+)$', page, re.MULTILINE)
    return {state: float(seconds) for state, seconds in samples}


def page_of(house: House) -> dict[str, float]:
    """What the worker's page tells."""
    with watching.shown(house.database):
        return oldest_ages(metrics.page().decode())


def ended_within(seconds: str, waited_for: str) -> float:
    """How many payments have ended within that time, by whom they waited for."""
    labels = {"waited_for": waited_for, "le": seconds}
    return REGISTRY.get_sample_value("bazaruto_payment_finality_seconds_bucket", labels) or 0


def test_oldest_payment_of_unknown_outcome_is_told_with_its_age(house: House, people: People) -> None:
    for minutes in (3, 20, 7):
        house.begin(house.invoice_of(people.customer()), ago(minutes=minutes))
    assert page_of(house) == {"processing": pytest.approx(20 * 60, abs=30), "requires_action": 0}


def test_age_is_nought_when_no_payment_is_open(house: House, people: People) -> None:
    person = people.customer()
    assert page_of(house) == {"processing": 0, "requires_action": 0}
    assert house.pay(person, house.invoice_of(person)).state == pb.Payment.STATE_SUCCEEDED
    assert page_of(house) == {"processing": 0, "requires_action": 0}


def test_payment_that_came_to_its_end_leaves_the_next_oldest(house: House, people: People) -> None:
    old, young = (house.begin(house.invoice_of(people.customer()), ago(minutes=minutes)) for minutes in (20, 5))
    collecting.charge(house.provider, old, "pm_card_ok")
    assert house.settle(old.id, datetime.now(UTC)).state is State.SUCCEEDED
    assert page_of(house)["processing"] == pytest.approx(5 * 60, abs=30)
    assert house.settle(young.id, datetime.now(UTC)).state is State.CANCELED
    assert page_of(house)["processing"] == 0


def test_payment_that_waits_for_its_payer_is_told_apart(house: House, people: People) -> None:
    waiting = house.begin(house.invoice_of(people.customer()), ago(minutes=40))
    house.record(waiting.id, ActionRequired("ref", "https://example.com"), datetime.now(UTC))
    assert page_of(house) == {"processing": 0, "requires_action": pytest.approx(40 * 60, abs=30)}


def test_payment_from_a_clock_that_is_ahead_is_not_younger_than_nought(house: House, people: People) -> None:
    house.begin(house.invoice_of(people.customer()), ago(minutes=-5))
    assert page_of(house)["processing"] == 0


def test_page_without_an_answer_of_the_database_comes_soon_and_keeps_what_was_told(
    house: House, people: People
) -> None:
    house.begin(house.invoice_of(people.customer()), ago(minutes=20))
    with watching.shown(house.database), psycopg.connect(house.url) as holder:
        before = oldest_ages(metrics.page().decode())
        holder.execute("LOCK TABLE payments IN ACCESS EXCLUSIVE MODE")
        started = time.monotonic()
        assert oldest_ages(metrics.page().decode()) == before
        assert time.monotonic() - started < 5
        holder.rollback()
        until(lambda: oldest_ages(metrics.page().decode()) != before)


def test_payments_that_ended_are_not_read_to_find_the_oldest_open_one(house: House, people: People) -> None:
    invoice_id = ids.decode("inv", house.invoice_of(people.customer()))
    with psycopg.connect(house.url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO payments (id, invoice_id, user_id, amount, currency, status, provider, created_at,"
            " completed_at) SELECT gen_random_uuid(), %s, gen_random_uuid(), 100, 'EUR', 'declined', 'sandbox', now(),"
            " now() FROM generate_series(1, 20000)",
            (invoice_id,),
        )
        connection.execute("ANALYZE payments")
        plan = connection.execute(
            "EXPLAIN SELECT status, min(created_at) FROM payments"
            " WHERE status IN ('processing', 'requires_action') GROUP BY status"
        ).fetchall()
    assert "Seq Scan" not in str(plan)
    house.begin(ids.encode("inv", invoice_id), ago(minutes=20))
    assert page_of(house)["processing"] == pytest.approx(20 * 60, abs=30)


def test_every_worker_of_a_database_tells_the_same(house: House, people: People) -> None:
    with psycopg.connect(house.url, autocommit=True) as connection:
        operating.pause(connection, "payments")  # so that no worker finds out what became of it
    house.begin(house.invoice_of(people.customer()), ago(minutes=20))
    with ExitStack() as stack:
        pages = [stack.enter_context(running_worker(house, people)) for _ in range(2)]
        for read in pages:
            until(lambda read=read: bool(oldest_ages(read())))  # type: ignore[misc]
            assert oldest_ages(read()) == {"processing": pytest.approx(20 * 60, abs=60), "requires_action": 0}


def test_end_that_took_twenty_minutes_is_counted_as_late(house: House, people: People) -> None:
    now = datetime.now(UTC)
    payment = house.begin(house.invoice_of(people.customer()), now - timedelta(minutes=20))
    before = {seconds: ended_within(seconds, "provider") for seconds in ("900.0", "3600.0")}
    house.record(payment.id, Charged("ref", payment.amount), now)
    assert ended_within("900.0", "provider") == before["900.0"]
    assert ended_within("3600.0", "provider") == before["3600.0"] + 1


def test_payment_of_a_call_is_counted_as_ended_at_once(house: House, people: People) -> None:
    before = ended_within("60.0", "provider")
    person = people.customer()
    house.pay(person, house.invoice_of(person))
    assert ended_within("60.0", "provider") == before + 1


def test_time_of_a_payer_who_has_to_act_is_counted_apart(house: House, people: People) -> None:
    now = datetime.now(UTC)
    payment = house.begin(house.invoice_of(people.customer()), now - timedelta(minutes=20))
    before = [ended_within("+Inf", whom) for whom in ("provider", "payer")]
    house.record(payment.id, ActionRequired("ref", "https://example.com"), now - timedelta(minutes=19))
    house.record(payment.id, Charged("ref", payment.amount), now)
    assert [ended_within("+Inf", whom) for whom in ("provider", "payer")] == [before[0], before[1] + 1]


def test_end_that_is_recorded_twice_or_undone_is_counted_once(house: House, people: People) -> None:
    now = datetime.now(UTC)
    payment = house.begin(house.invoice_of(people.customer()), now)
    outcome, before = Charged("ref", payment.amount), ended_within("+Inf", "provider")

    def record_and_fail() -> None:
        with house.database.transaction() as session:
            collecting.record(session, payment.id, outcome, now)
            raise InterruptedError

    with pytest.raises(InterruptedError):
        record_and_fail()
    assert ended_within("+Inf", "provider") == before
    for _ in range(2):
        house.record(payment.id, outcome, now)
    assert ended_within("+Inf", "provider") == before + 1


@contextmanager
def running_worker(house: House, people: People) -> Iterator[Callable[[], str]]:
    """A worker in a process of its own; gives a function that reads its page, empty while it does not listen."""
    address = free_address()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("BAZARUTO_")}
    variables = {
        "BAZARUTO_ENVIRONMENT": "test",
        "BAZARUTO_SERVICES__PAYMENTS__DB_URL": house.url,
        "BAZARUTO_SERVICES__PAYMENTS__WORKER_METRICS": address,
        "BAZARUTO_AUTH__INTERNAL_SECRET_FILE": str(people.auth.internal_secret_file),
    }

    def read() -> str:
        try:
            return httpx.get(f"http://{address}/metrics", timeout=10).text
        except httpx.TransportError:
            return ""

    command = [sys.executable, "-m", "services.payments.main", "work"]
    with subprocess.Popen(command, cwd=_ROOT, env={**inherited, **variables}, stdout=subprocess.DEVNULL) as process:
        try:
            yield read
        finally:
            process.terminate()
