"""What the runbook PaymentUnknownStuck has an operator do about a payment whose outcome nobody knows."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from libs.jobs import operating
from services.payments.collection.flows import collecting
from services.payments.collection.rules.payment import Payment
from tests.integration.payments.house import House
from tests.support.people import People

_RUNBOOK = Path(__file__).parents[3] / "docs/runbooks/PaymentUnknownStuck.md"
# The janitor would ask in an hour.
LATER = datetime.now(UTC) + timedelta(hours=1)


def lost(house: House, people: People) -> Payment:
    """A payment that was charged, and whose answer was lost."""
    payment = house.begin(house.invoice_of(people.customer()), LATER)
    collecting.charge(house.provider, payment, "pm_card_ok")
    return payment


def statements() -> list[str]:
    """The statements that the runbook has psql run."""
    return re.findall(r'^psql -d bazaruto_payments -c "(.+)"$', _RUNBOOK.read_text(), re.MULTILINE)


def test_stuck_payment_is_found_by_the_query_of_the_runbook(house: House, people: People) -> None:
    person = people.customer()
    house.pay(person, house.invoice_of(person))
    payment = lost(house, people)
    assert [row[:3] for row in house.rows(statements()[0])] == [(payment.id, payment.invoice_id, "processing")]


def test_job_that_was_cancelled_and_retried_asks_the_provider_now(house: House, people: People) -> None:
    lost(house, people)
    assert house.work() == []
    ((job_id,),) = house.rows("SELECT id FROM procrastinate_jobs WHERE task_name = 'payments.settle'")
    with psycopg.connect(house.url, autocommit=True) as connection:
        assert operating.cancel(connection, ids=[job_id]) == [job_id]
        assert operating.retry(connection, ids=[job_id]) == [job_id]
    assert house.work() == ["payments.settle", "payments.confirm_premium"]
    assert len(house.provider.asked) == 1
    house.check_money()


def test_job_that_was_deleted_is_made_again_by_hand(house: House, people: People) -> None:
    payment = lost(house, people)
    with psycopg.connect(house.url, autocommit=True) as connection:
        connection.execute("DELETE FROM procrastinate_jobs")
        connection.execute(statements()[1].replace("PAYMENT", str(payment.id)).encode())
    assert house.work() == ["payments.settle", "payments.confirm_premium"]
    assert len(house.provider.asked) == 1
    house.check_money()
