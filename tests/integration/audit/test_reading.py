"""Reading the audit log: who may, by which filters, page by page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import grpc
import pytest

from bazaruto.common.v1 import audit_pb2
from libs.rpc import values
from tests.integration.audit.reading import LoggedServer
from tests.integration.users.test_accounts import outcome
from tests.support.people import People

Logged = Callable[[str], LoggedServer]


@pytest.mark.parametrize("service", ["users", "policies", "payments"])
def test_admins_read_the_log_and_nobody_else(logged: Logged, people: People, service: str) -> None:
    server = logged(service)
    assert server.events(people.admin()) == []
    assert outcome(server.page, people.customer()) == "ACCESS_DENIED"
    assert outcome(server.page, people.service("quotes")) == "TOKEN_INVALID"
    with pytest.raises(grpc.RpcError) as refused:
        server.stub.ListAuditEvents(audit_pb2.ListAuditEventsRequest())
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_filters_match_together(logged: Logged) -> None:
    server = logged("users")
    ana, authorization = server.house.newcomer()
    server.house.newcomer()
    server.house.update(authorization, full_name="Ana Maria")
    assert server.actions(resource=ana.user_id) == ["user_created", "login_succeeded", "user_updated"]
    assert server.actions(actor=ana.user_id) == ["login_succeeded", "user_updated"]
    assert server.actions(actor=ana.user_id, action="user_updated") == ["user_updated"]
    assert len(server.actions(action="user_created")) == 2
    assert server.actions(actor="' OR 1=1 --") == []


def test_range_of_time_holds_its_start_and_not_its_end(logged: Logged) -> None:
    server = logged("users")
    server.house.register()
    between = values.time_to_proto(datetime.now(UTC))
    server.house.register()
    first, second = server.events()
    assert server.events(end_time=between) == [first]
    assert server.events(start_time=between) == [second]
    assert server.events(start_time=first.event_time, end_time=second.event_time) == [first]
    assert server.events(end_time=values.time_to_proto(datetime(1960, 1, 1, tzinfo=UTC))) == []


def test_pages_are_newest_first_and_belong_to_their_filter(logged: Logged) -> None:
    server = logged("users")
    admin = server.people.admin()
    made = [server.house.register().user_id for _ in range(5)]
    first = server.page(admin, page_size=3)
    second = server.page(admin, page_size=3, page_token=first.next_page_token)
    assert [event.resource for event in (*first.events, *second.events)] == made[::-1]
    assert second.next_page_token == ""
    token = first.next_page_token
    assert outcome(server.page, admin, page_token=token, action="user_created") == "PAGE_TOKEN_INVALID"
    assert outcome(server.page, server.people.admin(), page_token=token) == "PAGE_TOKEN_INVALID"


def test_long_filter_and_negative_page_are_refused(logged: Logged) -> None:
    server = logged("users")
    assert outcome(server.page, actor="x" * 101) == "INVALID_FIELD"
    assert outcome(server.page, page_size=-1) == "INVALID_FIELD"
