"""Paying invoices: every outcome, every refusal, and never a second charge."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import grpc
import psycopg
import pytest
from sqlalchemy.orm import Session

from bazaruto.payments.v1 import invoice_pb2
from bazaruto.payments.v1 import payment_pb2 as pb
from libs import ids
from libs.money import Money
from libs.rpc import values
from services.payments.billing.rules.invoice import Invoice
from services.payments.collection.store import payments
from tests.integration.payments.house import House
from tests.support.errors import reason_of, status_of
from tests.support.people import People, Person, new_key
from tests.support.servers import refuse_stale_reads


def refused(house: House, person: Person, invoice_id: str, card: str = "pm_card_ok", **more: object) -> str:
    """The reason for which paying is refused."""
    with pytest.raises(grpc.RpcError) as error:
        house.pay(person, invoice_id, card, **more)  # type: ignore[arg-type]
    return reason_of(error.value)


def test_paid_invoice_is_settled_and_booked_and_the_policy_confirmed(house: House, people: People) -> None:
    person = people.customer()
    billing = house.open(person)
    paid = house.pay(person, billing.installments[0].invoice_id, amount=Money(1429_00, "EUR"))
    assert paid.state == pb.Payment.STATE_SUCCEEDED
    assert paid.provider == "sandbox"
    assert paid.provider_reference
    assert paid.user_id == person.user_id
    assert values.money_from_proto(paid.amount) == Money(1429_00, "EUR")
    assert paid == house.get_payment(person, paid.payment_id)

    invoice = house.get_invoice(person, paid.invoice_id)
    assert invoice.state == invoice_pb2.Invoice.STATE_PAID
    assert invoice.paid_time == paid.complete_time
    assert values.money_from_proto(invoice.amount_due) == Money(0, "EUR")
    again = house.invoices.GetBilling(
        invoice_pb2.GetBillingRequest(policy_id=billing.policy_id), metadata=person.metadata()
    )
    assert again.installments[0].state == invoice_pb2.Installment.STATE_SETTLED

    assert house.work() == ["payments.confirm_premium"]
    activated = (ids.decode("pol", billing.policy_id), ids.decode("pay", paid.payment_id))
    assert house.policies.activated == [activated]
    house.check_money()


def test_admins_and_services_see_an_invoice_and_cannot_pay_it(house: House, people: People) -> None:
    owner = people.customer()
    invoice_id = house.invoice_of(owner)
    waiting = house.pay(owner, invoice_id, "pm_card_action")
    for person in (people.admin(), people.service("policies-worker")):
        assert house.get_invoice(person, invoice_id).invoice_id == invoice_id
        assert refused(house, person, invoice_id) == "RESOURCE_NOT_FOUND"
        with pytest.raises(grpc.RpcError) as error:
            house.confirm(person, waiting.payment_id)
        assert reason_of(error.value) == "RESOURCE_NOT_FOUND"
    assert house.get_payment(owner, waiting.payment_id) == waiting


def test_confirming_a_payment_looks_at_what_is_so_now(
    house: House, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = people.customer()
    waiting = house.pay(person, house.invoice_of(person), "pm_card_action")
    refuse_stale_reads(monkeypatch)
    assert house.confirm(person, waiting.payment_id).state == pb.Payment.STATE_SUCCEEDED


def test_same_key_returns_the_first_payment(house: House, people: People) -> None:
    person, key = people.customer(), new_key()
    invoice_id = house.invoice_of(person)
    first = house.pay(person, invoice_id, key=key)
    assert house.pay(person, invoice_id, key=key) == first
    assert len(house.provider.asked) == 1
    house.check_money()


def test_twenty_parallel_calls_with_one_key_charge_once(house: House, people: People) -> None:
    person, key = people.customer(), new_key()
    invoice_id = house.invoice_of(person)

    def attempt(_: int) -> str:
        try:
            return house.pay(person, invoice_id, key=key).payment_id
        except grpc.RpcError as error:
            return reason_of(error)

    with ThreadPoolExecutor(20) as pool:
        answers = set(pool.map(attempt, range(20)))
    (paid,) = house.rows("SELECT id FROM payments")[0]
    assert answers <= {ids.encode("pay", paid), "IDEMPOTENCY_KEY_IN_USE"}
    assert ids.encode("pay", paid) in answers
    assert house.provider.asked == [paid]
    house.check_money()


def test_parallel_calls_with_different_keys_charge_once(house: House, people: People) -> None:
    person = people.customer()
    invoice_id = house.invoice_of(person)

    def attempt(_: int) -> str:
        key = new_key()
        while True:
            try:
                return pb.Payment.State.Name(house.pay(person, invoice_id, key=key).state)
            except grpc.RpcError as error:
                # Waiting for the others may outlast the lock's time limit: then a caller tries again, with the key.
                if reason_of(error) != "CONCURRENT_CHANGE":
                    return reason_of(error)

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(attempt, range(10)))
    assert answers.count("STATE_SUCCEEDED") == 1
    assert set(answers) <= {"STATE_SUCCEEDED", "PAYMENT_IN_PROGRESS", "INVOICE_ALREADY_PAID"}
    assert len(house.provider.asked) == 1
    house.check_money()


def test_key_used_for_another_request_is_refused(house: House, people: People) -> None:
    person, key = people.customer(), new_key()
    house.pay(person, house.invoice_of(person), key=key)
    assert refused(house, person, house.invoice_of(person), key=key) == "IDEMPOTENCY_KEY_REUSED"
    assert len(house.provider.asked) == 1


def test_missing_key_is_refused(house: House, people: People) -> None:
    person = people.customer()
    request = pb.PayInvoiceRequest(invoice_id=house.invoice_of(person), payment_method="pm_card_ok")
    with pytest.raises(grpc.RpcError) as error:
        house.payments.PayInvoice(request, metadata=person.metadata())
    assert reason_of(error.value) == "IDEMPOTENCY_KEY_REQUIRED"


def test_paid_invoice_is_not_paid_again(house: House, people: People) -> None:
    person = people.customer()
    invoice_id = house.invoice_of(person)
    house.pay(person, invoice_id)
    assert refused(house, person, invoice_id) == "INVOICE_ALREADY_PAID"
    house.check_money()


def test_void_invoice_is_not_payable(house: House, people: People) -> None:
    person = people.customer()
    invoice_id = house.invoice_of(person)
    house.rows("UPDATE invoices SET status = 'void' RETURNING id")
    assert refused(house, person, invoice_id) == "INVOICE_NOT_PAYABLE"
    assert house.provider.asked == []


@pytest.mark.parametrize(
    ("amount", "reason"),
    [
        (Money(1429_00, "USD"), "CURRENCY_MISMATCH"),
        (Money(1428_99, "EUR"), "AMOUNT_INVALID"),
        (Money(-1429_00, "EUR"), "AMOUNT_INVALID"),
        (Money(10**12, "EUR"), "AMOUNT_INVALID"),
    ],
)
def test_other_amount_than_the_amount_due_is_refused(house: House, people: People, amount: Money, reason: str) -> None:
    person = people.customer()
    assert refused(house, person, house.invoice_of(person), amount=amount) == reason
    assert house.rows("SELECT count(*) FROM payments") == [(0,)]
    assert house.rows("SELECT count(*) FROM idempotency_keys") == [(0,)]
    assert house.provider.asked == []


@pytest.mark.parametrize(
    ("card", "code"), [("pm_card_declined", "card_declined"), ("pm_card_insufficient_funds", "insufficient_funds")]
)
def test_declined_payment_is_kept_and_its_error_replayed(house: House, people: People, card: str, code: str) -> None:
    person, key = people.customer(), new_key()
    invoice_id = house.invoice_of(person)
    assert [refused(house, person, invoice_id, card, key=key) for _ in range(2)] == ["PAYMENT_DECLINED"] * 2
    assert house.rows("SELECT status, decline_code FROM payments") == [("declined", code)]
    assert len(house.provider.asked) == 1
    # The invoice is still open, and another card may pay it.
    assert house.pay(person, invoice_id).state == pb.Payment.STATE_SUCCEEDED
    listed = house.payments.ListPayments(pb.ListPaymentsRequest(invoice_id=invoice_id), metadata=person.metadata())
    assert [item.state for item in listed.payments] == [pb.Payment.STATE_SUCCEEDED, pb.Payment.STATE_DECLINED]
    house.check_money()


def test_decline_names_its_code(house: House, people: People) -> None:
    person = people.customer()
    with pytest.raises(grpc.RpcError) as error:
        house.pay(person, house.invoice_of(person), "pm_card_declined")
    assert b"card_declined" in status_of(error.value).SerializeToString()


def test_unknown_payment_method_moves_nothing_and_is_replayed(house: House, people: People) -> None:
    person, key = people.customer(), new_key()
    invoice_id = house.invoice_of(person)
    answers = [refused(house, person, invoice_id, "pm_nonsense", key=key) for _ in range(2)]
    assert answers == ["PAYMENT_METHOD_INVALID"] * 2
    assert house.rows("SELECT status FROM payments") == [("canceled",)]
    assert house.rows("SELECT count(*) FROM sandbox_charges") == [(0,)]
    assert house.pay(person, invoice_id).state == pb.Payment.STATE_SUCCEEDED
    house.check_money()


def test_payment_that_another_one_came_before_at_the_last_moment_is_refused(
    house: House, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two invoices of an account are locked each by itself: both may see that nothing is under way."""
    person = people.customer()
    invoice_id = house.invoice_of(person)
    house.pay(person, invoice_id, "pm_card_timeout")
    find_open, looks = payments.find_open, iter([True])

    def look_too_early(session: Session, unpaid: Invoice) -> UUID | None:
        return None if next(looks, False) else find_open(session, unpaid)

    monkeypatch.setattr(payments, "find_open", look_too_early)
    assert refused(house, person, invoice_id) == "PAYMENT_IN_PROGRESS"
    assert next(looks, None) is None
    assert house.rows("SELECT count(*) FROM payments") == [(1,)]


def test_second_payment_waits_for_the_first(house: House, people: People) -> None:
    person = people.customer()
    invoice_id = house.invoice_of(person)
    first = house.pay(person, invoice_id, "pm_card_timeout")
    assert first.state == pb.Payment.STATE_PROCESSING
    with pytest.raises(grpc.RpcError) as error:
        house.pay(person, invoice_id)
    assert reason_of(error.value) == "PAYMENT_IN_PROGRESS"
    assert first.payment_id.encode() in status_of(error.value).SerializeToString()
    assert len(house.provider.asked) == 1


def test_payer_who_acted_confirms(house: House, people: People) -> None:
    person = people.customer()
    invoice_id = house.invoice_of(person)
    waiting = house.pay(person, invoice_id, "pm_card_action")
    assert waiting.state == pb.Payment.STATE_REQUIRES_ACTION
    assert waiting.action_url.startswith("https://")
    assert house.get_invoice(person, invoice_id).state == invoice_pb2.Invoice.STATE_OPEN
    assert house.rows("SELECT count(*) FROM journals WHERE rule = 'payment_captured'") == [(0,)]

    confirmed = house.confirm(person, waiting.payment_id)
    assert confirmed.state == pb.Payment.STATE_SUCCEEDED
    assert confirmed.etag != waiting.etag
    assert not confirmed.action_url
    assert house.confirm(person, waiting.payment_id) == confirmed
    assert house.work() == ["payments.confirm_premium"]
    house.check_money()


def test_parallel_confirmations_take_effect_once(house: House, people: People) -> None:
    person, key = people.customer(), new_key()
    waiting = house.pay(person, house.invoice_of(person), "pm_card_action")
    with ThreadPoolExecutor(8) as pool:
        keys = [key] * 4 + [""] * 4
        confirmed = list(pool.map(lambda each: house.confirm(person, waiting.payment_id, each), keys))
    assert all(item == confirmed[0] for item in confirmed)
    assert house.work() == ["payments.confirm_premium"]
    house.check_money()


def test_payment_at_its_end_is_confirmed_as_it_is(house: House, people: People) -> None:
    person = people.customer()
    invoice_id = house.invoice_of(person)
    refused(house, person, invoice_id, "pm_card_declined")
    listed = house.payments.ListPayments(pb.ListPaymentsRequest(), metadata=person.metadata()).payments
    assert house.confirm(person, listed[0].payment_id) == listed[0]


def test_pages_show_every_payment_of_the_caller_once(house: House, people: People) -> None:
    person = people.customer()
    paid = [house.pay(person, house.invoice_of(person)).payment_id for _ in range(3)]
    stranger = people.customer()
    house.pay(stranger, house.invoice_of(stranger))
    first = house.payments.ListPayments(pb.ListPaymentsRequest(page_size=2), metadata=person.metadata())
    request = pb.ListPaymentsRequest(page_size=2, page_token=first.next_page_token)
    second = house.payments.ListPayments(request, metadata=person.metadata())
    assert [item.payment_id for item in (*first.payments, *second.payments)] == paid[::-1]
    with pytest.raises(grpc.RpcError) as error:
        house.payments.ListPayments(request, metadata=stranger.metadata())
    assert reason_of(error.value) == "PAGE_TOKEN_INVALID"


def test_payment_at_its_end_cannot_be_changed_even_by_sql(house: House, people: People) -> None:
    person = people.customer()
    house.pay(person, house.invoice_of(person))
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="came to its end"):
        house.rows("UPDATE payments SET status = 'declined'")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        house.rows("DELETE FROM payments")


def test_database_refuses_a_second_open_payment_of_an_invoice(house: House, people: People) -> None:
    person = people.customer()
    house.pay(person, house.invoice_of(person), "pm_card_timeout")
    insert = (
        "INSERT INTO payments (id, invoice_id, user_id, amount, currency, status, provider, created_at, completed_at)"
        " SELECT gen_random_uuid(), invoice_id, user_id, amount, currency, status, provider, created_at, completed_at"
        " FROM payments"
    )
    with pytest.raises(psycopg.errors.UniqueViolation, match="payments_one_open"):
        house.rows(insert)
