"""Applying transactions of policies to their billing accounts, on a real server and a real database."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from bazaruto.common.v1 import charge_pb2
from bazaruto.payments.v1 import billing_pb2 as pb
from bazaruto.payments.v1 import invoice_pb2
from libs import ids
from libs.money import Money
from libs.rpc import values
from tests.integration.payments.house import House
from tests.support.errors import reason_of, status_of
from tests.support.people import People, Person

STARTS_ON = datetime.now(UTC).date() + timedelta(days=7)
ENDS_ON = STARTS_ON + timedelta(days=365)
Kind = charge_pb2.ChargeLine


def money(minor: int, currency: str = "EUR") -> Any:
    return values.money_to_proto(Money(minor, currency))


def line(kind: charge_pb2.ChargeLine.Kind.ValueType, minor: int, code: str) -> charge_pb2.ChargeLine:
    """A line of the first term; `code` is that of the coverage, the tax or the fee."""
    is_net = kind in (Kind.KIND_PREMIUM, Kind.KIND_RETENTION)
    return charge_pb2.ChargeLine(
        kind=kind,
        amount=money(minor),
        coverage_code=code if is_net else "",
        charge_code="" if is_net else code,
        start_date=values.date_to_proto(STARTS_ON),
        end_date=values.date_to_proto(ENDS_ON if kind == Kind.KIND_PREMIUM else STARTS_ON),
        commissionable=is_net,
        term_number=1,
    )


def priced(sign: int) -> list[charge_pb2.ChargeLine]:
    """1200.00 net, 204.00 tax, a fee of 25.00; or all of it given back."""
    return [
        line(Kind.KIND_PREMIUM, sign * 1200_00, "own_damage"),
        line(Kind.KIND_TAX, sign * 204_00, "premium_tax"),
        line(Kind.KIND_FEE, sign * 25_00, "policy_fee"),
    ]


@dataclass
class Contract:
    """A policy whose transactions are sent to payments."""

    house: House
    person: Person
    policy_id: str = field(default_factory=lambda: ids.encode("pol", ids.new()))
    sequence: int = 0

    def request(self, kind: str, *lines: charge_pb2.ChargeLine, **changes: Any) -> pb.ApplyPolicyTransactionRequest:
        """The next transaction."""
        fields: dict[str, Any] = {
            "policy_id": self.policy_id,
            "transaction_id": ids.encode("ptx", ids.new()),
            "billing_sequence": self.sequence + 1,
            "type": pb.PolicyTransactionType.Value(f"POLICY_TRANSACTION_TYPE_{kind}"),
            "term_number": 1,
            "customer_id": ids.encode("cus", ids.decode("usr", self.person.user_id)),
            "product_code": "motor",
            "product_version": 2,
            "time_zone": "Africa/Maputo",
            "term_start_date": values.date_to_proto(STARTS_ON),
            "term_end_date": values.date_to_proto(ENDS_ON),
            "effective_date": values.date_to_proto(STARTS_ON),
            "issue_time": values.time_to_proto(datetime.now(UTC)),
            "lines": lines,
            "total": money(sum(values.money_from_proto(item.amount).minor for item in lines)),
            **changes,
        }
        return pb.ApplyPolicyTransactionRequest(**fields)

    def send(self, request: pb.ApplyPolicyTransactionRequest) -> pb.AppliedTransaction:
        """Apply a transaction, whose preview before it says the same."""
        metadata = self.house.people.service("policies-worker").metadata()
        preview = self.house.billing.PreviewPolicyTransaction(
            pb.PreviewPolicyTransactionRequest(transaction=request), metadata=metadata
        )
        applied = self.house.billing.ApplyPolicyTransaction(request, metadata=metadata)
        self.sequence += 1
        assert said_by(preview) == said_by(applied)
        return applied

    def apply(self, kind: str, *lines: charge_pb2.ChargeLine, **changes: Any) -> pb.AppliedTransaction:
        """Apply the next transaction."""
        return self.send(self.request(kind, *lines, **changes))

    def issue(self, installments: int = 1, **changes: Any) -> pb.AppliedTransaction:
        """The first transaction: 1200.00 net, 204.00 tax, a fee of 25.00."""
        schedule = pb.Schedule(plan_code="plan", installments=installments)
        return self.apply("NEW_BUSINESS", *priced(1), **{"schedule": schedule, **changes})

    def billing(self) -> invoice_pb2.Billing:
        request = invoice_pb2.GetBillingRequest(policy_id=self.policy_id)
        return self.house.invoices.GetBilling(request, metadata=self.person.metadata())

    def balances(self) -> dict[str, int]:
        """The accounts of the ledger that are not zero."""
        sums = {
            item.account_code: values.money_from_proto(item.balance).minor
            for item in self.house.trial_balance().accounts
        }
        return {code: minor for code, minor in sums.items() if minor}

    def refused(self, request: pb.ApplyPolicyTransactionRequest) -> tuple[str, dict[str, str]]:
        """The reason and the metadata of a refusal."""
        metadata = self.house.worker.metadata()
        with pytest.raises(grpc.RpcError) as refusal:
            self.house.billing.ApplyPolicyTransaction(request, metadata=metadata)
        return reason_of(refusal.value), metadata_of(refusal.value)


def metadata_of(error: grpc.RpcError) -> dict[str, str]:
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in status_of(error).details)
    return dict(info.metadata)


def said_by(applied: pb.AppliedTransaction) -> list[Any]:
    """All that is said of money and days, and nothing that only what is stored has."""
    invoices = sorted(
        (
            (item.installment_number, item.state, total(item), minor(item.amount_due), str(item.items))
            for item in applied.invoices
        ),
        key=str,
    )
    return [
        invoices,
        planned(applied),
        minor(applied.credited),
        minor(applied.balance_due),
        applied.is_plan_reduced,
    ]


def minor(amount: Any) -> int:
    return values.money_from_proto(amount).minor


def total(thing: Any) -> int:
    return minor(thing.premium.total)


def planned(applied: pb.AppliedTransaction) -> list[tuple[int, date, int]]:
    return [
        (part.installment_number, values.date_from_proto(part.due_date, ""), total(part)) for part in applied.planned
    ]


@pytest.fixture
def contract(house: House, people: People) -> Iterator[Contract]:
    yield Contract(house, people.customer())
    house.check_money()


def test_new_policy_is_billed_by_its_plan(contract: Contract) -> None:
    applied = contract.issue(12)
    (invoice,) = applied.invoices
    assert (invoice.installment_number, total(invoice), invoice.state) == (1, 142_00, invoice_pb2.Invoice.STATE_OPEN)
    assert [(Kind.Kind.Name(item.kind), item.charge_code, minor(item.amount)) for item in invoice.items] == [
        ("KIND_PREMIUM", "", 100_00),
        ("KIND_TAX", "premium_tax", 17_00),
        ("KIND_FEE", "policy_fee", 25_00),
    ]
    assert [(number, amount) for number, _, amount in planned(applied)] == [(n, 117_00) for n in range(2, 13)]
    assert minor(applied.balance_due) == 142_00
    assert contract.balances() == {"1100": 142_00, "1105": 1287_00, "2000": 1200_00, "2100": 204_00, "4100": 25_00}
    assert invoice.invoice_number == f"INV-{datetime.now(UTC).year}-000001"


def test_same_transaction_again_gets_the_first_answer(contract: Contract) -> None:
    lines = (line(Kind.KIND_PREMIUM, 100_00, "own_damage"),)
    schedule = pb.Schedule(plan_code="annual", installments=1)
    request = contract.request("NEW_BUSINESS", *lines, schedule=schedule, payment_method="pm_card_ok")
    first = contract.send(request)
    request.payment_method = ""  # policies forgets it when it has heard of the first time
    with ThreadPoolExecutor(4) as pool:
        metadata = contract.house.worker.metadata()
        again = pool.map(lambda _: contract.house.billing.ApplyPolicyTransaction(request, metadata=metadata), range(4))
        assert all(answer == first for answer in again)
    assert contract.house.rows("SELECT count(*) FROM invoices") == [(1,)]
    assert contract.house.rows("SELECT count(*) FROM journals") == [(2,)]
    request.effective_date.day = 1 if request.effective_date.day > 1 else 2
    assert contract.refused(request) == ("BILLING_CONFLICT", {})


def test_transactions_are_applied_in_order(contract: Contract) -> None:
    early = contract.request("ENDORSEMENT", line(Kind.KIND_PREMIUM, 10_00, "glass"), billing_sequence=2)
    assert contract.refused(early) == ("TRANSACTION_OUT_OF_ORDER", {"expected": "1"})
    contract.issue()
    early.billing_sequence = 4
    assert contract.refused(early) == ("TRANSACTION_OUT_OF_ORDER", {"expected": "2"})
    early.billing_sequence = 1
    assert contract.refused(early) == ("BILLING_CONFLICT", {})
    assert contract.house.rows("SELECT last_sequence FROM billing_accounts") == [(1,)]


def test_lines_that_do_not_add_up_are_refused_and_change_nothing(contract: Contract) -> None:
    net = line(Kind.KIND_PREMIUM, 100_00, "own_damage")
    stretch = pb.TimelineLine(
        term_number=1,
        coverage_code="own_damage",
        start_date=values.date_to_proto(STARTS_ON),
        end_date=values.date_to_proto(ENDS_ON),
        full_term_amount=money(100_01),
        term_days=365,
    )
    wrong = [
        (contract.request("NEW_BUSINESS", net, total=money(100_01)), "total"),
        (contract.request("NEW_BUSINESS", net, line(Kind.KIND_TAX, 1_00, "")), "2"),
        (contract.request("NEW_BUSINESS", net, timeline=[stretch]), "own_damage"),
    ]
    for request, what in wrong:
        assert contract.refused(request) == ("PREMIUM_MISMATCH", {"line": what})
    mixed = contract.request("NEW_BUSINESS", net, total=money(100_00, "USD"))
    assert contract.refused(mixed)[0] == "CURRENCY_MISMATCH"
    assert contract.house.rows("SELECT count(*) FROM billing_accounts") == [(0,)]


def test_added_premium_is_spread_over_what_is_planned(contract: Contract) -> None:
    contract.issue(4)
    applied = contract.apply("ENDORSEMENT", line(Kind.KIND_PREMIUM, 30_01, "glass"))
    assert [(number, amount) for number, _, amount in planned(applied)] == [(2, 361_01), (3, 361_00), (4, 361_00)]
    assert not applied.invoices
    schedules = contract.billing().schedules
    assert [[part.state for part in schedule.installments] for schedule in schedules] == [
        [invoice_pb2.Installment.STATE_INVOICED] + [invoice_pb2.Installment.STATE_SUPERSEDED] * 3,
        [invoice_pb2.Installment.STATE_PLANNED] * 3,
    ]
    assert sum(total(part) for part in contract.billing().installments) == 1459_01
    assert total(contract.billing()) == 1459_01


def test_added_premium_can_be_billed_at_once_or_with_the_next_installment(contract: Contract) -> None:
    contract.issue(4)
    at_once = pb.Schedule(charge_timing=pb.Schedule.CHARGE_TIMING_AT_ONCE)
    applied = contract.apply("ENDORSEMENT", line(Kind.KIND_PREMIUM, 30_00, "glass"), schedule=at_once)
    assert [(item.installment_number, total(item)) for item in applied.invoices] == [(0, 30_00)]
    following = pb.Schedule(charge_timing=pb.Schedule.CHARGE_TIMING_NEXT_INSTALLMENT)
    applied = contract.apply("ENDORSEMENT", line(Kind.KIND_PREMIUM, 9_00, "tow"), schedule=following)
    assert [(number, amount) for number, _, amount in planned(applied)] == [(2, 360_00), (3, 351_00), (4, 351_00)]


def test_what_is_given_back_reduces_what_is_planned_then_open_invoices_then_becomes_credit(contract: Contract) -> None:
    contract.issue(2)  # 727.00 billed, 702.00 planned
    applied = contract.apply("ENDORSEMENT", line(Kind.KIND_PREMIUM, -100_00, "own_damage"))
    assert [(number, amount) for number, _, amount in planned(applied)] == [(2, 602_00)]
    applied = contract.apply("ENDORSEMENT", line(Kind.KIND_PREMIUM, -700_00, "own_damage"))
    assert planned(applied) == []
    assert minor(applied.credited) == 98_00
    assert [(total(item), minor(item.amount_due), item.state) for item in applied.invoices] == [
        (727_00, 629_00, invoice_pb2.Invoice.STATE_PARTIALLY_PAID)
    ]
    invoice_id = applied.invoices[0].invoice_id
    contract.house.pay(contract.person, invoice_id, amount=Money(629_00, "EUR"))
    applied = contract.apply("ENDORSEMENT", line(Kind.KIND_PREMIUM, -29_00, "own_damage"))
    assert (minor(applied.credited), minor(applied.balance_due)) == (29_00, 0)
    assert contract.balances()["2300"] == 29_00
    applied = contract.apply("ENDORSEMENT", line(Kind.KIND_PREMIUM, 40_00, "glass"))
    assert [(total(item), minor(item.amount_due)) for item in applied.invoices] == [(40_00, 11_00)]
    assert "2300" not in contract.balances()


def test_payment_that_ends_after_a_credit_settled_its_invoice_becomes_credit(contract: Contract) -> None:
    (invoice,) = contract.issue().invoices
    waiting = contract.house.pay(contract.person, invoice.invoice_id, "pm_card_action")
    contract.apply("ENDORSEMENT", line(Kind.KIND_PREMIUM, -500_00, "own_damage"))
    contract.house.confirm(contract.person, waiting.payment_id)
    assert contract.house.get_invoice(contract.person, invoice.invoice_id).state == invoice_pb2.Invoice.STATE_PAID
    assert contract.balances()["2300"] == 500_00
    assert contract.house.rows("SELECT sum(amount)::bigint FROM credits") == [(500_00,)]


def test_nobody_is_told_that_a_first_premium_is_paid_of_what_was_cancelled(contract: Contract) -> None:
    (invoice,) = contract.issue().invoices
    waiting = contract.house.pay(contract.person, invoice.invoice_id, "pm_card_action")
    contract.apply("CANCELLATION", *priced(-1))  # it settles the invoice
    contract.house.confirm(contract.person, waiting.payment_id)
    confirming = "SELECT count(*) FROM procrastinate_jobs WHERE task_name LIKE 'payments.confirm%'"
    assert contract.house.rows(confirming) == [(0,)]


def test_policy_that_was_not_taken_leaves_nothing_owed(contract: Contract) -> None:
    (invoice,) = contract.issue(4).invoices
    back = (
        line(Kind.KIND_PREMIUM, -1200_00, "own_damage"),
        line(Kind.KIND_TAX, -204_00, "premium_tax"),
        line(Kind.KIND_FEE, -25_00, "policy_fee"),
    )
    applied = contract.apply("NOT_TAKEN", *back)
    assert [(item.invoice_id, item.state) for item in applied.invoices] == [
        (invoice.invoice_id, invoice_pb2.Invoice.STATE_VOID)
    ]
    assert (planned(applied), minor(applied.credited), minor(applied.balance_due)) == ([], 0, 0)
    assert contract.balances() == {}
    assert contract.house.rows("SELECT count(*) FROM audit_events WHERE action = 'invoice_voided'") == [(1,)]
    with pytest.raises(grpc.RpcError) as refused:
        contract.house.pay(contract.person, invoice.invoice_id)
    assert reason_of(refused.value) == "INVOICE_NOT_PAYABLE"


def test_cancellation_takes_the_last_installments_first(contract: Contract) -> None:
    contract.issue(4)  # 376.00 billed, three of 351.00 planned
    applied = contract.apply("CANCELLATION", line(Kind.KIND_PREMIUM, -400_00, "own_damage"))
    assert [(number, amount) for number, _, amount in planned(applied)] == [(2, 351_00), (3, 302_00)]


def test_installments_that_fell_away_are_planned_again_when_the_cancellation_is_taken_back(contract: Contract) -> None:
    issued = contract.issue(12)
    ended = contract.request("CANCELLATION", line(Kind.KIND_PREMIUM, -1000_00, "own_damage"))
    contract.send(ended)
    contract.apply("ENDORSEMENT", line(Kind.KIND_PREMIUM, 10_00, "own_damage"))
    taken_back = line(Kind.KIND_PREMIUM, 990_00, "own_damage")
    applied = contract.apply("REVERSAL", taken_back, reverses_transaction_id=ended.transaction_id)
    assert planned(applied) == planned(issued)
    assert minor(applied.balance_due) == minor(issued.balance_due)


def test_what_was_billed_and_given_back_is_due_at_once_when_cover_goes_on(contract: Contract) -> None:
    issued = contract.issue(4)  # 376.00 billed, three of 351.00 planned
    contract.house.pay(contract.person, issued.invoices[0].invoice_id)
    contract.apply("CANCELLATION", *priced(-1))
    applied = contract.apply("REINSTATEMENT", *priced(1))
    assert planned(applied) == planned(issued)
    (again,) = [invoice for invoice in applied.invoices if invoice.installment_number == 0]
    assert total(again) == 376_00


def test_plan_that_does_not_fit_its_price_is_reduced_and_said_so(contract: Contract) -> None:
    schedule = pb.Schedule(plan_code="monthly", installments=12)
    applied = contract.apply("NEW_BUSINESS", line(Kind.KIND_PREMIUM, 5, "own_damage"), schedule=schedule)
    assert applied.is_plan_reduced
    assert len(applied.planned) == 4


def test_plan_divides_the_year(contract: Contract) -> None:
    schedule = pb.Schedule(plan_code="odd", installments=5)
    request = contract.request("NEW_BUSINESS", line(Kind.KIND_PREMIUM, 100, "own_damage"), schedule=schedule)
    assert contract.refused(request)[0] == "INVALID_FIELD"


def test_only_policies_applies_transactions(contract: Contract, people: People) -> None:
    request = contract.request("NEW_BUSINESS", line(Kind.KIND_PREMIUM, 100, "own_damage"))
    for metadata in (contract.person.metadata(), people.admin().metadata(), people.service("users").metadata()):
        with pytest.raises(grpc.RpcError) as refused:
            contract.house.billing.ApplyPolicyTransaction(request, metadata=metadata)
        assert reason_of(refused.value) == "ACCESS_DENIED"
