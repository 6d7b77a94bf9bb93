"""Accepting, binding and expiring quotes on a real server and a real database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import grpc
import psycopg
import pytest

from bazaruto.quotes.v1 import quote_pb2 as pb
from libs import ids
from libs.rpc import values
from services.quotes.quoting import jobs
from tests.integration.quotes.conftest import House, risk
from tests.support.errors import metadata_of, reason_of
from tests.support.people import People, Person, new_key
from tests.support.servers import refuse_stale_reads


def bind(
    house: House,
    who: Person,
    quote_id: str,
    policy_id: str = "",
    issued_at: datetime | None = None,
    transaction_id: str = "",
) -> pb.Quote:
    request = pb.BindQuoteRequest(
        quote_id=quote_id,
        policy_id=policy_id or ids.encode("pol", ids.new()),
        issue_time=values.time_to_proto(issued_at or datetime.now(UTC)),
        transaction_id=transaction_id,
    )
    return house.quotes.BindQuote(request, metadata=who.metadata())


def test_accepted_quote_says_so(house: House, person: Person) -> None:
    made = house.create(person)
    accepted = house.accept(person, made.quote_id)
    assert accepted.state == pb.Quote.STATE_ACCEPTED
    assert accepted.accept_time.ToDatetime(UTC) >= made.create_time.ToDatetime(UTC)
    assert accepted.etag != made.etag
    assert house.get(person, made.quote_id) == accepted


def test_quote_is_accepted_once(house: House, person: Person) -> None:
    made = house.create(person)
    key = new_key()
    accepted = house.accept(person, made.quote_id, idempotency_key=key)
    assert house.accept(person, made.quote_id, idempotency_key=key) == accepted
    for metadata in ({}, {"idempotency_key": new_key()}):
        with pytest.raises(grpc.RpcError) as caught:
            house.accept(person, made.quote_id, **metadata)
        assert reason_of(caught.value) == "QUOTE_ALREADY_ACCEPTED"


def test_of_parallel_acceptances_one_wins(house: House, person: Person) -> None:
    made = house.create(person)

    def accept(_: int) -> str:
        try:
            house.accept(person, made.quote_id, idempotency_key=new_key())
        except grpc.RpcError as error:
            return reason_of(error)
        return "accepted"

    with ThreadPoolExecutor(6) as pool:
        outcomes = sorted(pool.map(accept, range(6)))
    assert outcomes == ["QUOTE_ALREADY_ACCEPTED"] * 5 + ["accepted"]
    assert house.rows("SELECT state, version FROM quotes") == [("accepted", 2)]


def test_parallel_repeats_of_one_acceptance_all_get_its_reply(house: House, person: Person) -> None:
    made, key = house.create(person), new_key()

    def accept(_: int) -> pb.Quote:
        return house.accept(person, made.quote_id, idempotency_key=key)

    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(accept, range(4)))
    assert all(reply == replies[0] for reply in replies)


def test_acceptance_of_another_state_of_the_quote_is_refused(house: House, person: Person) -> None:
    made = house.create(person)
    with pytest.raises(grpc.RpcError) as caught:
        house.accept(person, made.quote_id, if_match='"other"')
    assert reason_of(caught.value) == "CONCURRENT_CHANGE"
    assert house.accept(person, made.quote_id, if_match=f'"{made.etag}"').state == pb.Quote.STATE_ACCEPTED


def test_acceptance_of_another_state_says_so_with_an_idempotency_key_too(house: House, person: Person) -> None:
    made, key = house.create(person), new_key()
    for _ in range(2):
        with pytest.raises(grpc.RpcError) as caught:
            house.accept(person, made.quote_id, idempotency_key=key, if_match='"other"')
        assert reason_of(caught.value) == "CONCURRENT_CHANGE"
    assert house.accept(person, made.quote_id, idempotency_key=key).state == pb.Quote.STATE_ACCEPTED


def test_key_whose_first_call_outlasts_the_wait_is_in_use(house: House, person: Person) -> None:
    made, key = house.create(person), new_key()
    with psycopg.connect(house.url) as first:
        first.execute(
            "INSERT INTO idempotency_keys (subject, method, key, fingerprint) VALUES (%s, %s, %s, '')",
            (person.user_id, "bazaruto.quotes.v1.QuoteService/AcceptQuote", key),
        )
        with pytest.raises(grpc.RpcError) as caught:
            house.accept(person, made.quote_id, idempotency_key=key)
        first.rollback()
    assert reason_of(caught.value) == "IDEMPOTENCY_KEY_IN_USE"
    assert house.accept(person, made.quote_id, idempotency_key=key).state == pb.Quote.STATE_ACCEPTED


def test_referred_quote_cannot_be_accepted(house: House, person: Person) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        house.accept(person, house.create(person, risk(use="taxi")).quote_id)
    assert reason_of(caught.value) == "QUOTE_REFERRED"


def test_declined_quote_cannot_be_accepted(house: House, person: Person) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        house.accept(person, house.create(person, risk(claims_5_years=5)).quote_id)
    assert (reason_of(caught.value), metadata_of(caught.value)) == (
        "RISK_DECLINED",
        {"rule": "too_many_claims", "state": "declined"},
    )


@pytest.mark.parametrize("swept", [False, True])
@pytest.mark.parametrize("accepted", [False, True])
def test_expired_quote_cannot_be_accepted(house: House, person: Person, accepted: bool, swept: bool) -> None:
    quote_id = house.past(person, 40, accepted=accepted)
    if swept:
        jobs.expire_quotes(house.database, datetime.now(UTC))
    quote = house.get(person, quote_id)
    assert quote.state == pb.Quote.STATE_EXPIRED
    with pytest.raises(grpc.RpcError) as caught:
        house.accept(person, quote_id)
    assert reason_of(caught.value) == "QUOTE_EXPIRED"
    valid_until = quote.valid_until_time.ToDatetime(UTC).isoformat()
    assert metadata_of(caught.value) == {"valid_until_time": valid_until, "state": "expired"}


def test_bound_quote_cannot_be_accepted(house: House, person: Person, policies: Person) -> None:
    quote_id = house.accept(person, house.create(person).quote_id).quote_id
    bind(house, policies, quote_id)
    with pytest.raises(grpc.RpcError) as caught:
        house.accept(person, quote_id)
    assert (reason_of(caught.value), metadata_of(caught.value)) == ("QUOTE_STATE_INVALID", {"state": "bound"})


def test_binding_again_changes_nothing(house: House, person: Person, policies: Person) -> None:
    quote_id = house.accept(person, house.create(person).quote_id).quote_id
    policy_id = ids.encode("pol", ids.new())
    bound = bind(house, policies, quote_id, policy_id)
    assert (bound.state, bound.policy_id) == (pb.Quote.STATE_BOUND, policy_id)
    assert bind(house, policies, quote_id, policy_id) == bound
    with pytest.raises(grpc.RpcError) as caught:
        bind(house, policies, quote_id)
    assert (reason_of(caught.value), metadata_of(caught.value)) == ("POLICY_ALREADY_ISSUED", {"policy_id": policy_id})


def test_quote_is_bound_by_one_transaction(house: House, person: Person, policies: Person) -> None:
    quote_id = house.accept(person, house.create(person).quote_id).quote_id
    policy_id, transaction_id = ids.encode("pol", ids.new()), ids.encode("ptx", ids.new())
    bound = bind(house, policies, quote_id, policy_id, transaction_id=transaction_id)
    assert bound.transaction_id == transaction_id
    assert bind(house, policies, quote_id, policy_id, transaction_id=transaction_id) == bound
    assert bind(house, policies, quote_id, policy_id) == bound
    with pytest.raises(grpc.RpcError) as caught:
        bind(house, policies, quote_id, policy_id, transaction_id=ids.encode("ptx", ids.new()))
    assert (reason_of(caught.value), metadata_of(caught.value)) == ("POLICY_ALREADY_ISSUED", {"policy_id": policy_id})
    assert house.get(person, quote_id) == bound


def test_one_transaction_binds_one_quote(house: House, person: Person, policies: Person) -> None:
    first, second = (house.accept(person, house.create(person).quote_id).quote_id for _ in range(2))
    policy_id, transaction_id = ids.encode("pol", ids.new()), ids.encode("ptx", ids.new())
    bind(house, policies, first, policy_id, transaction_id=transaction_id)
    with pytest.raises(grpc.RpcError) as caught:
        bind(house, policies, second, policy_id, transaction_id=transaction_id)
    assert (reason_of(caught.value), metadata_of(caught.value)) == ("POLICY_ALREADY_ISSUED", {"policy_id": policy_id})
    assert house.get(person, second).state == pb.Quote.STATE_ACCEPTED


def test_who_only_sees_a_quote_cannot_accept_it(house: House, person: Person, people: People, policies: Person) -> None:
    quote_id = house.create(person).quote_id
    for other in (people.admin(), policies):
        assert house.get(other, quote_id).quote_id == quote_id
        with pytest.raises(grpc.RpcError) as caught:
            house.accept(other, quote_id)
        assert reason_of(caught.value) == "RESOURCE_NOT_FOUND"


def test_acceptance_is_kept_in_the_audit_log_with_the_price(house: House, person: Person) -> None:
    quote_id = house.create(person).quote_id
    house.accept(person, quote_id)
    with pytest.raises(grpc.RpcError):
        house.accept(person, quote_id)
    ((action, actor, resource, after),) = house.rows("SELECT action, actor, resource, after FROM audit_events")
    assert (action, actor, resource) == ("quote_accepted", person.user_id, quote_id)
    assert after["state"] == "accepted"
    assert "EUR" in str(after["total"])


def test_accepted_quote_is_read_as_accepted_at_once(
    house: House, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    quote_id = house.create(person).quote_id
    refuse_stale_reads(monkeypatch)
    house.accept(person, quote_id, idempotency_key=new_key())
    assert house.get(person, quote_id).state == pb.Quote.STATE_ACCEPTED


def test_only_services_bind(house: House, person: Person) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        bind(house, person, house.create(person).quote_id)
    assert reason_of(caught.value) == "ACCESS_DENIED"


def test_unknown_quote_cannot_be_bound(house: House, policies: Person) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        bind(house, policies, ids.encode("quo", ids.new()))
    assert reason_of(caught.value) == "RESOURCE_NOT_FOUND"


def test_word_of_a_policy_may_come_when_the_quote_was_marked_as_expired(
    house: House, person: Person, policies: Person
) -> None:
    quote_id = house.past(person, 40, accepted=True)
    jobs.expire_quotes(house.database, datetime.now(UTC))
    bound = bind(house, policies, quote_id, transaction_id=ids.encode("ptx", ids.new()))
    assert bound.state == pb.Quote.STATE_BOUND
    assert house.get(person, quote_id) == bound


def test_sweep_marks_what_has_expired_and_nothing_else(house: House, person: Person, policies: Person) -> None:
    for _ in range(3):
        house.past(person, 40)
    house.past(person, 40, accepted=True)
    house.past(person, 40, driver_age=17)
    house.create(person)
    bind(house, policies, house.accept(person, house.create(person).quote_id).quote_id)
    before = house.quotes.ListQuotes(pb.ListQuotesRequest(), metadata=person.metadata())
    assert jobs.expire_quotes(house.database, datetime.now(UTC)) == 4
    assert jobs.expire_quotes(house.database, datetime.now(UTC)) == 0
    assert house.rows("SELECT state, count(*) FROM quotes GROUP BY 1 ORDER BY 1") == [
        ("bound", 1),
        ("declined", 1),
        ("expired", 4),
        ("quoted", 1),
    ]
    # Readers were told by the clock before, etags included: the sweep changes nothing for them.
    assert house.quotes.ListQuotes(pb.ListQuotesRequest(), metadata=person.metadata()) == before


def test_sweep_takes_many_quotes_in_parts(house: House, person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_AT_ONCE", 2)
    for _ in range(5):
        house.past(person, 40)
    assert jobs.expire_quotes(house.database, datetime.now(UTC)) == 5
