"""What a policy insures, and how it stands, as of any moment on both axes of time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import grpc
import psycopg
import pytest

from bazaruto.policies.v1 import policy_pb2 as pb
from libs import ids
from libs.calendar import day_of, start_of
from libs.rpc import values
from tests.integration.policies.house import House
from tests.support.errors import reason_of
from tests.support.people import People

ZONE = "Africa/Maputo"


def test_policy_says_what_is_insured_and_line_by_line_at_what_price(house: House, people: People) -> None:
    person = people.customer()
    policy = house.get(person, house.issue(person, house.quotes.add(person, plate="AA-00-BB")).policy_id)
    (segment,) = policy.term.segments
    for objects in (policy.objects, segment.objects):
        assert [(item.object_id, item.identifier, item.fields["plate"]) for item in objects] == [
            ("vehicle_1", "AA-00-BB", "AA-00-BB")
        ]
    assert dict(segment.answers) == {"driver_age": 34, "use": "private", "garage": True}
    assert [(line.coverage_code, line.object_id, line.amount.units) for line in segment.lines] == [
        ("liability", "vehicle_1", 900),
        ("collision", "vehicle_1", 300),
    ]
    assert segment.net.units == sum(line.full_term_amount.units for line in segment.lines) == 1200
    lines = policy.term.premium.lines
    assert sorted((line.coverage_code or line.charge_code, line.amount.units) for line in lines) == [
        ("collision", 300), ("liability", 900), ("policy_fee", 25), ("premium_tax", 204),
    ]  # fmt: skip
    assert policy.customer_id[4:] == policy.payer_id[4:] == person.user_id[4:]


def test_policy_that_is_paid_ahead_is_scheduled_until_its_first_day(house: House, people: People) -> None:
    person = people.customer()
    today = day_of(datetime.now(UTC), ZONE)
    first_day, last_day = today + timedelta(days=7), today + timedelta(days=365)
    issued = house.issue(person, house.quotes.add(person, starts_on=first_day))
    assert not issued.HasField("cover_start_time")
    paid = house.activate(issued.policy_id, people.service("payments-worker"))
    assert paid.state == pb.Policy.STATE_SCHEDULED
    assert values.time_from_proto(paid.cover_start_time) == start_of(first_day, ZONE)
    assert values.time_from_proto(paid.cover_end_time) == start_of(last_day, ZONE)

    def state(moment: datetime) -> int:
        return house.get(person, issued.policy_id, effective_time=moment).state

    starts_at, ends_at = start_of(first_day, ZONE), start_of(last_day, ZONE)
    instant = timedelta(microseconds=1)
    assert [state(starts_at - instant), state(starts_at), state(ends_at - instant), state(ends_at)] == [
        pb.Policy.STATE_SCHEDULED, pb.Policy.STATE_IN_FORCE, pb.Policy.STATE_IN_FORCE, pb.Policy.STATE_EXPIRED,
    ]  # fmt: skip


def test_cover_that_is_paid_on_its_first_day_begins_with_the_payment(house: House, people: People) -> None:
    paid_at = datetime.now(UTC).replace(microsecond=0)
    issued = house.issue(people.customer())
    paid = house.activate(issued.policy_id, people.service("payments-worker"), paid_at)
    assert paid.state == pb.Policy.STATE_IN_FORCE
    assert values.time_from_proto(paid.cover_start_time) == paid_at


def test_policy_is_read_as_it_was_known(house: House, people: People) -> None:
    person = people.customer()
    issued = house.issue(person)
    before = values.time_from_proto(issued.issue_time)
    house.activate(issued.policy_id, people.service("payments-worker"), before)
    later = datetime.now(UTC)  # of the same day wherever the policy holds

    def state(known_time: datetime) -> int:
        return house.get(person, issued.policy_id, effective_time=later, known_time=known_time).state

    assert [state(before), state(later)] == [pb.Policy.STATE_PENDING, pb.Policy.STATE_IN_FORCE]
    with pytest.raises(grpc.RpcError) as refused:
        state(before - timedelta(microseconds=1))
    assert reason_of(refused.value) == "RESOURCE_NOT_FOUND"


def test_transactions_say_who_issued_them_and_what_they_cost_line_by_line(house: House, people: People) -> None:
    person = people.customer()
    issued = house.issue(person)
    house.activate(issued.policy_id, people.service("payments-worker"))
    request = pb.ListPolicyTransactionsRequest(policy_id=issued.policy_id)
    first, second = house.stub.ListPolicyTransactions(request, metadata=person.metadata()).transactions
    assert (first.actor, second.actor) == (person.user_id, "service:payments-worker")
    assert (first.quote_id, first.change.total.units, first.premium_change.units) == (issued.quote_id, 1429, 1200)
    assert sum(line.amount.units for line in first.change.lines) == 1429
    assert not second.HasField("change")
    assert first.issue_time.ToNanoseconds() < second.issue_time.ToNanoseconds()


def test_segments_of_one_timeline_cannot_overlap(house: House, people: People) -> None:
    house.issue(people.customer())
    with pytest.raises(psycopg.errors.ExclusionViolation):
        house.rows(
            "INSERT INTO timeline_segments SELECT transaction_id, term_number, 2, starts_on + 5, ends_on, answers,"
            " objects, coverages, lines FROM timeline_segments RETURNING 1"
        )


def test_what_a_transaction_of_before_lacks_can_be_filled_in_once(house: House, people: People) -> None:
    person = people.customer()
    policy_id = ids.decode("pol", house.issue(person).policy_id)
    house.rows(
        "INSERT INTO policy_transactions (id, policy_id, sequence, type, effective_on, issued_at, premium_change,"
        f" currency) SELECT gen_random_uuid(), '{policy_id}', 2, 'activation', now(), now(), 0, 'EUR' RETURNING 1"
    )
    fill_in = "UPDATE policy_transactions SET lines = '[]' WHERE sequence = 2 RETURNING 1"
    for refused in ("effective_on = effective_on + 1, lines = '[]'", "type = 'lapse'"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            house.rows(f"UPDATE policy_transactions SET {refused} WHERE sequence = 2 RETURNING 1")
    assert house.rows(fill_in) == [(1,)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        house.rows(fill_in)
