"""A policy that is past due, and what a test asks of it day by day."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from bazaruto.payments.v1 import delinquency_pb2 as pb
from libs import clock, ids
from libs.calendar import months_after
from services.payments.billing.flows import invoicing
from tests.integration.payments.house import House
from tests.integration.payments.test_applying import STARTS_ON, Contract
from tests.support.people import People

DUE_ON = months_after(STARTS_ON, 1)
INSTALLMENT = 117_00
"""A twelfth of 1404.00; the fee of 25.00 stands in the first one."""


@dataclass
class Debtor:
    """A policy that is paid in twelve, of which the first was paid, and the second was billed and not."""

    contract: Contract
    clock_file: Path
    invoice_id: str = ""

    def __post_init__(self) -> None:
        house, person = self.contract.house, self.contract.person
        first = self.contract.issue(12).invoices[0]
        house.pay(person, first.invoice_id)
        self.invoice_id = self.bill(DUE_ON)

    @property
    def house(self) -> House:
        return self.contract.house

    @property
    def account_id(self) -> UUID:
        return ids.decode("pol", self.contract.policy_id)

    def bill(self, until: date) -> str:
        """Bill what falls due by a day; gives the newest invoice."""
        with self.house.database.transaction() as session:
            invoicing.issue_due_invoices(session, self.account_id, until, at(DUE_ON - timedelta(days=7)))
        return max(part.invoice_id for part in self.contract.billing().installments if part.invoice_id)

    def read(self) -> pb.Delinquency:
        """The newest delinquency, with its steps."""
        metadata = self.contract.person.metadata()
        request = pb.ListDelinquenciesRequest(policy_id=self.contract.policy_id)
        listed = self.house.delinquencies.ListDelinquencies(request, metadata=metadata).delinquencies
        request_one = pb.GetDelinquencyRequest(delinquency_id=listed[0].delinquency_id)
        one: pb.Delinquency = self.house.delinquencies.GetDelinquency(request_one, metadata=metadata)
        return one

    def move(self, days: int) -> None:
        """Move the clock to the run so many days after the due date."""
        offset = at(day(days)) - clock.real_now()
        self.clock_file.write_text(json.dumps({clock.OFFSET: offset // timedelta(microseconds=1)}))
        clock.follow(self.clock_file)

    def run(self, days: int) -> None:
        """The run so many days after the due date."""
        self.move(days)
        self.house.run_dunning(at(day(days)))

    def go_on(self, days: int) -> pb.Delinquency:
        """The run so many days after the due date, and what it leaves."""
        self.run(days)
        return self.read()

    def actions(self) -> list[tuple[str, bool]]:
        """The steps, and whether each was done."""
        return [
            (pb.DunningStep.Action.Name(step.action).removeprefix("ACTION_"), step.HasField("done_time"))
            for step in self.read().steps
        ]


def at(on: date) -> datetime:
    """When the run begins on a day."""
    return datetime.combine(on, time(3, 43), UTC)


def day(count: int) -> date:
    return DUE_ON + timedelta(days=count)


def on(message: Any) -> date:
    """The day of a message."""
    return date(message.year, message.month, message.day)


def state_of(delinquency: pb.Delinquency) -> str:
    return pb.Delinquency.State.Name(delinquency.state).removeprefix("STATE_")


@pytest.fixture
def debtor(house: House, people: People, tmp_path: Path) -> Iterator[Debtor]:
    yield Debtor(Contract(house, people.customer()), tmp_path / "clock")
    clock.follow(None)
