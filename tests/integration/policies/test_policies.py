"""Policies on a real server and a real database; the quotes service is a small fake behind the client's interface."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import grpc
import psycopg
import pytest
from structlog.testing import capture_logs

from bazaruto.policies.v1 import policy_pb2 as pb
from libs import clock, ids
from libs.identity.scopes import NOTHING
from services.policies.lifecycle.flows import issuing
from tests.integration.policies.house import FakePayments, House
from tests.support.errors import metadata_of, reason_of
from tests.support.people import People, new_key


def test_policy_issued_from_an_accepted_quote_is_pending_and_numbered(house: House, people: People) -> None:
    person = people.customer()
    issued = house.issue(person)
    assert issued.state == pb.Policy.STATE_PENDING
    assert issued.policy_number == f"MOT-{datetime.now(ZoneInfo('Africa/Maputo')).year}-000001"
    assert issued.user_id == person.user_id
    assert issued.term.premium.total.units == 1429
    assert len(issued.coverages) == 2


def test_numbers_of_all_products_run_on(house: House, people: People) -> None:
    person = people.customer()
    issued = [
        house.issue(person, house.quotes.add(person, product_code=code)) for code in ("motor", "motorbike", "home")
    ]
    assert [policy.policy_number[:3] + policy.policy_number[8:] for policy in issued] == [
        "MOT-000001",
        "MOT-000002",
        "HOM-000003",
    ]


def test_policy_that_is_being_issued_for_long_keeps_nobody_else_waiting(house: House, people: People) -> None:
    person = people.customer()
    slow = house.quotes.quotes[house.quotes.add(person)]
    with house.database.transaction() as session:
        wish = issuing.Wish("annual", slow.user_id, person.user_id, NOTHING)
        stalled = issuing.issue(session, slow, wish, datetime.now(UTC))
        others = [house.issue(person).policy_number for _ in range(3)]
    assert sorted({stalled.number, *others}) == [stalled.number, *others]


def test_programs_that_count_by_product_take_no_number_twice(house: House, people: People) -> None:
    person = people.customer()
    year = datetime.now(ZoneInfo("Africa/Maputo")).year
    taken = [int(house.issue(person).policy_number[-6:])]
    for _ in range(2):
        count = (
            f"INSERT INTO policy_numbers (product_code, year, last) VALUES ('motor', {year}, 1)"
            " ON CONFLICT (product_code, year) DO UPDATE SET last = policy_numbers.last + 1 RETURNING last"
        )
        ((last,),) = house.rows(count)
        taken += [int(str(last)), int(house.issue(person).policy_number[-6:])]
    assert taken == sorted(set(taken))


def test_issued_policy_and_its_jobs_are_stored_together(house: House, people: People) -> None:
    house.issue(people.customer(), payment_method="pm_card_ok")
    assert house.rows("SELECT task_name FROM procrastinate_jobs ORDER BY task_name") == [
        ("policies.apply_transaction",),
        ("policies.bind_quote",),
    ]


def test_payment_token_is_in_no_job_and_no_log_and_forgotten_once_billed(
    house: House, people: People, caplog: pytest.LogCaptureFixture
) -> None:
    token = "pm_card_of_somebody"
    policy_id = house.issue(people.customer(), payment_method=token).policy_id
    payments = FakePayments()
    worker = house.worker(payments)
    with caplog.at_level("DEBUG"), capture_logs() as lines:
        worker.run_due()
        assert house.rows("SELECT token FROM payment_methods") == [(token,)]
        assert house.rows("UPDATE procrastinate_jobs SET scheduled_at = NULL WHERE status = 'todo' RETURNING 1")
        worker.run_due()
    assert payments.asked == [(policy_id, token), (policy_id, token)]
    assert house.rows("SELECT count(*) FROM payment_methods") == [(0,)]
    assert house.rows("SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'") == [(2,)]
    written = house.rows("SELECT args::text FROM procrastinate_jobs") + house.rows(
        "SELECT after::text FROM audit_events"
    )
    assert token not in f"{written}{lines}{caplog.text}"


def test_method_that_the_payer_keeps_is_named_to_payments(house: House, people: People) -> None:
    person = people.customer()
    method_id = ids.encode("pmt", ids.new())
    assert person.id is not None
    house.payments.payers[method_id] = person.id
    policy_id = house.issue(person, payment_method_id=method_id).policy_id
    house.worker(house.payments).run_due()
    assert house.payments.asked == [(policy_id, method_id)]


def test_method_that_is_not_the_payers_is_refused(house: House, people: People) -> None:
    person, method_id, others = people.customer(), ids.encode("pmt", ids.new()), ids.encode("pmt", ids.new())
    house.payments.payers[others] = ids.new()
    for fields, reason in (
        ({"payment_method_id": method_id}, "RESOURCE_NOT_FOUND"),
        ({"payment_method_id": others}, "INVALID_FIELD"),
        ({"payment_method_id": others, "payment_method": "pm_card_ok"}, "INVALID_FIELD"),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            house.issue(person, **fields)
        assert reason_of(refused.value) == reason
    assert house.rows("SELECT count(*) FROM policies") == [(0,)]


def test_same_key_returns_the_first_policy(house: House, people: People) -> None:
    person, key = people.customer(), new_key()
    quote_id = house.quotes.add(person)
    first = house.issue(person, quote_id, key)
    assert house.issue(person, quote_id, key) == first
    assert house.rows("SELECT count(*) FROM policies") == [(1,)]


def test_twenty_parallel_calls_with_one_key_issue_one_policy(house: House, people: People) -> None:
    person, key = people.customer(), new_key()
    quote_id = house.quotes.add(person)
    with ThreadPoolExecutor(20) as pool:
        issued = list(pool.map(lambda _: house.issue(person, quote_id, key), range(20)))
    assert len({policy.policy_id for policy in issued}) == 1
    assert house.rows("SELECT count(*) FROM policies") == [(1,)]


def test_parallel_calls_with_different_keys_issue_one_policy(house: House, people: People) -> None:
    person = people.customer()
    quote_id = house.quotes.add(person)

    def attempt(_: int) -> str:
        try:
            house.issue(person, quote_id)
        except grpc.RpcError as error:
            return f"{reason_of(error)} {metadata_of(error)['policy_id'][:4]}"
        return "issued"

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(attempt, range(8)))
    assert sorted(outcomes) == ["POLICY_ALREADY_ISSUED pol_"] * 7 + ["issued"]
    assert house.rows("SELECT count(*) FROM policies") == [(1,)]


def test_key_used_for_another_request_is_refused(house: House, people: People) -> None:
    person, key = people.customer(), new_key()
    house.issue(person, key=key)
    with pytest.raises(grpc.RpcError) as refused:
        house.issue(person, key=key)
    assert reason_of(refused.value) == "IDEMPOTENCY_KEY_REUSED"


@pytest.mark.parametrize("key", ["short", "x" * 256, "with spaces in the middle of it"])
def test_malformed_key_is_refused(house: House, people: People, key: str) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        house.issue(people.customer(), key=key)
    assert reason_of(refused.value) == "IDEMPOTENCY_KEY_REQUIRED"


def test_missing_key_is_refused_and_changes_nothing(house: House, people: People) -> None:
    person = people.customer()
    request = pb.IssuePolicyRequest(quote_id=house.quotes.add(person))
    with pytest.raises(grpc.RpcError) as refused:
        house.stub.IssuePolicy(request, metadata=person.metadata())
    assert reason_of(refused.value) == "IDEMPOTENCY_KEY_REQUIRED"
    assert house.rows("SELECT count(*) FROM policies") == [(0,)]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"state": "quoted"}, "QUOTE_NOT_ACCEPTED"),
        ({"state": "expired"}, "QUOTE_EXPIRED"),
        ({"valid_until": datetime(2020, 1, 1, tzinfo=UTC)}, "QUOTE_EXPIRED"),
        ({"state": "bound", "policy_id": "pol_01m86535y1eaws2ywvkrpm6m62"}, "POLICY_ALREADY_ISSUED"),
        ({"plans": {"monthly": 12}}, "INSTALLMENT_PLAN_INVALID"),
    ],
)
def test_unfit_quote_is_refused_with_its_reason_and_changes_nothing(
    house: House, people: People, changes: dict[str, Any], reason: str
) -> None:
    person = people.customer()
    with pytest.raises(grpc.RpcError) as refused:
        house.issue(person, house.quotes.add(person, **changes))
    assert reason_of(refused.value) == reason
    assert house.rows("SELECT count(*) FROM policies") == [(0,)]
    assert house.rows("SELECT count(*) FROM idempotency_keys") == [(0,)]


def test_quote_of_somebody_else_does_not_exist(house: House, people: People) -> None:
    quote_id = house.quotes.add(people.customer())
    with pytest.raises(grpc.RpcError) as refused:
        house.issue(people.customer(), quote_id)
    assert reason_of(refused.value) == "RESOURCE_NOT_FOUND"


@pytest.mark.parametrize("who", ["admin", "service"])
def test_who_only_sees_a_quote_cannot_make_a_contract_of_it(house: House, people: People, who: str) -> None:
    person = people.admin() if who == "admin" else people.service("payments")
    with pytest.raises(grpc.RpcError) as refused:
        house.issue(person, house.quotes.add(people.customer()))
    assert reason_of(refused.value) == "RESOURCE_NOT_FOUND"
    assert house.rows("SELECT count(*) FROM policies") == [(0,)]


def test_policy_of_somebody_else_looks_like_one_that_never_existed(house: House, people: People) -> None:
    owner, stranger = people.customer(), people.customer()
    issued = house.issue(owner)
    answers = []
    for policy_id in (issued.policy_id, ids.encode("pol", ids.new())):
        with pytest.raises(grpc.RpcError) as refused:
            house.stub.GetPolicy(pb.GetPolicyRequest(policy_id=policy_id), metadata=stranger.metadata())
        answers.append((reason_of(refused.value), refused.value.details()))
    assert answers[0] == answers[1]
    assert house.stub.GetPolicy(pb.GetPolicyRequest(policy_id=issued.policy_id), metadata=owner.metadata()) == issued


def test_activation_puts_the_policy_in_force_once(house: House, people: People) -> None:
    person, service = people.customer(), people.service("payments-worker")
    issued = house.issue(person)
    request = pb.ActivatePolicyRequest(policy_id=issued.policy_id, payment_id=ids.encode("pay", ids.new()))
    request.paid_time.FromDatetime(datetime.now(UTC))
    first = house.stub.ActivatePolicy(request, metadata=service.metadata())
    again = house.stub.ActivatePolicy(request, metadata=service.metadata())
    assert first.state == again.state == pb.Policy.STATE_IN_FORCE
    assert again.etag == first.etag != issued.etag
    stack = house.stub.ListPolicyTransactions(
        pb.ListPolicyTransactionsRequest(policy_id=issued.policy_id), metadata=person.metadata()
    ).transactions
    assert [entry.type for entry in stack] == [
        pb.PolicyTransaction.TYPE_NEW_BUSINESS,
        pb.PolicyTransaction.TYPE_ACTIVATION,
    ]


def test_activation_by_a_second_payment_is_refused(house: House, people: People) -> None:
    service = people.service("payments-worker")
    request = pb.ActivatePolicyRequest(policy_id=house.issue(people.customer()).policy_id)
    request.paid_time.FromDatetime(datetime.now(UTC))
    request.payment_id = ids.encode("pay", ids.new())
    house.stub.ActivatePolicy(request, metadata=service.metadata())
    request.payment_id = ids.encode("pay", ids.new())
    with pytest.raises(grpc.RpcError) as refused:
        house.stub.ActivatePolicy(request, metadata=service.metadata())
    assert reason_of(refused.value) == "POLICY_STATE_INVALID"


def test_policy_whose_first_premium_is_not_paid_on_the_first_day_is_not_taken(
    house: House, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = people.customer()
    issued = house.issue(person)
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    monkeypatch.setattr(clock, "now", lambda: tomorrow)
    assert house.get(person, issued.policy_id).state == pb.Policy.STATE_NOT_TAKEN
    # A payment that was begun in time may be known late.
    paid = house.activate(issued.policy_id, people.service("payments-worker"), tomorrow)
    assert paid.state == pb.Policy.STATE_IN_FORCE


def test_customer_cannot_activate_a_policy(house: House, people: People) -> None:
    person = people.customer()
    request = pb.ActivatePolicyRequest(policy_id=house.issue(person).policy_id)
    with pytest.raises(grpc.RpcError) as refused:
        house.stub.ActivatePolicy(request, metadata=person.metadata())
    assert reason_of(refused.value) == "ACCESS_DENIED"


@pytest.mark.parametrize("table", ["policy_transactions", "timelines", "timeline_segments"])
@pytest.mark.parametrize(
    "statement", ["DELETE FROM {}", "UPDATE {} SET term_number = term_number", "TRUNCATE {} CASCADE"]
)
def test_history_cannot_be_changed_even_by_sql(house: House, people: People, table: str, statement: str) -> None:
    house.issue(people.customer())
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        house.rows(statement.format(table))
