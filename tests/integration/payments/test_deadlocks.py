"""A call that PostgreSQL undoes because of a deadlock: its caller is told to try again, and trying again is safe."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
import sqlalchemy as sa
from google.rpc import error_details_pb2
from prometheus_client import REGISTRY

from bazaruto.payments.v1 import payment_pb2 as pb
from libs import ids
from services.payments.billing.store import invoices
from services.payments.collection.rules.payment import State
from services.payments.collection.store import payments
from tests.integration.gateway.gateway_process import running_gateway
from tests.integration.payments.house import House
from tests.support.errors import reason_of, status_of
from tests.support.people import People, new_key
from tests.support.waiting import until

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@contextmanager
def opposite_order(house: House, payment_id: str, invoice_id: str) -> Iterator[None]:
    """Hold a payment while a call is begun; once it waits, ask for the invoice, which that call has locked.

    PostgreSQL undoes whoever finds the cycle, which is who has waited for a second: the call.
    """
    with house.database.transaction() as session:
        session.execute(sa.text("SET LOCAL deadlock_timeout = '1min'"))  # never the first to look
        payments.lock(session, ids.decode("pay", payment_id))
        yield
        until(lambda: house.rows(WAITING) == [(1,)], "no call waits for the payment")
        invoices.lock(session, ids.decode("inv", invoice_id))


def deadlocks() -> float:
    return REGISTRY.get_sample_value("bazaruto_db_lost_races_total", {"kind": "deadlock"}) or 0


def test_caller_of_a_deadlocked_call_is_told_when_to_try_again(
    house: House, people: People, pool: ThreadPoolExecutor
) -> None:
    person, before = people.customer(), deadlocks()
    invoice_id = house.invoice_of(person)
    waiting = house.pay(person, invoice_id, "pm_card_action")
    with opposite_order(house, waiting.payment_id, invoice_id):
        confirming = pool.submit(house.confirm, person, waiting.payment_id, new_key())
    with pytest.raises(grpc.RpcError) as lost:
        confirming.result(20)
    assert lost.value.code() is grpc.StatusCode.ABORTED
    assert reason_of(lost.value) == "CONCURRENT_CHANGE"
    retry = error_details_pb2.RetryInfo()
    assert any(detail.Unpack(retry) for detail in status_of(lost.value).details)
    assert 0 < retry.retry_delay.ToTimedelta().total_seconds() <= 1
    assert deadlocks() == before + 1
    assert house.confirm(person, waiting.payment_id, new_key()).state == pb.Payment.STATE_SUCCEEDED
    house.check_money()


def test_deadlock_is_a_conflict_over_http(
    house: House, people: People, pool: ThreadPoolExecutor, tmp_path: Path
) -> None:
    person, before = people.customer(), deadlocks()
    invoice_id = house.invoice_of(person)
    waiting = house.pay(person, invoice_id, "pm_card_action")
    with (
        running_gateway(tmp_path, house.target, GATEWAY__DESCRIPTORS="") as gateway,
        gateway.client(headers={"authorization": person.authorization}) as client,
    ):
        path = f"/v1/payments/{waiting.payment_id}:confirm"
        with opposite_order(house, waiting.payment_id, invoice_id):
            confirming = pool.submit(client.post, path, json={})
        lost = confirming.result(20)
        assert lost.status_code == 409, lost.text
        details = {detail["@type"].rpartition(".")[2]: detail for detail in lost.json()["error"]["details"]}
        assert details["ErrorInfo"]["reason"] == "CONCURRENT_CHANGE"
        assert 0 < float(details["RetryInfo"]["retryDelay"].removesuffix("s")) <= 1
        assert deadlocks() == before + 1
        assert client.post(path, json={}).json()["state"] == "STATE_SUCCEEDED"


def test_payment_whose_record_lost_a_deadlock_is_charged_once(
    house: House, people: People, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    person, key, before = people.customer(), new_key(), deadlocks()
    invoice_id = house.invoice_of(person)
    charged, go_on, charge = threading.Event(), threading.Event(), house.provider.charge

    def charge_and_wait(*asked: Any) -> Any:
        outcome = charge(*asked)
        charged.set()
        go_on.wait(60)
        return outcome

    monkeypatch.setattr(house.provider, "charge", charge_and_wait)
    paying = pool.submit(house.pay, person, invoice_id, key=key)
    assert charged.wait(60)
    ((payment_id,),) = house.rows("SELECT id FROM payments")
    with opposite_order(house, ids.encode("pay", payment_id), invoice_id):
        go_on.set()
    with pytest.raises(grpc.RpcError) as lost:
        paying.result(20)
    assert lost.value.code() is grpc.StatusCode.ABORTED
    assert deadlocks() == before + 1
    repeated = house.pay(person, invoice_id, key=key)
    assert (ids.decode("pay", repeated.payment_id), repeated.state) == (payment_id, pb.Payment.STATE_PROCESSING)
    assert house.settle(payment_id, datetime.now(UTC)).state is State.SUCCEEDED
    assert len(house.provider.asked) == 1
    house.check_money()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """The thread of the other caller."""
    with ThreadPoolExecutor(1) as threads:
        yield threads
