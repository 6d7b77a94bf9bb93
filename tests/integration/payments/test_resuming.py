"""Installments that fell away when cover ended come back when it goes on: on a real server and a real database."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bazaruto.payments.v1 import billing_pb2 as pb
from bazaruto.payments.v1 import invoice_pb2
from libs import ids
from libs.rpc import values
from tests.integration.payments.test_applying import STARTS_ON, Contract, Kind, contract, line, minor
from tests.integration.payments.test_refunds import BACK, PRO_RATA, TODAY, check_ledger, last_transaction, paid_out

__all__ = ["contract"]

ALL = (line(Kind.KIND_PREMIUM, -1200_00, "own_damage"), line(Kind.KIND_TAX, -204_00, "premium_tax"))


@pytest.fixture
def monthly(contract: Contract) -> Contract:
    """A contract of twelve installments, the first of them paid: 142.00, and eleven times 117.00."""
    (invoice,) = contract.issue(12).invoices
    contract.house.pay(contract.person, invoice.invoice_id)
    return contract


def end(contract: Contract, *lines: Any, kind: str = "CANCELLATION", after: int = 181) -> pb.AppliedTransaction:
    """End cover so many days after its first day."""
    return contract.apply(kind, *lines, effective_date=values.date_to_proto(STARTS_ON + timedelta(days=after)))


def take_back(contract: Contract, *lines: Any) -> pb.AppliedTransaction:
    """Take the last transaction back."""
    return contract.apply("REVERSAL", *lines, reverses_transaction_id=ids.encode("ptx", last_transaction(contract)))


def planned(contract: Contract) -> list[tuple[int, str, int]]:
    """Number, due date and amount of what is planned."""
    return [
        (part.installment_number, str(values.optional_date(part, "due_date")), minor(part.premium.total))
        for part in contract.billing().installments
        if part.state == invoice_pb2.Installment.STATE_PLANNED
    ]


@pytest.mark.parametrize("kind", ["CANCELLATION", "LAPSE"])
def test_installments_are_planned_again_as_they_were(monthly: Contract, kind: str) -> None:
    before = planned(monthly)
    assert len(end(monthly, *PRO_RATA, kind=kind).planned) == 5
    applied = take_back(monthly, *BACK)
    assert planned(monthly) == before
    assert (list(applied.invoices), minor(applied.balance_due), paid_out(applied)) == ([], 0, 0)
    check_ledger(monthly)


def test_ending_that_is_taken_back_leaves_the_one_that_it_had_replaced(monthly: Contract) -> None:
    end(monthly, *PRO_RATA)
    before = planned(monthly)
    end(monthly, line(Kind.KIND_PREMIUM, -200_00, "own_damage"), after=120)
    assert len(planned(monthly)) == 4
    take_back(monthly, line(Kind.KIND_PREMIUM, 200_00, "own_damage"))
    assert planned(monthly) == before
    check_ledger(monthly)


def test_installments_that_differ_come_back_as_they_were(monthly: Contract) -> None:
    with_the_next = pb.Schedule(charge_timing=pb.Schedule.CHARGE_TIMING_NEXT_INSTALLMENT)
    monthly.apply("ENDORSEMENT", line(Kind.KIND_PREMIUM, 90_01, "own_damage"), schedule=with_the_next)
    before = planned(monthly)
    assert {amount for _, _, amount in before} == {207_01, 117_00}
    end(monthly, *PRO_RATA)
    take_back(monthly, *BACK)
    assert planned(monthly) == before
    check_ledger(monthly)


def test_what_was_paid_is_billed_again_and_settled_by_the_refund_that_was_not_sent(monthly: Contract) -> None:
    before = planned(monthly)
    assert paid_out(end(monthly, *ALL)) == 117_00
    applied = take_back(monthly, *(line(item.kind, -minor(item.amount), code_of(item)) for item in ALL))
    assert planned(monthly) == before
    (bill,) = applied.invoices
    assert (minor(bill.premium.total), minor(bill.amount_due), minor(applied.balance_due)) == (117_00, 0, 0)
    check_ledger(monthly)


def test_refund_that_was_sent_is_due_again_and_nothing_else(monthly: Contract) -> None:
    before = planned(monthly)
    today = values.date_to_proto(TODAY)
    monthly.apply("CANCELLATION", *ALL, effective_date=today)
    monthly.house.work()
    applied = take_back(monthly, *(line(item.kind, -minor(item.amount), code_of(item)) for item in ALL))
    assert (planned(monthly), minor(applied.balance_due)) == (before, 117_00)
    check_ledger(monthly)


def test_cover_that_goes_on_with_a_gap_is_paid_on_the_days_that_were_planned(monthly: Contract) -> None:
    before = planned(monthly)
    end(monthly, *PRO_RATA, kind="LAPSE")
    part = line(Kind.KIND_PREMIUM, 500_00, "own_damage")
    monthly.apply("REINSTATEMENT", part)
    after = planned(monthly)
    assert [item[:2] for item in after] == [item[:2] for item in before]
    amounts = [item[2] for item in after]
    assert sum(amounts) == sum(item[2] for item in before) - 707_77 + 500_00
    assert max(amounts) - min(amounts) <= 1
    check_ledger(monthly)


def test_credit_that_is_left_behind_a_lapse_is_paid_out_without_being_asked_for(contract: Contract) -> None:
    (invoice,) = contract.issue().invoices
    contract.house.pay(contract.person, invoice.invoice_id)
    contract.apply("ENDORSEMENT", line(Kind.KIND_PREMIUM, -100_00, "own_damage"))
    assert paid_out(end(contract, *PRO_RATA, kind="LAPSE")) == 807_77
    check_ledger(contract)


def code_of(item: Any) -> str:
    return str(item.coverage_code or item.charge_code)
