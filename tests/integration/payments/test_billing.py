"""Opening billings and reading them, and the invoices that fall due, on a real server and a real database."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import grpc
import psycopg
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from bazaruto.payments.v1 import billing_pb2
from bazaruto.payments.v1 import invoice_pb2 as pb
from bazaruto.payments.v1.payment_method_pb2 import AddPaymentMethodRequest
from libs import ids
from libs.money import Money
from libs.rpc import values
from libs.rpc.errors import NeighbourUnavailable
from services.payments.collection.rules.provider import Charged
from tests.integration.payments.house import House, premium
from tests.support.errors import reason_of
from tests.support.people import People, new_key


def test_opened_billing_has_its_installments_and_a_first_invoice(house: House, people: People) -> None:
    person = people.customer()
    starts_on = values.date_to_proto(date(2026, 12, 1))
    billing = house.open(person, plan_code="monthly", installments=12, start_date=starts_on)
    states = [part.state for part in billing.installments]
    assert states == [pb.Installment.STATE_INVOICED] + [pb.Installment.STATE_PLANNED] * 11
    assert sum(values.money_from_proto(part.premium.total).minor for part in billing.installments) == 1429_00
    assert values.date_from_proto(billing.installments[0].due_date, "") == date(2026, 11, 24)
    assert values.date_from_proto(billing.installments[1].due_date, "") == date(2027, 1, 1)
    assert all(not part.invoice_id for part in billing.installments[1:])

    invoice = house.get_invoice(person, billing.installments[0].invoice_id)
    assert invoice.state == pb.Invoice.STATE_OPEN
    assert invoice.invoice_number == f"INV-{datetime.now(UTC).year}-000001"
    assert invoice.amount_due == invoice.premium.total == billing.installments[0].premium.total
    assert not invoice.HasField("paid_time")


def test_opening_posts_the_policy_and_the_invoice(house: House, people: People) -> None:
    house.open(people.customer(), installments=2, premium=premium(100_00, 20_00))
    balances = {
        line.account_code: values.money_from_proto(line.balance).minor for line in house.trial_balance().accounts
    }
    assert balances == {"1100": 60_00, "1105": 60_00, "2000": 100_00, "2100": 20_00}
    house.check_money()


def test_collecting_waits_for_a_payment_method(house: House, people: People) -> None:
    house.open(people.customer())
    assert house.work() == []
    house.open(people.customer(), payment_method="pm_card_ok")
    assert house.rows("SELECT task_name FROM procrastinate_jobs") == [("payments.collect",)]


def test_same_billing_again_changes_nothing(house: House, people: People) -> None:
    request = house.request(people.customer(), installments=4, payment_method="pm_card_ok")
    first = house.invoices.OpenBilling(request, metadata=house.worker.metadata())
    assert house.invoices.OpenBilling(request, metadata=house.worker.metadata()) == first
    assert house.rows("SELECT count(*) FROM invoices") == [(1,)]
    assert house.rows("SELECT count(*) FROM journals") == [(2,)]
    assert house.rows("SELECT count(*) FROM procrastinate_jobs") == [(1,)]


def test_billing_is_asked_for_again_without_the_token_that_was_forgotten(house: House, people: People) -> None:
    request = house.request(people.customer(), payment_method="pm_card_ok")
    first = house.invoices.OpenBilling(request, metadata=house.worker.metadata())
    request.payment_method = ""
    assert house.invoices.OpenBilling(request, metadata=house.worker.metadata()) == first


def test_parallel_openings_of_one_policy_bill_it_once(house: House, people: People) -> None:
    request = house.request(people.customer(), installments=12)
    with ThreadPoolExecutor(8) as pool:
        opened = list(
            pool.map(lambda _: house.invoices.OpenBilling(request, metadata=house.worker.metadata()), range(8))
        )
    assert all(billing == opened[0] for billing in opened)
    assert house.rows("SELECT count(*) FROM invoices") == [(1,)]


@pytest.mark.parametrize(
    "change", [{"transaction_id": ids.encode("ptx", ids.new())}, {"premium": premium(1200_00, 204_00, 24_99)}]
)
def test_other_billing_of_the_same_policy_is_refused(house: House, people: People, change: dict[str, Any]) -> None:
    request = house.request(people.customer())
    house.invoices.OpenBilling(request, metadata=house.worker.metadata())
    other = house.request(people.customer(), **change)
    for name in {"policy_id", "user_id", "transaction_id"} - set(change):
        setattr(other, name, getattr(request, name))
    with pytest.raises(grpc.RpcError) as refused:
        house.invoices.OpenBilling(other, metadata=house.worker.metadata())
    assert reason_of(refused.value) == "BILLING_CONFLICT"
    assert house.rows("SELECT count(*) FROM journals") == [(2,)]


def test_wrong_price_is_refused_and_changes_nothing(house: House, people: People) -> None:
    mixed = premium(100_00, 20_00)
    mixed.tax.CopyFrom(values.money_to_proto(Money(20_00, "USD")))
    wrong_total = premium(100_00, 20_00)
    wrong_total.total.units += 1
    for price, reason in (
        (mixed, "CURRENCY_MISMATCH"),
        (wrong_total, "AMOUNT_INVALID"),
        (premium(-100, 200), "AMOUNT_INVALID"),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            house.open(people.customer(), premium=price, installments=12)
        assert reason_of(refused.value) == reason
    assert house.rows("SELECT count(*) FROM billing_accounts") == [(0,)]


def test_customer_cannot_open_a_billing(house: House, people: People) -> None:
    person = people.customer()
    with pytest.raises(grpc.RpcError) as refused:
        house.invoices.OpenBilling(house.request(person), metadata=person.metadata())
    assert reason_of(refused.value) == "ACCESS_DENIED"


def test_things_of_somebody_else_look_like_things_that_never_existed(house: House, people: People) -> None:
    owner, stranger = people.customer(), people.customer()
    billing = house.open(owner)
    invoice_id = billing.installments[0].invoice_id
    payment_id = house.pay(owner, invoice_id).payment_id

    def ask(call: Callable[[], object]) -> tuple[str, str | None]:
        with pytest.raises(grpc.RpcError) as refused:
            call()
        return reason_of(refused.value), refused.value.details()

    def get_billing(policy_id: str) -> pb.Billing:
        return house.invoices.GetBilling(pb.GetBillingRequest(policy_id=policy_id), metadata=stranger.metadata())

    no_invoice, no_payment = ids.encode("inv", ids.new()), ids.encode("pay", ids.new())
    for theirs, nobodys in (
        (lambda: get_billing(billing.policy_id), lambda: get_billing(ids.encode("pol", ids.new()))),
        (lambda: house.get_invoice(stranger, invoice_id), lambda: house.get_invoice(stranger, no_invoice)),
        (lambda: house.pay(stranger, invoice_id), lambda: house.pay(stranger, no_invoice)),
        (lambda: house.get_payment(stranger, payment_id), lambda: house.get_payment(stranger, no_payment)),
        (lambda: house.confirm(stranger, payment_id), lambda: house.confirm(stranger, no_payment)),
    ):
        answer = ask(theirs)
        assert answer == ask(nobodys)
        assert answer[0] == "RESOURCE_NOT_FOUND"
    assert not house.invoices.ListInvoices(pb.ListInvoicesRequest(), metadata=stranger.metadata()).invoices
    assert house.rows("SELECT count(*) FROM payments") == [(1,)]


def test_owner_and_admin_see_the_billing(house: House, people: People) -> None:
    owner = people.customer()
    billing = house.open(owner)
    request = pb.GetBillingRequest(policy_id=billing.policy_id)
    for person in (owner, people.admin()):
        assert house.invoices.GetBilling(request, metadata=person.metadata()) == billing


def test_pages_show_every_invoice_of_the_caller_once_and_newest_first(house: House, people: People) -> None:
    person = people.customer()
    opened = [house.open(person) for _ in range(5)]
    house.open(people.customer())
    seen: list[str] = []
    token = ""
    while True:
        request = pb.ListInvoicesRequest(page_size=2, page_token=token)
        page = house.invoices.ListInvoices(request, metadata=person.metadata())
        seen += [invoice.invoice_id for invoice in page.invoices]
        token = page.next_page_token
        if not token:
            break
    assert seen == [billing.installments[0].invoice_id for billing in opened][::-1]
    only = pb.ListInvoicesRequest(policy_id=opened[2].policy_id)
    invoices = house.invoices.ListInvoices(only, metadata=person.metadata()).invoices
    assert [invoice.policy_id for invoice in invoices] == [opened[2].policy_id]


def test_page_token_of_another_list_is_refused(house: House, people: People) -> None:
    person = people.customer()
    for _ in range(2):
        policy_id = house.open(person).policy_id
    first = house.invoices.ListInvoices(pb.ListInvoicesRequest(page_size=1), metadata=person.metadata())
    for who, request in (
        (people.customer(), pb.ListInvoicesRequest(page_token=first.next_page_token)),
        (person, pb.ListInvoicesRequest(page_token=first.next_page_token, policy_id=policy_id)),
        (person, pb.ListInvoicesRequest(page_token="nonsense")),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            house.invoices.ListInvoices(request, metadata=who.metadata())
        assert reason_of(refused.value) == "PAGE_TOKEN_INVALID"


def test_installments_are_billed_a_week_before_they_fall_due_and_once(house: House, people: People) -> None:
    person = people.customer()
    then = datetime.now(UTC) - timedelta(days=62)
    billing = house.open(
        person,
        installments=12,
        start_date=values.date_to_proto(then.date()),
        issue_time=values.time_to_proto(then),
    )
    house.pay_at(billing.installments[0].invoice_id, then)
    house.open(people.customer(), installments=1)
    for _ in range(2):
        house.registered.run("payments.issue_due_invoices")
        again = house.invoices.GetBilling(pb.GetBillingRequest(policy_id=billing.policy_id), metadata=person.metadata())
        due = [
            values.date_from_proto(part.due_date, "") <= datetime.now(UTC).date() + timedelta(days=7)
            for part in again.installments
        ]
        assert [bool(part.invoice_id) for part in again.installments] == due
        assert sum(due) == 3
    assert house.rows("SELECT count(*) FROM journals WHERE rule = 'invoice_issued'") == [(4,)]
    house.pay(person, again.installments[2].invoice_id)
    house.work()
    assert len(house.policies.activated) == 1
    assert house.rows("SELECT count(*) FROM schedule_installments WHERE state = 'planned'") == [(9,)]
    house.check_money()


def test_installments_of_a_policy_that_is_not_in_force_are_not_billed(house: House, people: People) -> None:
    then = datetime.now(UTC) - timedelta(days=62)
    start = values.date_to_proto(then.date())
    house.open(people.customer(), installments=12, start_date=start, issue_time=values.time_to_proto(then))
    house.registered.run("payments.issue_due_invoices")
    assert house.rows("SELECT count(*) FROM invoices") == [(1,)]


def test_first_premium_can_be_paid_until_the_end_of_the_first_day_of_cover(house: House, people: People) -> None:
    person = people.customer()
    zone = "Pacific/Auckland"
    today = datetime.now(ZoneInfo(zone)).date()
    in_time = house.invoice_of(person, start_date=values.date_to_proto(today), time_zone=zone)
    until = house.get_invoice(person, in_time).payable_until_time.ToDatetime(UTC)
    assert until.astimezone(ZoneInfo(zone)) == datetime.combine(today + timedelta(days=1), time(), ZoneInfo(zone))
    house.pay(person, in_time)

    late = house.invoice_of(person, start_date=values.date_to_proto(today - timedelta(days=1)), time_zone=zone)
    with pytest.raises(grpc.RpcError) as refused:
        house.pay(person, late)
    assert reason_of(refused.value) == "INVOICE_NOT_PAYABLE"
    assert len(house.provider.asked) == 1


def late_invoice(house: House, people: People, **changes: Any) -> tuple[UUID, UUID]:
    """The policy and the first invoice of one that was to be paid by the end of yesterday."""
    yesterday = values.date_to_proto(datetime.now(UTC).date() - timedelta(days=1))
    billing = house.open(people.customer(), start_date=yesterday, **changes)
    return ids.decode("pol", billing.policy_id), ids.decode("inv", billing.installments[0].invoice_id)


def test_policy_that_was_not_paid_in_time_is_to_be_closed(house: House, people: People) -> None:
    late = late_invoice(house, people)
    house.invoice_of(people.customer())
    house.policies.refuses = NeighbourUnavailable()
    house.handlers.close_unpaid_policies()
    house.policies.refuses = None
    for asked in (1, 2):  # until its transaction has come back
        house.handlers.close_unpaid_policies()
        assert house.policies.closed == [late] * asked


def test_policy_of_which_a_payment_is_under_way_is_not_closed(house: House, people: People) -> None:
    _, invoice_id = late_invoice(house, people)
    payment = house.begin(ids.encode("inv", invoice_id), datetime.now(UTC) - timedelta(days=1))
    house.handlers.close_unpaid_policies()
    house.record(payment.id, Charged("reference", payment.amount), datetime.now(UTC))
    house.handlers.close_unpaid_policies()
    assert house.policies.closed == []
    assert house.rows("SELECT status FROM invoices") == [("paid",)]


def test_payment_agreed_on_with_the_contract_may_come_late(house: House, people: People) -> None:
    late_invoice(house, people, payment_method="pm_card_ok")
    declined = late_invoice(house, people, payment_method="pm_card_declined")
    house.handlers.close_unpaid_policies()
    assert house.policies.closed == []
    house.work()
    house.handlers.close_unpaid_policies()
    assert house.policies.closed == [declined]


def test_method_that_the_payer_gives_later_does_not_keep_an_unpaid_policy_open(house: House, people: People) -> None:
    person = people.customer()
    yesterday = values.date_to_proto(datetime.now(UTC).date() - timedelta(days=1))
    policy_id = house.open(person, start_date=yesterday).policy_id
    added = house.methods.AddPaymentMethod(
        AddPaymentMethodRequest(token="pm_card_ok", mandate_text="You may collect."),
        metadata=person.metadata(idempotency_key=new_key()),
    )
    account = billing_pb2.BillingAccount(
        billing_account_id=policy_id.replace("pol_", "bac_"), payment_method_id=added.payment_method_id
    )
    house.billing.UpdateBillingAccount(
        billing_pb2.UpdateBillingAccountRequest(
            billing_account=account, update_mask=FieldMask(paths=["payment_method_id"])
        ),
        metadata=person.metadata(),
    )
    house.handlers.close_unpaid_policies()
    assert [closed for closed, _ in house.policies.closed] == [ids.decode("pol", policy_id)]


def test_billing_counts_days_where_the_policy_is(house: House, people: People) -> None:
    at = datetime(2026, 12, 31, 22, 30, tzinfo=UTC)  # half past midnight in Maputo
    billing = house.open(
        people.customer(),
        issue_time=values.time_to_proto(at),
        start_date=values.date_to_proto(date(2027, 1, 1)),
        time_zone="Africa/Maputo",
    )
    assert values.date_from_proto(billing.installments[0].due_date, "") == date(2027, 1, 1)
    assert house.rows("SELECT effective_on FROM journals WHERE rule = 'policy_changed'") == [(date(2027, 1, 1),)]


def test_billing_that_was_opened_before_time_zones_were_sent_can_be_repeated(house: House, people: People) -> None:
    request = house.request(people.customer(), issue_time=values.time_to_proto(datetime(2026, 12, 1, 23, tzinfo=UTC)))
    first = house.invoices.OpenBilling(request, metadata=house.worker.metadata())
    request.time_zone = "Africa/Maputo"
    assert house.invoices.OpenBilling(request, metadata=house.worker.metadata()) == first


@pytest.mark.parametrize("table", ["charge_lines", "applied_transactions", "schedules", "invoice_items"])
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_billing_cannot_be_changed_even_by_sql(house: House, people: People, table: str, statement: str) -> None:
    house.open(people.customer())
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        house.rows(statement.format(table))


@pytest.mark.parametrize("change", ["total = total + 1", "due_on = due_on + 1", "state = 'planned'"])
def test_installment_that_was_billed_never_changes(house: House, people: People, change: str) -> None:
    house.open(people.customer())
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="only changes once"):
        house.rows(f"UPDATE schedule_installments SET {change}")
