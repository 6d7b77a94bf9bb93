"""Invoices that are collected when they fall due, because their payer wants it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from bazaruto.payments.v1 import billing_pb2 as pb
from bazaruto.payments.v1 import invoice_pb2
from libs import ids
from services.payments.billing.flows import invoicing
from services.payments.billing.kinds import Collect
from tests.integration.payments.house import House
from tests.integration.payments.test_accounts import add_method, remove, update
from tests.integration.payments.test_applying import Contract, Kind, contract, line

__all__ = ["contract"]


def on_autopay(contract: Contract, token: str = "pm_card_ok") -> str:
    """Have the contract's later invoices collected; gives the payment method."""
    (invoice,) = contract.issue(12).invoices
    contract.house.pay(contract.person, invoice.invoice_id)
    return choose(contract, token)


def choose(contract: Contract, token: str) -> str:
    method_id = add_method(contract, token).payment_method_id
    update(contract, "autopay", "payment_method_id", autopay=True, payment_method_id=method_id)
    return method_id


def bill_next(contract: Contract) -> UUID:
    """Bill the second installment."""
    now = datetime.now(UTC)
    with contract.house.database.transaction() as session:
        account_id = ids.decode("pol", contract.policy_id)
        invoicing.issue_due_invoices(session, account_id, now.date() + timedelta(days=45), now)
    ((invoice_id,),) = contract.house.rows("SELECT id FROM invoices WHERE installment_number = 2")
    return UUID(str(invoice_id))


def jobs(house: House) -> list[tuple[Any, ...]]:
    return house.rows(
        "SELECT args->>'attempt' FROM procrastinate_jobs WHERE task_name = 'payments.collect' ORDER BY id"
    )


def statuses(house: House, invoice_id: UUID) -> list[tuple[str, str]]:
    return house.rows(f"SELECT attempt, status FROM payments WHERE invoice_id = '{invoice_id}' ORDER BY id")


def test_try_that_was_declined_is_not_repeated_and_another_one_is(contract: Contract) -> None:
    on_autopay(contract, "pm_card_declined")
    invoice_id = bill_next(contract)
    for attempt in ("due", "due", "retry-10", "retry-10"):
        contract.house.handlers.collect(Collect(invoice_id, attempt))
    assert statuses(contract.house, invoice_id) == [("due", "declined"), ("retry-10", "declined")]


def test_invoice_that_was_declined_is_collected_with_the_card_that_its_payer_chooses_next(contract: Contract) -> None:
    on_autopay(contract, "pm_card_declined")
    invoice_id = bill_next(contract)
    contract.house.handlers.collect(Collect(invoice_id))
    choose(contract, "pm_card_ok")
    (*_, (attempt,)) = jobs(contract.house)
    contract.house.handlers.collect(Collect(invoice_id, attempt))
    assert statuses(contract.house, invoice_id) == [("due", "declined"), (attempt, "succeeded")]
    contract.house.check_money()


def test_charge_for_a_change_is_collected_too(contract: Contract) -> None:
    on_autopay(contract)
    schedule = pb.Schedule(charge_timing=pb.Schedule.CHARGE_TIMING_AT_ONCE)
    (invoice,) = contract.apply("ENDORSEMENT", line(Kind.KIND_PREMIUM, 50_00, "own_damage"), schedule=schedule).invoices
    assert "payments.collect" in contract.house.work()
    assert contract.house.get_invoice(contract.person, invoice.invoice_id).state == invoice_pb2.Invoice.STATE_PAID
    contract.house.check_money()


def test_nothing_is_collected_when_the_payer_no_longer_wants_it(contract: Contract) -> None:
    on_autopay(contract)
    invoice_id = bill_next(contract)
    update(contract, "autopay", autopay=False)
    contract.house.handlers.collect(Collect(invoice_id))
    assert statuses(contract.house, invoice_id) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("UPDATE billing_accounts SET payment_method_id = NULL RETURNING id", "method_missing"),
        ("UPDATE billing_accounts SET payer_id = gen_random_uuid() RETURNING id", "method_of_another_payer"),
    ],
)
def test_invoice_stays_open_whose_method_cannot_be_used_and_the_audit_log_says_why(
    contract: Contract, change: str, reason: str
) -> None:
    on_autopay(contract)
    invoice_id = bill_next(contract)
    contract.house.rows(change)
    contract.house.handlers.collect(Collect(invoice_id))
    assert statuses(contract.house, invoice_id) == []
    said = "SELECT resource, details->>'reason' FROM audit_events WHERE action = 'invoice_not_collected'"
    assert contract.house.rows(said) == [(ids.encode("inv", invoice_id), reason)]


def test_method_that_was_agreed_on_for_the_first_premium_is_not_used_for_others(contract: Contract) -> None:
    method_id = add_method(contract).payment_method_id
    contract.issue(12, payment_method_id=method_id)
    contract.house.work()
    invoice_id = bill_next(contract)
    contract.house.handlers.collect(Collect(invoice_id))
    assert statuses(contract.house, invoice_id) == []
    remove(contract, method_id)
