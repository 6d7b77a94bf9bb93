"""Cancelling a policy and taking that back, through the API, with what payments makes of it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import grpc
import pytest
from sqlalchemy.orm import Session

from bazaruto.payments.v1 import billing_pb2 as billing_pb
from bazaruto.payments.v1 import invoice_pb2
from bazaruto.policies.v1 import cancellation_pb2 as cancellation_pb
from bazaruto.policies.v1 import policy_pb2 as pb
from libs import clock, ids
from libs.calendar import day_of
from libs.identity.service_tokens import ServiceTokens
from libs.money import Money
from libs.premium import Premium
from libs.rpc import values
from libs.rpc.client import connect
from services.policies.clients import Payments
from services.policies.lifecycle import jobs
from services.policies.lifecycle.flows import marking
from services.policies.lifecycle.kinds import APPLY_TRANSACTION
from services.policies.lifecycle.rules.loss import LossMark, LossState
from services.policies.lifecycle.rules.policy import Policy
from services.policies.lifecycle.rules.settlement import Forecast, PlannedPart
from services.policies.lifecycle.store import policies
from tests.integration.payments.house import House as PaymentsHouse
from tests.integration.payments.house import Registered
from tests.integration.policies.house import RULES, House
from tests.support.errors import metadata_of, reason_of
from tests.support.people import People, Person, new_key
from tests.unit.policies.contracts import CANCELLATIONS
from tests.unit.policies.contracts import RULES as CANCELLABLE

ZONE = "Africa/Maputo"
Start = Callable[..., grpc.Channel]


@pytest.fixture
def house(start_server: Start, make_database: Callable[[str], str]) -> House:
    made = House(start_server, make_database("policies"))
    made.quotes.rules = dict.fromkeys((1, 2), replace(RULES, cover=CANCELLABLE.cover, cancellations=CANCELLATIONS))
    return made


def today() -> date:
    return day_of(clock.now(), ZONE)


def covered(house: House, people: People, person: Person, **quote: Any) -> pb.Policy:
    issued = house.issue(person, house.quotes.add(person, **quote))
    return house.activate(issued.policy_id, people.service("payments-worker"))


def cancel(
    house: House, person: Person, policy_id: str, reason: str, day: date | None = None, key: str = "", **fields: Any
) -> pb.TransactionResult:
    request = cancellation_pb.CancelPolicyRequest(
        policy_id=policy_id, reason=reason, effective_date=values.date_to_proto(day) if day else None, **fields
    )
    return house.stub.CancelPolicy(request, metadata=person.metadata(idempotency_key=key or new_key()))


def rescind(house: House, person: Person, policy_id: str, key: str = "", **fields: Any) -> pb.TransactionResult:
    request = cancellation_pb.RescindCancellationRequest(policy_id=policy_id, **fields)
    return house.stub.RescindCancellation(request, metadata=person.metadata(idempotency_key=key or new_key()))


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(grpc.RpcError) as refused:
        call()
    return reason_of(refused.value)


def minor(money: Any) -> int:
    return values.money_from_proto(money).minor


def test_preview_says_what_the_call_does_and_stores_nothing(house: House, people: People) -> None:  # T08
    person, underwriter = people.customer(), people.user("underwriter")
    policy = covered(house, people, person)
    day, eur = today() + timedelta(days=181), "EUR"
    part = PlannedPart(1, 2, day, Premium.of_minor(100, 17, 0, eur))
    house.payments.forecast = Forecast(Money(70777, eur), Money(0, eur), (part,))
    request = cancellation_pb.CancelPolicyRequest(
        policy_id=policy.policy_id,
        reason="insurer",
        effective_date=values.date_to_proto(day),
        validate_only=True,
    )
    preview = house.stub.CancelPolicy(request, metadata=underwriter.metadata())
    assert house.rows("SELECT count(*) FROM policy_transactions") == [(2,)]
    assert (minor(preview.change.net), minor(preview.change.tax), minor(preview.change.fees)) == (-60493, -10284, 0)
    assert [(line.coverage_code or line.charge_code, minor(line.amount)) for line in preview.change.lines] == [
        ("liability", -45370), ("collision", -15123), ("premium_tax", -10284),
    ]  # fmt: skip
    (before,), (after,) = preview.before, preview.after
    assert (minor(before.net), minor(after.net), after.end_date, after.term_number) == (
        120000, 59507, values.date_to_proto(day), 1,
    )  # fmt: skip
    assert (minor(preview.refund), preview.HasField("balance_due"), preview.billing_pending) == (70777, False, False)
    assert preview.refund_not_before_date == values.date_to_proto(day)
    assert [(item.installment_number, minor(item.premium.total)) for item in preview.installments] == [(2, 117)]
    assert list(preview.documents) == ["cancellation_notice"]
    assert list(preview.policy.flags) == [pb.Policy.FLAG_CANCEL_PENDING]
    assert (preview.transaction.transaction_id, preview.policy.etag) == ("", "")

    done = cancel(house, underwriter, policy.policy_id, "insurer", day)
    assert done.transaction.transaction_id.startswith("ptx_")
    for result in (preview, done):
        result.transaction.ClearField("transaction_id")
        result.transaction.ClearField("issue_time")
        result.policy.ClearField("etag")
    assert preview.transaction.actor == ""
    done.transaction.ClearField("actor")
    assert done == preview
    shown = house.get(person, policy.policy_id)
    assert (shown.state, list(shown.flags)) == (pb.Policy.STATE_IN_FORCE, [pb.Policy.FLAG_CANCEL_PENDING])
    assert house.get(person, policy.policy_id, effective_time=datetime.now(UTC) + timedelta(days=182)).state == (
        pb.Policy.STATE_CANCELLED
    )


def test_change_does_not_wait_for_payments(house: House, people: People) -> None:
    person = people.customer()
    policy = covered(house, people, person)
    result = cancel(house, person, policy.policy_id, "insured_request")
    assert (result.billing_pending, result.HasField("refund"), len(result.installments)) == (True, False, 0)
    assert result.refund_not_before_date == values.date_to_proto(today() + timedelta(days=1))


def test_each_may_cancel_for_their_reasons_alone(house: House, people: People) -> None:
    person, partner = people.customer(), ids.new()
    policy_id = covered(house, people, person, partner_id=partner).policy_id
    agent = people.user("agent", partner=partner)
    adjuster, admin, finance = (people.user(role) for role in ("adjuster", "admin", "finance"))
    outcomes = {
        (name, reason): _outcome(lambda: cancel(house, who, policy_id, reason, validate_only=True))  # noqa: B023
        for name, who in (
            ("customer", person), ("agent", agent), ("adjuster", adjuster), ("admin", admin), ("finance", finance),
            ("stranger", people.customer()), ("payments", people.service("payments")),
            ("quotes", people.service("quotes")),
        )
        for reason in ("insured_request", "insurer", "total_loss", "non_payment")
    }  # fmt: skip
    assert {key for key, outcome in outcomes.items() if outcome == "OK"} == {
        ("customer", "insured_request"), ("agent", "insured_request"), ("admin", "insurer"),
        ("admin", "non_payment"), ("adjuster", "total_loss"), ("payments", "non_payment"),
    }  # fmt: skip
    assert {name for (name, _), outcome in outcomes.items() if outcome == "RESOURCE_NOT_FOUND"} == {
        "finance", "stranger", "quotes",
    }  # fmt: skip
    assert set(outcomes.values()) == {"OK", "REASON_NOT_ALLOWED", "RESOURCE_NOT_FOUND"}


def test_cancellation_is_taken_back_before_its_day(house: House, people: People) -> None:
    person = people.customer()
    policy = covered(house, people, person)
    before = house.get(person, policy.policy_id)
    cancelled = cancel(house, person, policy.policy_id, "moved_away", today() + timedelta(days=30), note="to the north")
    assert cancelled.transaction.note == "to the north"
    assert _flagged(house, person) == [policy.policy_id]
    rescinded = rescind(house, person, policy.policy_id)
    assert rescinded.transaction.reverses_transaction_id == cancelled.transaction.transaction_id
    assert minor(rescinded.change.total) == -minor(cancelled.change.total) > 0
    after = house.get(person, policy.policy_id)
    assert (after.term, list(after.flags), _flagged(house, person)) == (before.term, [], [])
    assert refusal(lambda: rescind(house, person, policy.policy_id)) == "POLICY_STATE_INVALID"
    jobs_made = house.rows(
        "SELECT args ->> 'credit', args ->> 'refund_not_before' FROM procrastinate_jobs"
        f" WHERE task_name = '{APPLY_TRANSACTION.name}' ORDER BY id OFFSET 1"
    )
    assert jobs_made == [("refund", (today() + timedelta(days=30)).isoformat()), ("account", None)]
    actions = house.rows("SELECT action FROM audit_events ORDER BY id OFFSET 2")
    assert actions == [("policy_cancelled",), ("policy_cancellation_rescinded",)]


def test_stale_etag_is_refused_also_where_it_is_only_checked(house: House, people: People) -> None:
    person = people.customer()
    stale = covered(house, people, person)
    cancel(house, person, stale.policy_id, "moved_away", today() + timedelta(days=30))
    for only_checks in (False, True):
        request = cancellation_pb.CancelPolicyRequest(
            policy_id=stale.policy_id, reason="moved_away", validate_only=only_checks
        )
        metadata = (*person.metadata(idempotency_key=new_key()), ("if-match", stale.etag))
        assert refusal(lambda: house.stub.CancelPolicy(request, metadata=metadata)) == "CONCURRENT_CHANGE"  # noqa: B023


def test_repeated_call_cancels_once_and_two_at_once_do_not_both(house: House, people: People) -> None:
    person, key = people.customer(), new_key()
    policy_id = covered(house, people, person).policy_id
    first = cancel(house, person, policy_id, "cooling_off", key=key)
    assert cancel(house, person, policy_id, "cooling_off", key=key) == first
    other = covered(house, people, person).policy_id
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda _: _outcome(lambda: cancel(house, person, other, "cooling_off")), range(8)))
    assert sorted(outcomes) == ["OK"] + ["POLICY_STATE_INVALID"] * 7
    assert house.rows("SELECT count(*) FROM policy_transactions WHERE type = 'cancellation'") == [(2,)]


def test_preview_is_of_one_moment_also_when_the_policy_changes_meanwhile(
    house: House, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = people.customer()
    policy_id = covered(house, people, person).policy_id
    find = policies.find

    def find_before_another_cancels(session: Session, id_of_policy: UUID) -> Policy | None:
        policy = find(session, id_of_policy)
        monkeypatch.setattr(policies, "find", find)
        cancel(house, person, policy_id, "cooling_off")
        return policy

    monkeypatch.setattr(policies, "find", find_before_another_cancels)
    assert cancel(house, person, policy_id, "cooling_off", validate_only=True).change.total.units < 0
    assert refusal(lambda: cancel(house, person, policy_id, "cooling_off")) == "POLICY_STATE_INVALID"


def test_flat_cancellation_is_refused_while_a_loss_is_claimed(house: House, people: People) -> None:
    person = people.customer()
    policy_id = covered(house, people, person).policy_id
    claim = ids.encode("clm", ids.new())
    mark = LossMark(claim, "vehicle_1", "collision", datetime.now(UTC), LossState.REGISTERED)
    for state, outcome in ((LossState.REGISTERED, "CLAIM_PAID"), (LossState.DENIED, "OK")):
        with house.database.transaction() as session:
            marking.mark(session, ids.decode("pol", policy_id), replace(mark, state=state))
        assert _outcome(lambda: cancel(house, person, policy_id, "cooling_off", validate_only=True)) == outcome
    assert house.rows("SELECT count(*) FROM loss_marks") == [(1,)]


def test_refused_cancellation_changes_nothing_and_says_what_is_allowed(house: House, people: People) -> None:
    person = people.customer()
    policy = covered(house, people, person)
    end = values.date_from_proto(policy.term.end_date, "end_date")
    with pytest.raises(grpc.RpcError) as refused:
        cancel(house, person, policy.policy_id, "insured_request", end)
    assert reason_of(refused.value) == "EFFECTIVE_DATE_INVALID"
    assert metadata_of(refused.value) == {
        "earliest": (today() + timedelta(days=1)).isoformat(), "latest": (end - timedelta(days=1)).isoformat(),
    }  # fmt: skip
    assert house.get(person, policy.policy_id) == policy


@pytest.mark.parametrize("plan", ["annual", "monthly"])
def test_forecast_is_what_payments_books(
    plan: str, house: House, start_server: Start, make_database: Callable[[str], str], people: People
) -> None:
    payments = PaymentsHouse(start_server, make_database("payments"), people)
    client = Payments(connect(payments.target, ServiceTokens(people.auth, "policies-worker")))
    house.payments.neighbour = client
    registered = Registered()
    jobs.register(registered, house.database, house.quotes, client)  # type: ignore[arg-type]
    person = people.customer()
    policy_id = house.issue(person, plan_code=plan).policy_id

    def apply_last() -> None:
        stored = house.rows(
            f"SELECT args FROM procrastinate_jobs WHERE task_name = '{APPLY_TRANSACTION.name}' ORDER BY id DESC LIMIT 1"
        )
        arguments: Any = stored[0][0]
        registered.run(APPLY_TRANSACTION.name, arguments)

    apply_last()
    request = invoice_pb2.ListInvoicesRequest(policy_id=policy_id)
    (invoice,) = payments.invoices.ListInvoices(request, metadata=person.metadata()).invoices
    payments.pay(person, invoice.invoice_id)
    house.activate(policy_id, people.service("payments-worker"))
    result = cancel(house, person, policy_id, "moved_away", today() + timedelta(days=100))
    assert not result.billing_pending
    apply_last()
    listed = payments.billing.ListBillingAccounts(
        billing_pb.ListBillingAccountsRequest(policy_id=policy_id), metadata=person.metadata()
    )
    account = listed.billing_accounts[0]
    shown = payments.invoices.GetBilling(invoice_pb2.GetBillingRequest(policy_id=policy_id), metadata=person.metadata())
    planned = [
        (part.installment_number, part.due_date, part.premium.total)
        for part in shown.installments
        if part.state == invoice_pb2.Installment.STATE_PLANNED
    ]
    foreseen = [(part.installment_number, part.due_date, part.premium.total) for part in result.installments]
    assert planned == foreseen
    assert (len(planned) > 0) == (plan == "monthly")
    assert (minor(account.amount_due), result.HasField("balance_due")) == (0, False)
    owed, paid = minor(result.policy.term.premium.total), minor(invoice.premium.total)
    refund = minor(result.refund) if result.HasField("refund") else 0
    assert refund == max(0, paid - owed)
    assert minor(account.balance) == owed - paid + refund
    refunds = payments.rows("SELECT amount, not_before FROM refunds")
    assert refunds == ([(refund, today() + timedelta(days=100))] if plan == "annual" else [])
    postings = payments.rows(
        "SELECT account_code, side, sum(amount)::bigint FROM postings JOIN journals ON journals.id = journal_id"
        f" WHERE source_id = '{result.transaction.transaction_id}' GROUP BY 1, 2 ORDER BY 1, 2"
    )
    given_back, tax = -minor(result.change.net), -minor(result.change.tax)
    assert postings == [("1105", "credit", given_back + tax - refund)] * (plan == "monthly") + [
        ("2000", "debit", given_back),
        ("2100", "debit", tax),
    ] + [("2310", "credit", refund)] * (plan == "annual")
    payments.check_money()


def _flagged(house: House, person: Person) -> list[str]:
    request = pb.ListPoliciesRequest(flag=pb.Policy.FLAG_CANCEL_PENDING)
    return [item.policy_id for item in house.stub.ListPolicies(request, metadata=person.metadata()).policies]


def _outcome(call: Callable[[], object]) -> str:
    try:
        call()
    except grpc.RpcError as error:
        return reason_of(error)
    return "OK"
