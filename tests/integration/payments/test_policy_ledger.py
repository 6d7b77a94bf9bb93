"""The proof of a policy: billing and the ledger say the same of it, whatever happens to it."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from bazaruto.payments.v1 import billing_pb2, invoice_pb2
from bazaruto.payments.v1 import ledger_pb2 as pb
from libs import ids
from libs.money import Money
from libs.rpc import values
from services.payments.billing.flows import invoicing
from services.payments.ledger.flows import booking
from services.payments.ledger.rules import posting
from services.payments.ledger.rules.journal import Subject
from tests.integration.payments.house import House
from tests.integration.payments.test_applying import Contract, Kind, line
from tests.support.errors import reason_of
from tests.support.people import People

UNPAID = (invoice_pb2.Invoice.STATE_OPEN, invoice_pb2.Invoice.STATE_PARTIALLY_PAID)
Item = pb.PolicyLedgerLine


def prove(house: House, policy_id: str) -> dict[str, tuple[int, int]]:
    """What billing and the ledger say, by item."""
    request = pb.GetPolicyLedgerRequest(policy_id=policy_id)
    ledger = house.ledger.GetPolicyLedger(request, metadata=house.people.admin().metadata())
    for each in ledger.lines:
        assert minor(each.difference) == minor(each.billed) - minor(each.booked)
    names = [Item.Item.Name(each.item).removeprefix("ITEM_").lower() for each in ledger.lines]
    return dict(zip(names, ((minor(each.billed), minor(each.booked)) for each in ledger.lines), strict=True))


def minor(amount: Any) -> int:
    return values.money_from_proto(amount).minor


class History:
    """A policy to which things happen at random."""

    def __init__(self, contract: Contract, seed: int) -> None:
        self.contract = contract
        self.house = contract.house
        self.random = random.Random(seed)
        self.premium = {"own_damage": self.random.randint(1, 200_000), "glass": self.random.randint(0, 500)}
        self.tax = self.random.randint(0, 30_000)
        self.days = 0

    def begin(self) -> None:
        lines = [line(Kind.KIND_PREMIUM, amount, code) for code, amount in self.premium.items() if amount]
        lines += [line(Kind.KIND_TAX, self.tax, "premium_tax"), line(Kind.KIND_FEE, 25_00, "policy_fee")]
        installments = self.random.choice([1, 2, 4, 12])
        schedule = billing_pb2.Schedule(plan_code="plan", installments=installments)
        self.contract.apply("NEW_BUSINESS", *lines, schedule=schedule)

    def go_on(self) -> None:
        steps = [self.endorse, self.endorse, self.pay, self.pay, self.bill, self.cancel, self.send_refunds, self.sum_up]
        self.random.choice(steps)()

    def endorse(self) -> None:
        code = self.random.choice(list(self.premium))
        change = self.random.randint(-self.premium[code], 50_000)
        taxed = self.random.randint(-self.tax, 5_000)
        self._change("ENDORSEMENT", code, change, taxed)

    def cancel(self) -> None:
        """All that is left is given back but for a part that is kept."""
        code = max(self.premium, key=lambda name: self.premium[name])
        kept = self.random.randint(0, self.premium[code])
        self._change("CANCELLATION", code, -self.premium[code], -self.random.randint(0, self.tax), kept)

    def pay(self) -> None:
        request = invoice_pb2.ListInvoicesRequest(policy_id=self.contract.policy_id, page_size=100)
        listed = self.house.invoices.ListInvoices(request, metadata=self.contract.person.metadata()).invoices
        if unpaid := [invoice for invoice in listed if invoice.state in UNPAID]:
            self.house.pay(self.contract.person, self.random.choice(unpaid).invoice_id)

    def bill(self) -> None:
        self.days += self.random.randint(0, 200)
        until = datetime.now(UTC).date() + timedelta(days=self.days)
        with self.house.database.transaction() as session:
            account_id = ids.decode("pol", self.contract.policy_id)
            invoicing.issue_due_invoices(session, account_id, until, datetime.now(UTC))

    def send_refunds(self) -> None:
        self.house.work()

    def sum_up(self) -> None:
        self.house.registered.run("payments.close_days")

    def _change(self, kind: str, code: str, net: int, tax: int, kept: int = 0) -> None:
        self.premium[code] += net
        self.tax += tax
        amounts = (
            (Kind.KIND_PREMIUM, net, code),
            (Kind.KIND_TAX, tax, "premium_tax"),
            (Kind.KIND_RETENTION, kept, code),
        )
        lines = [line(what, amount, name) for what, amount, name in amounts if amount]
        schedule = billing_pb2.Schedule(
            charge_timing=self.random.choice(list(billing_pb2.Schedule.ChargeTiming.values())[1:]),
            credit_timing=self.random.choice(list(billing_pb2.Schedule.CreditTiming.values())),
        )
        self.contract.apply(kind, *lines, schedule=schedule)


@pytest.mark.parametrize("seed", range(8))
def test_billing_and_the_ledger_agree_whatever_happens(house: House, people: People, seed: int) -> None:
    history = History(Contract(house, people.customer()), seed)
    history.begin()
    for _ in range(12):
        history.go_on()
        proof = prove(house, history.contract.policy_id)
        assert {item: pair for item, pair in proof.items() if pair[0] != pair[1]} == {}
        said = {item: billed for item, (billed, _) in proof.items()}
        charged = said["premium"] + said["retention"] + said["tax"] + said["fees"]
        assert charged - said["paid"] == said["unbilled"] + said["open"] - said["credit"] - said["refunds"]
        assert min(said["unbilled"], said["open"], said["credit"], said["refunds"], said["paid"]) >= 0
        assert all(minor(money) == 0 for money in house.trial_balance().differences)


def test_policy_whose_price_left_the_books_has_nothing_in_either(house: House, people: People) -> None:
    contract = Contract(house, people.customer())
    contract.issue(4, issue_time=values.time_to_proto(datetime(2026, 1, 1, tzinfo=UTC)))
    contract.apply(
        "NOT_TAKEN",
        line(Kind.KIND_PREMIUM, -1200_00, "own_damage"),
        line(Kind.KIND_TAX, -204_00, "premium_tax"),
        line(Kind.KIND_FEE, -25_00, "policy_fee"),
    )
    assert set(prove(house, contract.policy_id).values()) == {(0, 0)}


def test_journal_that_billing_knows_nothing_of_is_a_difference(house: House, people: People) -> None:
    contract = Contract(house, people.customer())
    contract.issue()
    subject = Subject(ids.decode("pol", contract.policy_id))
    with house.database.transaction() as session:
        journal = posting.PAYMENT_CAPTURED.journal("x", subject, datetime.now(UTC).date(), Money(5, "EUR"))
        booking.book(session, journal, datetime.now(UTC))
    proof = prove(house, contract.policy_id)
    assert {item: pair for item, pair in proof.items() if pair[0] != pair[1]} == {
        "open": (1429_00, 1428_95),
        "paid": (0, 5),
    }


def test_ledger_of_a_policy_is_for_finance_and_of_what_is_billed(house: House, people: People) -> None:
    contract = Contract(house, people.customer())
    contract.issue()
    for policy_id, person, reason in (
        (contract.policy_id, contract.person, "ACCESS_DENIED"),
        (ids.encode("pol", ids.new()), people.admin(), "RESOURCE_NOT_FOUND"),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            house.ledger.GetPolicyLedger(pb.GetPolicyLedgerRequest(policy_id=policy_id), metadata=person.metadata())
        assert reason_of(refused.value) == reason
