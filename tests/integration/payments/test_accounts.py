"""Billing accounts and their statements, on a real server and database."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import psycopg
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from bazaruto.payments.v1 import billing_pb2 as pb
from bazaruto.payments.v1 import invoice_pb2
from bazaruto.payments.v1 import payment_method_pb2 as methods_pb
from libs import clock, ids
from libs.money import Money
from libs.rpc import values
from services.payments.billing.flows import invoicing
from services.payments.billing.store import accounts
from tests.integration.payments.house import House
from tests.integration.payments.test_applying import Contract, Kind, contract, line, minor, total
from tests.support.errors import reason_of, violations_of
from tests.support.people import People, Person, new_key
from tests.support.scopes import check_list

__all__ = ["contract"]


def account_id(contract: Contract) -> str:
    return contract.policy_id.replace("pol_", "bac_")


def account_of(contract: Contract, person: Person | None = None) -> pb.BillingAccount:
    request = pb.GetBillingAccountRequest(billing_account_id=account_id(contract))
    return contract.house.billing.GetBillingAccount(request, metadata=(person or contract.person).metadata())


def statement_of(contract: Contract, **days: Any) -> pb.AccountStatement:
    request = pb.GetAccountStatementRequest(billing_account_id=account_id(contract), **days)
    return contract.house.billing.GetAccountStatement(request, metadata=contract.person.metadata())


def update(contract: Contract, *paths: str, etag: str = "", **changes: Any) -> pb.BillingAccount:
    request = pb.UpdateBillingAccountRequest(
        billing_account=pb.BillingAccount(billing_account_id=account_id(contract), **changes),
        update_mask=FieldMask(paths=paths),
    )
    metadata = (*contract.person.metadata(), *((("if-match", etag),) if etag else ()))
    return contract.house.billing.UpdateBillingAccount(request, metadata=metadata)


def add_method(contract: Contract, token: str = "pm_card_ok", person: Person | None = None) -> methods_pb.PaymentMethod:
    request = methods_pb.AddPaymentMethodRequest(token=token, display_name="blue", mandate_text="You may collect.")
    metadata = (person or contract.person).metadata(idempotency_key=new_key())
    return contract.house.methods.AddPaymentMethod(request, metadata=metadata)


def test_account_says_what_is_owed(contract: Contract) -> None:
    (invoice,) = contract.issue(4).invoices
    account = account_of(contract)
    assert (minor(account.balance), minor(account.amount_due), minor(account.past_due)) == (1429_00, 376_00, 0)
    contract.house.pay(contract.person, invoice.invoice_id)
    contract.apply("ENDORSEMENT", line(Kind.KIND_PREMIUM, -1100_00, "own_damage"))
    account = account_of(contract)
    assert (minor(account.balance), minor(account.credit), minor(account.amount_due)) == (-47_00, 47_00, 0)
    assert not account.HasField("next_due_date")


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    installments=st.sampled_from([1, 2, 4, 12]),
    changes=st.lists(
        st.tuples(
            st.sampled_from(["ENDORSEMENT", "CANCELLATION", "REINSTATEMENT", "REVERSAL"]),
            st.integers(-900_00, 900_00).filter(bool),
            st.integers(-90_00, 90_00),
            st.sampled_from([pb.Schedule.CHARGE_TIMING_SPREAD, pb.Schedule.CHARGE_TIMING_AT_ONCE]),
            st.booleans(),
        ),
        max_size=5,
    ),
)
def test_what_is_owed_is_what_was_charged_less_what_was_paid_after_any_history(
    house: House, people: People, installments: int, changes: list[Any]
) -> None:
    """Each preview says what its transaction then does (`Contract.send`), and the books, the account and its statement
    agree.
    """
    contract = Contract(house, people.customer())
    contract.issue(installments)
    charged, paid, refunded = 1429_00, 0, 0
    for kind, net, tax, timing, pays in changes:
        if pays:
            paid += pay_something(contract)
        contract.apply(
            kind,
            line(Kind.KIND_PREMIUM, net, "own_damage"),
            line(Kind.KIND_TAX, tax, "premium_tax"),
            schedule=pb.Schedule(charge_timing=timing),
        )
        charged += net + tax
        refunded = refunded_to(contract)
        account = account_of(contract)
        assert minor(account.balance) == charged - paid + refunded
        assert minor(statement_of(contract).closing_balance) == charged - paid + refunded
        assert minor(account.credit) >= 0
        assert not (minor(account.credit) and minor(account.amount_due)), "credit settles what is billed"
    ((receivable, credit),) = house.rows(
        "SELECT coalesce(sum(CASE side WHEN 'debit' THEN amount ELSE -amount END)"
        " FILTER (WHERE account_code IN ('1100', '1105')), 0)::bigint,"
        " coalesce(sum(CASE side WHEN 'credit' THEN amount ELSE -amount END)"
        " FILTER (WHERE account_code = '2300'), 0)::bigint FROM postings JOIN journals ON journals.id = journal_id"
        f" WHERE policy_id = '{ids.decode('pol', contract.policy_id)}'"
    )
    assert receivable - credit == charged - paid + refunded
    assert credit == minor(account_of(contract).credit)


def refunded_to(contract: Contract) -> int:
    """Credit of the contract's own account that refunds took; the database holds earlier histories too."""
    ((amount,),) = contract.house.rows(
        "SELECT coalesce(sum(-amount), 0)::bigint FROM credits WHERE refund_id IS NOT NULL"
        f" AND account_id = '{ids.decode('bac', account_id(contract))}'"
    )
    return int(amount)


def pay_something(contract: Contract) -> int:
    """Pay the first invoice on which something is due."""
    request = invoice_pb2.ListInvoicesRequest(policy_id=contract.policy_id)
    listed = contract.house.invoices.ListInvoices(request, metadata=contract.person.metadata()).invoices
    for invoice in listed:
        if due := minor(invoice.amount_due):
            contract.house.pay(contract.person, invoice.invoice_id)
            return due
    return 0


def test_statement_has_every_debit_and_credit_with_the_balance_after_it(contract: Contract) -> None:
    (invoice,) = contract.issue(2).invoices
    contract.house.pay(contract.person, invoice.invoice_id)
    contract.apply("ENDORSEMENT", line(Kind.KIND_PREMIUM, -100_00, "own_damage"))
    entries = statement_of(contract).entries
    assert [(entry.source_id[:3], minor(entry.amount), minor(entry.balance)) for entry in entries] == [
        ("ptx", 1429_00, 1429_00),
        ("pay", -727_00, 702_00),
        ("ptx", -100_00, 602_00),
    ]
    tomorrow = values.date_to_proto(datetime.now(UTC).date() + timedelta(days=2))
    later = statement_of(contract, from_date=tomorrow)
    assert (minor(later.opening_balance), len(later.entries), minor(later.closing_balance)) == (602_00, 0, 602_00)
    assert not statement_of(contract, until_date=values.date_to_proto(datetime.now(UTC).date())).entries


def test_policy_that_programs_of_before_withdrew_is_not_credited_again(house: House, people: People) -> None:
    contract = Contract(house, people.customer())
    contract.issue()
    house.rows("UPDATE invoices SET status = 'void', version = 2 RETURNING id")
    assert minor(account_of(contract).balance) == 0
    assert [minor(entry.amount) for entry in statement_of(contract).entries] == [1429_00, -1429_00]
    applied = contract.apply("NOT_TAKEN", line(Kind.KIND_PREMIUM, -1429_00, "own_damage"))
    assert (minor(applied.credited), minor(account_of(contract).balance)) == (0, 0)
    assert minor(statement_of(contract).closing_balance) == 0


def test_other_due_day_moves_what_is_planned(contract: Contract) -> None:
    contract.issue(12)
    before = [(part.due_date.month, total(part)) for part in contract.billing().installments[1:]]
    assert update(contract, "due_day", due_day=28).due_day == 28
    moved = contract.billing().installments[1:]
    assert [(part.due_date.month, total(part)) for part in moved] == before
    assert {part.due_date.day for part in moved} == {28}


def test_account_is_changed_only_as_it_was_read(contract: Contract) -> None:
    contract.issue()
    etag = account_of(contract).etag
    update(contract, "due_day", due_day=3, etag=etag)
    with pytest.raises(grpc.RpcError) as refused:
        update(contract, "due_day", due_day=4, etag=etag)
    assert reason_of(refused.value) == "CONCURRENT_CHANGE"


@pytest.mark.parametrize(
    ("path", "changes"),
    [
        ("balance", {}),
        ("due_day", {"due_day": 29}),
        ("autopay", {"autopay": True}),
        ("payer_id", {"payer_id": ids.encode("cus", ids.new())}),
        ("payment_method_id", {"payment_method_id": ids.encode("pmt", ids.new())}),
    ],
)
def test_what_cannot_be_changed_of_an_account_is_refused(contract: Contract, path: str, changes: Any) -> None:
    contract.issue()
    with pytest.raises(grpc.RpcError) as refused:
        update(contract, path, **changes)
    assert reason_of(refused.value) == "INVALID_FIELD"
    assert path != "payer_id" or "SetPayer" in violations_of(refused.value)["billing_account.payer_id"]


def test_invoices_are_collected_when_they_fall_due_if_the_payer_wants_it(contract: Contract) -> None:
    (invoice,) = contract.issue(12).invoices
    contract.house.pay(contract.person, invoice.invoice_id)
    method = add_method(contract)
    update(contract, "autopay", "payment_method_id", autopay=True, payment_method_id=method.payment_method_id)
    now = datetime.now(UTC)
    with contract.house.database.transaction() as session:
        account = ids.decode("pol", contract.policy_id)
        invoicing.issue_due_invoices(session, account, now.date() + timedelta(days=45), now)
    contract.house.rows(
        "UPDATE procrastinate_jobs SET scheduled_at = NULL WHERE task_name = 'payments.collect' RETURNING id"
    )
    assert "payments.collect" in contract.house.work()
    assert contract.house.rows("SELECT DISTINCT status FROM invoices") == [("paid",)]
    with pytest.raises(grpc.RpcError) as refused:
        remove(contract, method.payment_method_id)
    assert reason_of(refused.value) == "METHOD_IN_USE"
    update(contract, "autopay", autopay=False)
    remove(contract, method.payment_method_id)
    assert contract.house.rows("SELECT count(*) FROM payment_methods") == [(0,)]
    assert account_of(contract).payment_method_id == ""


def remove(contract: Contract, method_id: str) -> None:
    request = methods_pb.RemovePaymentMethodRequest(payment_method_id=method_id)
    contract.house.methods.RemovePaymentMethod(request, metadata=contract.person.metadata(idempotency_key=new_key()))


def test_account_follows_to_another_holder_and_is_not_collected_from_the_old_payer(
    contract: Contract, people: People
) -> None:
    contract.issue(4)
    method_id = add_method(contract).payment_method_id
    update(contract, "autopay", "payment_method_id", autopay=True, payment_method_id=method_id)
    partner, firm = ids.new(), people.customer()
    partner_id, holder = ids.encode("par", partner), contract.person
    contract.apply("SERVICING", reason="partner", partner_id=partner_id)
    kept = account_of(contract)
    assert (kept.partner_id, kept.payment_method_id, kept.autopay) == (partner_id, method_id, True)
    assert account_of(contract, people.agent(partner)).partner_id == partner_id
    before = contract.balances(), account_of(contract).balance
    contract.person = firm
    contract.apply("SERVICING", reason="holder")
    after = account_of(contract)
    assert after.customer_id == after.payer_id == ids.encode("cus", ids.decode("usr", firm.user_id))
    assert (after.payment_method_id, after.autopay, after.partner_id) == ("", False, "")
    assert (contract.balances(), after.balance) == before, "no money moves"
    with pytest.raises(grpc.RpcError) as refusal:
        account_of(contract, holder)
    assert reason_of(refusal.value) == "RESOURCE_NOT_FOUND"


def test_policies_is_told_what_is_past_due(contract: Contract, people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    bill = contract.issue(4).invoices[0]
    monkeypatch.setattr(clock, "now", lambda: datetime.now(UTC) + timedelta(days=2))
    request = pb.GetNextDueDateRequest(policy_id=contract.policy_id)
    metadata = people.service("policies").metadata()
    assert contract.house.billing.GetNextDueDate(request, metadata=metadata).past_due_amount == bill.amount_due


def test_policies_is_told_when_the_next_part_of_a_premium_falls_due(contract: Contract, people: People) -> None:
    metadata = people.service("policies").metadata()
    request = pb.GetNextDueDateRequest(policy_id=contract.policy_id)
    with pytest.raises(grpc.RpcError) as refused:
        contract.house.billing.GetNextDueDate(request, metadata=metadata)
    assert reason_of(refused.value) == "RESOURCE_NOT_FOUND"
    applied = contract.issue(4)
    first, second = applied.invoices[0].due_date, applied.planned[0].due_date
    due = contract.house.billing.GetNextDueDate(request, metadata=metadata)
    assert (due.next_due_date, due.past_due_amount) == (first, values.money_to_proto(Money.zero("EUR")))
    contract.house.pay(contract.person, applied.invoices[0].invoice_id)
    assert contract.house.billing.GetNextDueDate(request, metadata=metadata).next_due_date == second
    contract.apply("CANCELLATION", line(Kind.KIND_PREMIUM, -1100_00, "own_damage"))
    assert not contract.house.billing.GetNextDueDate(request, metadata=metadata).HasField("next_due_date")


def test_stalled_transaction_does_not_keep_others_from_issuing_invoices(house: House, people: People) -> None:
    stalled, go_on = threading.Event(), threading.Event()
    slow, quick = (Contract(house, people.customer()) for _ in range(2))
    slow.issue(2)

    def stall() -> None:
        with house.database.transaction() as session:
            account = ids.decode("pol", slow.policy_id)
            invoicing.issue_due_invoices(
                session, account, datetime.now(UTC).date() + timedelta(days=400), datetime.now(UTC)
            )
            stalled.set()
            assert go_on.wait(60)

    with ThreadPoolExecutor(1) as pool:
        stalling = pool.submit(stall)
        assert stalled.wait(60)
        (invoice,) = quick.issue().invoices
        go_on.set()
        stalling.result()
    numbers = [number for (number,) in house.rows("SELECT number FROM invoices ORDER BY number")]
    assert invoice.invoice_number in numbers
    assert len(set(numbers)) == 3


def test_accounts_of_others_do_not_exist(contract: Contract, people: People) -> None:
    contract.issue()
    with pytest.raises(grpc.RpcError) as refused:
        account_of(contract, people.customer())
    assert reason_of(refused.value) == "RESOURCE_NOT_FOUND"
    assert account_of(contract, people.admin()) == account_of(contract)


def test_lists_of_accounts_never_show_those_of_others(house: House, people: People) -> None:
    owners = []
    for _ in range(4):
        contract = Contract(house, people.customer())
        contract.issue()
        owners.append(ids.decode("usr", contract.person.user_id))
    with house.database.reading() as session:
        check_list(
            owners,
            lambda scope: [
                item.user_id for item in accounts.list_of(session, scope, None, None, None, 100, datetime.now(UTC))
            ],
        )


def test_premium_that_is_given_back_is_counted(contract: Contract) -> None:
    def counted() -> float:
        return REGISTRY.get_sample_value("bazaruto_premium_returned_minor_units_total", {"currency": "EUR"}) or 0

    before = counted()
    contract.issue()
    contract.apply("ENDORSEMENT", line(Kind.KIND_PREMIUM, -10_00, "own_damage"))
    assert counted() - before == 10_00


def test_database_refuses_to_settle_more_than_an_invoice_demands(contract: Contract) -> None:
    contract.issue()
    with pytest.raises(psycopg.errors.CheckViolation, match="is allocated to invoice"):
        contract.house.rows(
            "INSERT INTO allocations (invoice_id, amount, allocated_at) SELECT id, total + 1, now() FROM invoices"
        )
