"""What a next term of a policy comes to in payments: its first invoice, its first premium, and its end unpaid."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any

import grpc
import pytest

from bazaruto.common.v1 import charge_pb2
from bazaruto.payments.v1 import billing_pb2 as pb
from bazaruto.payments.v1 import invoice_pb2
from libs import ids
from libs.rpc import values
from services.payments.billing.jobs import issue_due_invoices
from tests.integration.payments.house import House
from tests.integration.payments.test_applying import ENDS_ON, Contract, Kind, line, minor, planned
from tests.support.errors import reason_of
from tests.support.people import People

NEXT_END = ENDS_ON + timedelta(days=365)


@pytest.fixture
def contract(house: House, people: People) -> Iterator[Contract]:
    """A policy whose first term is paid; when the test is over, the books and the invoices say the same."""
    contract = Contract(house, people.customer())
    (invoice,) = contract.issue().invoices
    house.pay(contract.person, invoice.invoice_id)
    yield contract
    house.check_money()


def renew(contract: Contract, installments: int = 1, **changes: Any) -> pb.AppliedTransaction:
    """The transaction that begins the second term: 1300.00 net, and its tax."""
    lines = (line(Kind.KIND_PREMIUM, 1300_00, "own_damage"), line(Kind.KIND_TAX, 221_00, "premium_tax"))
    return contract.apply("RENEWAL", *map(of_next_term, lines), **NEXT, **paid_in(installments), **changes)


def of_next_term(item: charge_pb2.ChargeLine) -> charge_pb2.ChargeLine:
    item.term_number = 2
    item.start_date.CopyFrom(values.date_to_proto(ENDS_ON))
    item.end_date.CopyFrom(values.date_to_proto(NEXT_END if item.kind == Kind.KIND_PREMIUM else ENDS_ON))
    return item


NEXT = {
    "term_number": 2,
    "term_start_date": values.date_to_proto(ENDS_ON),
    "term_end_date": values.date_to_proto(NEXT_END),
    "effective_date": values.date_to_proto(ENDS_ON),
}


def paid_in(installments: int) -> dict[str, Any]:
    return {"schedule": pb.Schedule(plan_code="plan", installments=installments)}


def until(days: int) -> dict[str, Any]:
    """A first premium that can be paid for some days from now."""
    return {"first_payable_until_time": values.time_to_proto(datetime.now(UTC) + timedelta(days=days))}


def closed(contract: Contract) -> pb.AppliedTransaction:
    """The transaction by which policies takes the second term back."""
    lines = (line(Kind.KIND_PREMIUM, -1300_00, "own_damage"), line(Kind.KIND_TAX, -221_00, "premium_tax"))
    return contract.apply("NOT_TAKEN", *map(of_next_term, lines), **NEXT)


def test_next_term_that_covers_before_it_is_paid_is_billed_when_it_falls_due(contract: Contract) -> None:
    applied = renew(contract, 4)
    assert list(applied.invoices) == []
    assert [amount for _, _, amount in planned(applied)] == [380_25] * 4
    assert applied.planned[0].due_date == values.date_to_proto(ENDS_ON)


def test_next_term_that_waits_for_its_premium_is_billed_at_once_and_due_when_it_begins(contract: Contract) -> None:
    house, person = contract.house, contract.person
    (invoice,) = renew(contract, 4, **until(400)).invoices
    assert (minor(invoice.amount_due), invoice.due_date) == (380_25, values.date_to_proto(ENDS_ON))
    assert invoice.payable_until_time.ToDatetime(UTC) > datetime.now(UTC)
    paid = house.pay(person, invoice.invoice_id)
    house.work()
    assert house.policies.activated[-1] == (ids.decode("pol", contract.policy_id), ids.decode("pay", paid.payment_id))
    assert house.policies.terms == [1, 2]


def test_credit_that_settles_a_first_premium_lets_cover_begin(contract: Contract) -> None:
    contract.apply("ENDORSEMENT", line(Kind.KIND_PREMIUM, -700_00, "own_damage"))
    (invoice,) = renew(contract, 4, **until(400)).invoices
    assert (minor(invoice.amount_due), invoice.state) == (0, invoice_pb2.Invoice.STATE_PAID)
    contract.house.work()
    assert contract.house.policies.activated[-1][1] == ids.decode("inv", invoice.invoice_id)
    assert contract.house.policies.terms == [1, 2]


def test_next_term_that_was_not_paid_is_closed_and_leaves_the_first_one_in_the_books(contract: Contract) -> None:
    house, person = contract.house, contract.person
    before = contract.balances()
    (invoice,) = renew(contract, 4, **until(-1)).invoices
    with pytest.raises(grpc.RpcError) as refused:
        house.pay(person, invoice.invoice_id)
    assert reason_of(refused.value) == "INVOICE_NOT_PAYABLE"
    house.registered.run("payments.close_unpaid_policies")
    closed_of = ids.decode("pol", contract.policy_id), ids.decode("inv", invoice.invoice_id)
    assert house.policies.closed == [closed_of]
    applied = closed(contract)
    assert (planned(applied), minor(applied.credited), minor(applied.balance_due)) == ([], 0, 0)
    assert contract.balances() == before
    assert house.rows("SELECT withdrawn_at IS NULL FROM billing_accounts") == [(True,)]


def test_term_after_one_that_was_not_taken_is_billed_as_any_other(contract: Contract) -> None:
    renew(contract, 4, **until(-1))
    closed(contract)
    item = of_next_term(line(Kind.KIND_PREMIUM, 1300_00, "own_damage"))
    item.term_number = 3
    contract.apply("RENEWAL", item, **{**NEXT, "term_number": 3}, **paid_in(2))
    house = contract.house
    issue_due_invoices(house.database, datetime.combine(ENDS_ON, time.min, UTC))
    assert house.rows("SELECT installment_number, total FROM invoices WHERE term_number = 3") == [(1, 650_00)]
