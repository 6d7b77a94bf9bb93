"""Asking for credit back: who may decide, what is refused, and what becomes of refunds that fail."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from bazaruto.payments.v1 import refund_pb2 as pb
from libs.identity.authority import Authority
from libs.rpc import values
from tests.integration.payments.test_accounts import account_id, account_of
from tests.integration.payments.test_applying import Contract, Kind, contract, line, minor, money
from tests.integration.payments.test_refunds import cancel, check_ledger, paid, release, settle
from tests.support.errors import reason_of
from tests.support.people import People, Person, new_key

__all__ = ["contract"]


@pytest.fixture
def finance(people: People) -> Person:
    """Somebody who may pay back up to 50 euros."""
    return people.user("finance", authority=Authority(refund_limit={"EUR": 50_00}))


@pytest.fixture
def head(people: People) -> Person:
    """Somebody who may pay back up to 1,000 euros."""
    return people.user("finance", authority=Authority(refund_limit={"EUR": 1000_00}))


def with_credit(contract: Contract, card: str = "pm_card_ok") -> Contract:
    """The contract with a credit of 100.00."""
    paid(contract, card)
    contract.apply("ENDORSEMENT", line(Kind.KIND_PREMIUM, -100_00, "own_damage"))
    return contract


def create(contract: Contract, person: Person, amount: int, key: str = "", **fields: Any) -> pb.Refund:
    request = pb.CreateRefundRequest(billing_account_id=account_id(contract), amount=money(amount), **fields)
    metadata = person.metadata() if fields.get("validate_only") else person.metadata(idempotency_key=key or new_key())
    return contract.house.refunds.CreateRefund(request, metadata=metadata)


def act(contract: Contract, verb: str, person: Person, refund: pb.Refund, **fields: Any) -> pb.Refund:
    request = getattr(pb, f"{verb}RefundRequest")(refund_id=refund.refund_id, **fields)
    answer: pb.Refund = getattr(contract.house.refunds, f"{verb}Refund")(
        request, metadata=person.metadata(idempotency_key=new_key())
    )
    return answer


def get(contract: Contract, person: Person, refund: pb.Refund) -> pb.Refund:
    return contract.house.refunds.GetRefund(pb.GetRefundRequest(refund_id=refund.refund_id), metadata=person.metadata())


def balances(contract: Contract) -> tuple[int, int]:
    """Credit, and what is to be paid out."""
    return contract.balances().get("2300", 0), contract.balances().get("2310", 0)


def test_credit_that_finance_pays_back_arrives(contract: Contract, finance: Person) -> None:
    with_credit(contract)
    preview = create(contract, finance, 30_00, note="paid twice", validate_only=True)
    assert (preview.refund_id, preview.state, balances(contract)) == ("", pb.Refund.STATE_APPROVED, (100_00, 0))
    made = create(contract, finance, 30_00, note="paid twice")
    assert [(part.payment_id, part.amount) for part in made.parts] == [
        (part.payment_id, part.amount) for part in preview.parts
    ]
    assert balances(contract) == (70_00, 30_00)
    contract.house.work()
    shown = get(contract, contract.person, made)
    assert (shown.state, minor(shown.refunded_amount), shown.note) == (pb.Refund.STATE_SUCCEEDED, 30_00, "paid twice")
    assert balances(contract) == (70_00, 0)
    assert minor(account_of(contract).credit) == 70_00
    booked = "SELECT account_code, side, amount FROM postings JOIN journals ON journals.id = journal_id"
    assert contract.house.rows(f"{booked} WHERE rule = 'credit_refunded' ORDER BY line") == [
        ("2300", "debit", 30_00),
        ("2310", "credit", 30_00),
    ]
    check_ledger(contract)


def test_policyholder_asks_and_somebody_else_decides(contract: Contract, finance: Person, head: Person) -> None:
    asked = create(with_credit(contract), contract.person, 80_00)
    assert asked.state == pb.Refund.STATE_PENDING_APPROVAL
    assert contract.house.work() == ["payments.confirm_premium"]
    with pytest.raises(grpc.RpcError) as refused:
        act(contract, "Approve", finance, asked)
    assert reason_of(refused.value) == "AUTHORITY_EXCEEDED"
    assert act(contract, "Approve", head, asked).decided_by == head.user_id
    contract.house.work()
    assert get(contract, contract.person, asked).state == pb.Refund.STATE_SUCCEEDED
    check_ledger(contract)


def test_who_asked_for_more_than_their_limit_does_not_approve_it(contract: Contract, people: People) -> None:
    with_credit(contract)
    small = people.user("finance", authority=Authority(refund_limit={"EUR": 10_00}))
    asked = create(contract, small, 80_00)
    assert asked.state == pb.Refund.STATE_PENDING_APPROVAL
    raised = people.user("finance", user_id=small.id, authority=Authority(refund_limit={"EUR": 1000_00}))
    with pytest.raises(grpc.RpcError) as refused:
        act(contract, "Approve", raised, asked)
    assert reason_of(refused.value) == "FOUR_EYES"
    assert get(contract, raised, asked).state == pb.Refund.STATE_PENDING_APPROVAL


def test_refund_that_is_rejected_is_credit_again(contract: Contract, finance: Person) -> None:
    asked = create(with_credit(contract), contract.person, 80_00)
    rejected = act(contract, "Reject", finance, asked, note="by mistake")
    assert (rejected.state, rejected.note, balances(contract)) == (pb.Refund.STATE_RETURNED, "by mistake", (100_00, 0))
    for verb, fields in (("Approve", {}), ("Retry", {}), ("Reject", {"note": "again"})):
        with pytest.raises(grpc.RpcError) as refused:
            act(contract, verb, finance, asked, **fields)
        assert reason_of(refused.value) == "REFUND_STATE_INVALID"
    check_ledger(contract)


@pytest.mark.parametrize(
    ("amount", "reason"),
    [(money(100_01), "CREDIT_TOO_SMALL"), (money(0), "AMOUNT_INVALID"), (money(1, "USD"), "CURRENCY_MISMATCH")],
)
def test_amount_that_cannot_be_paid_back_is_refused(
    contract: Contract, finance: Person, amount: Any, reason: str
) -> None:
    with_credit(contract)
    for validate_only in (True, False):
        request = pb.CreateRefundRequest(
            billing_account_id=account_id(contract), amount=amount, validate_only=validate_only
        )
        with pytest.raises(grpc.RpcError) as refused:
            contract.house.refunds.CreateRefund(request, metadata=finance.metadata(idempotency_key=new_key()))
        assert reason_of(refused.value) == reason
    assert balances(contract) == (100_00, 0)
    assert contract.house.rows("SELECT count(*) FROM refunds") == [(0,)]


def test_refund_that_was_declined_is_sent_again_by_another_id(contract: Contract, finance: Person) -> None:
    made = create(with_credit(contract, "pm_card_refund_declined"), finance, 30_00)
    contract.house.work()
    assert get(contract, finance, made).state == pb.Refund.STATE_FAILED
    contract.house.rows("UPDATE sandbox_charges SET card = 'pm_card_ok' RETURNING card")
    assert act(contract, "Retry", finance, made).state == pb.Refund.STATE_APPROVED
    contract.house.work()
    shown = get(contract, finance, made)
    assert shown.state == pb.Refund.STATE_SUCCEEDED
    assert [part.state for part in shown.parts] == [pb.RefundPart.STATE_FAILED, pb.RefundPart.STATE_SUCCEEDED]
    check_ledger(contract)


def test_nothing_goes_back_to_a_card_that_is_no_more(contract: Contract, finance: Person) -> None:
    made = create(with_credit(contract, "pm_card_refund_expired"), finance, 30_00)
    contract.house.work()
    with pytest.raises(grpc.RpcError) as refused:
        act(contract, "Retry", finance, made)
    assert reason_of(refused.value) == "METHOD_EXPIRED"
    act(contract, "Reject", finance, made, note="the card is no more")
    assert balances(contract) == (100_00, 0)
    with pytest.raises(grpc.RpcError) as refused:
        create(contract, finance, 30_00)
    assert reason_of(refused.value) == "METHOD_EXPIRED"
    check_ledger(contract)


def test_credit_is_paid_back_once_however_many_ask_at_once(contract: Contract, finance: Person) -> None:
    with_credit(contract)

    def ask(number: int) -> str:
        try:
            return str(create(contract, finance, 40_00).state)
        except grpc.RpcError as error:
            return reason_of(error)

    with ThreadPoolExecutor(6) as pool:
        answers = sorted(pool.map(ask, range(6)))
    assert answers == [str(pb.Refund.STATE_APPROVED)] * 2 + ["CREDIT_TOO_SMALL"] * 4
    contract.house.work()
    assert balances(contract) == (20_00, 0)
    check_ledger(contract)


def test_refund_asked_for_twice_with_one_key_is_one(contract: Contract, finance: Person) -> None:
    with_credit(contract)
    key = new_key()
    assert create(contract, finance, 40_00, key=key) == create(contract, finance, 40_00, key=key)
    assert balances(contract) == (60_00, 40_00)


def test_refund_that_came_back_can_be_sent_again(contract: Contract, finance: Person) -> None:
    applied = cancel(paid(contract, "pm_card_refund_returned"))
    release(contract.house, applied)
    settle(contract.house)
    contract.house.rows("UPDATE sandbox_charges SET card = 'pm_card_ok' RETURNING card")
    act(contract, "Retry", finance, pb.Refund(refund_id=applied.refund_id))
    contract.house.work()
    shown = get(contract, contract.person, pb.Refund(refund_id=applied.refund_id))
    assert (shown.state, minor(shown.refunded_amount)) == (pb.Refund.STATE_SUCCEEDED, 707_77)
    assert values.date_from_proto(shown.not_before_date, "day") == values.date_from_proto(
        applied.refund_not_before_date, "day"
    )
    check_ledger(contract)


def test_refunds_are_shown_to_their_party_and_finance_only(contract: Contract, finance: Person, people: People) -> None:
    made = create(with_credit(contract), contract.person, 10_00)
    with pytest.raises(grpc.RpcError) as refused:
        get(contract, people.customer(), made)
    assert reason_of(refused.value) == "RESOURCE_NOT_FOUND"
    with pytest.raises(grpc.RpcError) as refused:
        create(contract, people.customer(), 10_00)
    assert reason_of(refused.value) == "RESOURCE_NOT_FOUND"

    def listed(person: Person, **fields: Any) -> list[str]:
        answer = contract.house.refunds.ListRefunds(pb.ListRefundsRequest(**fields), metadata=person.metadata())
        return [refund.refund_id for refund in answer.refunds]

    assert listed(contract.person) == listed(finance) == [made.refund_id]
    assert listed(people.customer()) == []
    assert listed(finance, state=pb.Refund.STATE_PENDING_APPROVAL, billing_account_id=account_id(contract)) == [
        made.refund_id
    ]
    assert listed(finance, state=pb.Refund.STATE_FAILED) == []
