"""What each service leaves in its audit log."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import psycopg
import pytest
from google.protobuf.json_format import MessageToDict
from structlog.testing import capture_logs

from bazaruto.common.v1 import audit_pb2
from bazaruto.policies.v1 import policy_pb2
from bazaruto.users.v1 import user_pb2
from libs import audit, ids
from libs.rpc import values
from tests.integration.audit.reading import LoggedServer
from tests.integration.users.house import PASSWORD, bearer
from tests.integration.users.test_accounts import outcome
from tests.support.people import People, new_key

Logged = Callable[[str], LoggedServer]


def held(event: audit_pb2.AuditEvent, part: str) -> dict[str, Any]:
    """One of the three free parts of an entry."""
    return dict(MessageToDict(getattr(event, part)))


def test_registration_leaves_an_entry_and_a_line(logged: Logged) -> None:
    server = logged("users")
    with capture_logs() as lines:
        user = server.house.register("ana@example.com", phone="+258841234567")
    [event] = server.events()
    assert (event.action, event.actor, event.resource) == ("user_created", "anonymous", user.user_id)
    assert not event.HasField("before")
    assert held(event, "after") == {
        "email": "ana@example.com", "full_name": "Ana Sitoe", "phone": "+258841234567", "locale": "",
        "roles": ["customer"], "state": "active",
    }  # fmt: skip
    assert event.client_address == "127.0.0.1"
    assert abs(event.event_time.ToDatetime(UTC) - datetime.now(UTC)) < timedelta(seconds=30)
    [line] = [line for line in lines if line["event"] == "user_created"]
    assert (line["user_id"], line["email"], line["actor"]) == (user.user_id, user.email, "anonymous")


def test_failed_registration_leaves_an_entry_although_nothing_else_stays(logged: Logged) -> None:
    server = logged("users")
    server.house.register("ana@example.com")
    with capture_logs() as lines:
        assert outcome(server.house.register, "ana@example.com") == "EMAIL_TAKEN"
        assert outcome(server.house.register, "eve@example.com", password="password") == "PASSWORD_TOO_COMMON"
    events = server.events(action="user_creation_failed")
    assert [(held(event, "details")["email"], held(event, "details")["error"]) for event in events] == [
        ("ana@example.com", "EMAIL_TAKEN"),
        ("eve@example.com", "PASSWORD_TOO_COMMON"),
    ]
    assert all(held(event, "details")["user_id"] == event.resource for event in events)
    assert len([line for line in lines if line["event"] == "user_creation_failed"]) == 2
    assert server.sql("SELECT count(*) FROM users") == [(1,)]


def test_change_is_kept_before_and_after(logged: Logged) -> None:
    server = logged("users")
    user, authorization = server.house.newcomer()
    server.house.update(authorization, full_name="Ana Maria", phone=user.phone)
    [event] = server.events(action="user_updated")
    assert (event.actor, event.resource) == (user.user_id, user.user_id)
    assert held(event, "before") == {"full_name": "Ana Sitoe"}
    assert held(event, "after") == {"full_name": "Ana Maria"}


def test_change_that_is_refused_or_changes_nothing_leaves_no_entry(logged: Logged) -> None:
    server = logged("users")
    user, authorization = server.house.newcomer()
    server.house.update(authorization, full_name=user.full_name)
    assert outcome(server.house.update, authorization, if_match='"9"', full_name="Eve") == "CONCURRENT_CHANGE"
    assert server.actions(action="user_updated") == []


def test_log_ins_are_kept_and_what_was_typed_is_not(logged: Logged) -> None:
    server = logged("users")
    user = server.house.register()
    server.house.log_in(user.email)
    outcome(server.house.log_in, user.email, "canary-secret-1")
    outcome(server.house.log_in, "canary-secret-2@example.com", "canary-secret-3")
    log_in_events = [(event.action, event.actor, event.resource) for event in server.events()][1:]
    assert log_in_events == [
        ("login_succeeded", user.user_id, user.user_id),
        ("login_failed", "anonymous", user.user_id),
        ("login_failed", "anonymous", ""),
    ]
    reasons = [held(event, "details")["reason"] for event in server.events(action="login_failed")]
    assert reasons == ["wrong_password", "unknown_email"]


def test_second_use_of_a_refresh_token_is_kept_with_the_end_of_its_session(logged: Logged) -> None:
    server = logged("users")
    user = server.house.register()
    tokens = server.house.log_in(user.email)
    server.house.refresh(tokens.refresh_token)
    assert outcome(server.house.refresh, tokens.refresh_token) == "REFRESH_TOKEN_REUSED"
    [event] = server.events(action="token_reused")
    [started] = server.events(action="login_succeeded")
    assert event.resource == user.user_id
    assert held(event, "details") == held(started, "details")  # the same session


def test_policy_is_kept_when_issued_and_when_put_in_force(logged: Logged, people: People) -> None:
    server, person = logged("policies"), people.customer()
    issued = server.house.issue(person)
    request = policy_pb2.ActivatePolicyRequest(
        policy_id=issued.policy_id,
        payment_id=ids.encode("pay", ids.new()),
        paid_time=values.time_to_proto(datetime.now(UTC)),
    )
    for _ in range(2):  # the second time changes nothing
        server.house.stub.ActivatePolicy(request, metadata=people.service("payments-worker").metadata())
    first, second = server.events(resource=issued.policy_id)
    assert (first.action, first.actor) == ("policy_issued", person.user_id)
    assert held(first, "after")["number"] == issued.policy_number
    assert held(first, "after")["total"] == "1429.00 EUR"
    assert (second.action, second.actor) == ("policy_activated", "service:payments-worker")
    assert held(second, "details") == {"payment_id": request.payment_id}


def test_repeated_call_with_its_key_leaves_one_entry(logged: Logged, people: People) -> None:
    server, person, key = logged("policies"), people.customer(), new_key()
    quote_id = server.house.quotes.add(person)
    for _ in range(3):
        server.house.issue(person, quote_id, key)
    assert server.actions() == ["policy_issued"]


def test_payment_is_kept_when_it_comes_to_its_end(logged: Logged, people: People) -> None:
    server, person = logged("payments"), people.customer()
    invoice_id = server.house.invoice_of(person)
    assert outcome(server.house.pay, person, invoice_id, "pm_card_declined") == "PAYMENT_DECLINED"
    paid = server.house.pay(person, invoice_id)
    declined, succeeded = server.events()
    assert (declined.action, succeeded.action) == ("payment_declined", "payment_succeeded")
    assert (succeeded.actor, succeeded.resource) == (person.user_id, paid.payment_id)
    assert held(succeeded, "before") == {"state": "processing"}
    assert held(succeeded, "after")["amount"] == "1429.00 EUR"
    assert held(succeeded, "details") == {"invoice_id": invoice_id, "user_id": person.user_id}
    assert held(declined, "after")["decline_code"]


def test_payment_that_a_job_brings_to_its_end_is_kept_too(logged: Logged, people: People) -> None:
    server, person = logged("payments"), people.customer()
    invoice_id = server.house.invoice_of(person)
    payment = server.house.begin(invoice_id, datetime.now(UTC))
    server.house.provider.charge(payment.id, payment.amount, "pm_card_ok", 1)
    server.house.settle(payment.id, datetime.now(UTC))
    [event] = server.events()
    assert (event.action, event.actor, event.client_address) == ("payment_succeeded", "system", "")


def test_denied_call_is_kept_once_a_minute(logged: Logged, people: People) -> None:
    server, person = logged("users"), people.customer()
    for _ in range(5):
        assert outcome(server.page, person) == "ACCESS_DENIED"
    assert outcome(server.house.users.ListUsers, user_pb2.ListUsersRequest(), metadata=person.metadata()) == (
        "ACCESS_DENIED"
    )
    events = server.events(action="authorization_denied")
    assert {event.actor for event in events} == {person.user_id}
    assert [held(event, "details")["method"] for event in events] == [
        "bazaruto.users.v1.UserAuditService/ListAuditEvents",
        "bazaruto.users.v1.UserService/ListUsers",
    ]


def test_entry_is_there_exactly_if_its_fact_is(logged: Logged, people: People) -> None:
    server, person = logged("payments"), people.customer()
    invoice_id = server.house.invoice_of(person)
    server.sql("ALTER TABLE audit_events ADD CONSTRAINT broken CHECK (action <> 'payment_succeeded')")
    with pytest.raises(grpc.RpcError):
        server.house.pay(person, invoice_id)
    assert server.sql("SELECT status FROM payments") == [("processing",)]  # the janitor goes on from here
    server.sql("ALTER TABLE audit_events DROP CONSTRAINT broken")
    [(payment_id,)] = server.sql("SELECT id FROM payments")
    server.house.settle(payment_id, datetime.now(UTC))
    assert server.actions() == ["payment_succeeded"]


def test_entries_hold_no_secret(logged: Logged) -> None:
    server = logged("users")
    _, authorization = server.house.newcomer()
    tokens = server.house.log_in(server.house.register().email)
    server.house.refresh(tokens.refresh_token)
    outcome(server.house.refresh, tokens.refresh_token)
    server.house.update(authorization, full_name="Ana Maria")
    kept = str(server.sql("SELECT e::text FROM audit_events e"))
    for secret in (PASSWORD, "argon2", tokens.refresh_token, tokens.access_token, authorization.split(".")[-1]):
        assert secret not in kept


def test_name_that_only_contains_such_a_word_is_no_secret(logged: Logged) -> None:
    server = logged("policies")
    with server.house.database.transaction() as session:
        audit.record(session, "claim_scored", "clm_1", after={"scorecard": "B"}, discard_reason="stale")
    [event] = server.events()
    assert (held(event, "after"), held(event, "details")) == ({"scorecard": "B"}, {"discard_reason": "stale"})


def test_entry_carries_the_address_that_the_gateway_tells_and_nobody_else_is_believed(
    logged: Logged, people: People
) -> None:
    server = logged("users")
    gateway, other = people.service("gateway").authorization, people.service("quotes").authorization
    forged = bearer(server.house.log_in(server.house.register().email))
    for proof in (gateway, other, forged, "Bearer x", ""):
        metadata = [("x-forwarded-for", "203.0.113.9"), ("x-forwarded-by", proof)]
        request = user_pb2.RegisterUserRequest(
            email=f"{secrets.token_hex(4)}@example.com", password=PASSWORD, full_name="Ana"
        )
        server.house.users.RegisterUser(request, metadata=metadata)
    addresses = [event.client_address for event in server.events(action="user_created")]
    assert addresses == ["127.0.0.1", "203.0.113.9", "127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.1"]


@pytest.mark.parametrize("service", ["users", "policies", "payments"])
@pytest.mark.parametrize("statement", ["UPDATE audit_events SET actor = 'x'", "DELETE FROM audit_events"])
def test_nobody_changes_an_entry_not_even_the_superuser(logged: Logged, service: str, statement: str) -> None:
    server = logged(service)
    server.sql("INSERT INTO audit_events VALUES (gen_random_uuid(), now(), 'x', 'y', '', NULL, NULL, '{}', '', '')")
    with pytest.raises(psycopg.errors.InsufficientPrivilege) as refused:
        server.sql(statement)
    assert refused.value.sqlstate == "42501"
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        server.sql("TRUNCATE audit_events")
