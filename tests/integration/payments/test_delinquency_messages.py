"""Messages between payments and policies about what is past due: out of order, lost and told twice, on both servers."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc
import psycopg
import pytest

from libs import clock, ids
from libs.errors import DomainError
from libs.identity.service_tokens import ServiceTokens
from libs.rpc.client import connect
from services.payments.billing.flows import invoicing
from services.payments.billing.jobs import dunning as dunning_jobs
from services.payments.clients import Policies
from services.payments.collection import jobs as collection_jobs
from services.payments.collection.store import payments as payments_store
from services.policies.clients import Payments
from services.policies.lifecycle import jobs as policies_jobs
from tests.integration.payments.house import FakeQuotes, House, Registered
from tests.integration.policies.house import House as PoliciesHouse
from tests.support.errors import reason_of
from tests.support.people import People

POLICIES, STEPS = 6, 160
_NEXT = "SELECT id, task_name, args FROM procrastinate_jobs WHERE status = 'todo' AND scheduled_at IS NULL ORDER BY id"


class Link:
    """Two services whose messages go wrong."""

    def __init__(self, payments: House, policies: PoliciesHouse, people: People, seed: int) -> None:
        self.random = random.Random(seed)
        self.payments, self.policies, self.people = payments, policies, people
        to_policies = Policies(connect(policies.target, ServiceTokens(people.auth, "payments-worker")))
        to_payments = Payments(connect(payments.target, ServiceTokens(people.auth, "policies-worker")))
        of_payments, of_policies = Registered(), Registered()
        dunning = dunning_jobs.Handlers(payments.database, to_policies, FakeQuotes(), payments_store.find_is_open)
        dunning_jobs.register(of_payments, dunning, payments.database)  # type: ignore[arg-type]
        handlers = collection_jobs.Handlers(payments.database, payments.provider, to_policies)
        collection_jobs.register(of_payments, handlers)  # type: ignore[arg-type]
        policies_jobs.register(of_policies, policies.database, policies.quotes, to_payments)  # type: ignore[arg-type]
        self.sides = ((payments.url, of_payments), (policies.url, of_policies))

    def deliver(self, *, reliably: bool) -> bool:
        """Deliver one message of either side, whichever it is; False when there is none.

        Unless that is to be reliable, it may be lost, or its answer may be: then it is sent again.
        """
        waiting = [(url, registered, *job) for url, registered in self.sides for job in _rows(url, _NEXT)]
        if not waiting:
            return False
        url, registered, job_id, name, arguments = self.random.choice(waiting)
        if not reliably and self.random.random() < 0.15:
            return True
        try:
            registered.run(name, arguments)
        except DomainError:
            return True  # out of order: tried again
        if reliably or self.random.random() > 0.3:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("UPDATE procrastinate_jobs SET status = 'succeeded' WHERE id = %s", (job_id,))
        return True

    def deliver_all(self) -> None:
        """Deliver everything, with what follows from it."""
        for _ in range(2000):
            if not self.deliver(reliably=True):
                return
        raise AssertionError("messages go on for ever")


def _rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(query.encode()).fetchall()


class Owner:
    """Somebody with a policy in twelve installments, of which the first is paid."""

    def __init__(self, link: Link) -> None:
        self.link, self.person = link, link.people.customer()
        self.policy_id = link.policies.issue(self.person, plan_code="monthly").policy_id
        link.deliver_all()
        self.pay_oldest()
        link.deliver_all()

    @property
    def account_id(self) -> UUID:
        return ids.decode("pol", self.policy_id)

    def pay_oldest(self) -> None:
        """Pay what fell due first, if anything is to be paid."""
        key = self.account_id
        query = f"SELECT id FROM invoices WHERE policy_id = '{key}' AND status IN ('open', 'partially_paid')"
        unpaid = _rows(self.link.payments.url, f"{query} ORDER BY due_on, id LIMIT 1")
        if unpaid:
            try:
                self.link.payments.pay(self.person, ids.encode("inv", unpaid[0][0]))
            except grpc.RpcError as refused:
                if reason_of(refused) != "POLICY_LAPSING":
                    raise

    def bill(self) -> None:
        """Bill what falls due within a week."""
        until = clock.now().date() + timedelta(days=7)
        with self.link.payments.database.transaction() as session:
            invoicing.issue_due_invoices(session, self.account_id, until, clock.now())


@pytest.mark.parametrize("seed", range(2))
def test_both_sides_agree_in_the_end_whatever_becomes_of_messages(
    house: House,
    start_server: Callable[..., grpc.Channel],
    make_database: Callable[[str], str],
    people: People,
    moved: Callable[[date], None],
    seed: int,
) -> None:
    link = Link(house, PoliciesHouse(start_server, make_database("policies")), people, seed)
    owners = [Owner(link) for _ in range(POLICIES)]
    today = datetime.now(UTC).date()
    for _ in range(STEPS):
        owner = link.random.choice(owners)
        match link.random.randrange(10):
            case 0:
                owner.pay_oldest()
            case 1 | 2:
                today += timedelta(days=link.random.randrange(1, 9))
                moved(today)
                for one in owners:
                    one.bill()
                house.run_dunning(clock.now())
            case _:
                link.deliver(reliably=False)
    link.deliver_all()
    lapsed = 0
    for owner in owners:
        where = f"account_id = '{owner.account_id}'"
        told = _rows(
            link.policies.url, f"SELECT state, version FROM delinquencies WHERE policy_id = '{owner.account_id}'"
        )
        known = _rows(
            house.url, f"SELECT state, version FROM delinquencies WHERE {where} ORDER BY version DESC LIMIT 1"
        )
        assert told == known
        assert all(state != "lapsing" for state, _ in known), "nothing hangs in lapsing"
        billed = _rows(house.url, f"SELECT count(*) FROM applied_transactions WHERE {where} AND kind = 'lapse'")
        issued = _rows(
            link.policies.url,
            f"SELECT count(*) FROM policy_transactions WHERE policy_id = '{owner.account_id}' AND type = 'lapse'",
        )
        assert billed == issued
        lapsed += billed[0][0]
    assert lapsed > 0, "a run in which nothing lapses shows nothing"
    house.check_money()


@pytest.fixture
def moved(tmp_path: Path) -> Iterator[Callable[[date], None]]:
    """Moves the clock to the night of a day."""
    file = tmp_path / "clock"

    def move(today: date) -> None:
        offset = datetime.combine(today, time(3, 43), UTC) - clock.real_now()
        if offset > timedelta():
            file.write_text(json.dumps({clock.OFFSET: offset // timedelta(microseconds=1)}))
            clock.follow(file)

    yield move
    clock.follow(None)
