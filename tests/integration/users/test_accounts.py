"""Registering, reading, changing and listing users, on a real server and a real database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.rpc import error_details_pb2
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from bazaruto.users.v1 import user_pb2 as pb
from libs import ids
from libs.rpc.page_tokens import PageTokens
from tests.integration.users.house import PASSWORD, House, bearer
from tests.support.errors import reason_of, status_of, violations_of
from tests.support.people import People

INJECTIONS = ["'; DROP TABLE users; --", '{"$gt": ""}', "%s%n", "${jndi:ldap://x}", "<script>1</script>", "a\\0b"]


def outcome(call: Any, *arguments: Any, **named: Any) -> str:
    """How a call ends: `ok`, or the reason of its error."""
    try:
        call(*arguments, **named)
    except grpc.RpcError as error:
        return reason_of(error)
    return "ok"


def test_registered_user_is_an_active_customer_and_can_log_in_at_once(house: House) -> None:
    made = house.register("Ana@Example.com", phone="+258841234567", locale="pt-MZ")
    assert made.user_id.startswith("usr_")
    assert (made.email, made.full_name) == ("ana@example.com", "Ana Sitoe")
    assert (made.phone, made.locale) == ("+258841234567", "pt-MZ")
    assert list(made.roles) == [pb.User.ROLE_CUSTOMER]
    assert made.state == pb.User.STATE_ACTIVE
    assert made.create_time == made.update_time
    assert house.get(bearer(house.log_in("ana@example.com"))) == made


def test_registration_is_logged_and_counted(house: House) -> None:
    sample = ("bazaruto_user_registrations_total", {"source": "api"})
    before = REGISTRY.get_sample_value(*sample)
    with capture_logs() as lines:
        made = house.register()
    assert before is not None
    assert REGISTRY.get_sample_value(*sample) == before + 1
    [line] = [line for line in lines if line["event"] == "User created successfully"]
    assert (line["log_level"], line["user_id"], line["email"]) == ("info", made.user_id, made.email)
    assert PASSWORD not in str(lines)


def test_password_is_stored_as_an_argon2id_hash_only(house: House) -> None:
    house.register()
    [(row,)] = house.sql("SELECT u::text FROM users u")
    assert "$argon2id$v=19$m=19456,t=2,p=1$" in row
    assert PASSWORD not in row


@pytest.mark.parametrize("again", ["ana@example.com", "ANA@EXAMPLE.COM"])
def test_address_of_an_account_cannot_be_registered_again(house: House, again: str) -> None:
    house.register("ana@example.com")
    with pytest.raises(grpc.RpcError) as refused:
        house.register(again)
    assert refused.value.code() is grpc.StatusCode.ALREADY_EXISTS
    assert reason_of(refused.value) == "EMAIL_TAKEN"


def test_of_parallel_registrations_of_one_address_one_wins(house: House) -> None:
    with ThreadPoolExecutor(12) as pool:
        ended = list(pool.map(lambda _: outcome(house.register, "ana@example.com"), range(12)))
    assert sorted(ended) == ["EMAIL_TAKEN"] * 11 + ["ok"]
    assert house.sql("SELECT count(*) FROM users") == [(1,)]


@pytest.mark.parametrize("common", ["password", "12345678", "Qwerty123", "iloveyou"])
def test_common_password_is_refused(house: House, common: str) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        house.register(password=common)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert reason_of(refused.value) == "PASSWORD_TOO_COMMON"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "ana"), ("email", "a\0@b.c"), ("email", "ana@example.com\r\nx: y"), ("email", "a" * 250 + "@b.de"),
        ("password", "1234567"), ("password", "x" * 257),
        ("full_name", ""), ("full_name", "  "), ("full_name", "x" * 201), ("full_name", "a\0b"), ("full_name", "a\nb"),
        ("phone", "841234567"), ("phone", "+2588412345\0"), ("locale", "português"), ("locale", "pt_MZ"),
    ],
)  # fmt: skip
def test_wrong_field_is_named(house: House, field: str, value: str) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        house.register(**{"email": "ana@example.com", field: value})
    assert reason_of(refused.value) == "INVALID_FIELD"
    assert list(violations_of(refused.value)) == [field]


@pytest.mark.parametrize("name", INJECTIONS)
def test_name_is_stored_literally(house: House, name: str) -> None:
    assert house.register(full_name=name).full_name == name
    assert house.sql("SELECT full_name FROM users") == [(name,)]


def test_user_reads_oneself_by_id_and_as_me(house: House) -> None:
    user, authorization = house.newcomer()
    assert house.get(authorization) == house.get(authorization, user.user_id) == user


def test_admin_and_services_read_anybody(house: House, people: People) -> None:
    user = house.register()
    assert house.get(people.admin().authorization, user.user_id) == user
    assert house.get(people.service("quotes").authorization, user.user_id) == user


def test_another_user_cannot_be_told_from_one_that_does_not_exist(house: House) -> None:
    other, (_, authorization) = house.register(), house.newcomer()
    unknown = ids.encode("usr", ids.new())
    answers = []
    for call in (house.get, house.update):
        named = {"full_name": "X"} if call == house.update else {}
        for user_id in (other.user_id, unknown):
            with pytest.raises(grpc.RpcError) as refused:
                call(authorization, user_id, **named)
            status = status_of(refused.value)
            details = [detail for detail in status.details if not detail.Is(error_details_pb2.RequestInfo.DESCRIPTOR)]
            answers.append((refused.value.code(), status.message, str(details)))
            assert reason_of(refused.value) == "RESOURCE_NOT_FOUND"
    assert len(set(answers)) == 1
    assert house.sql("SELECT count(*) FROM users WHERE full_name = 'X'") == [(0,)]


def test_service_is_nobody_in_particular(house: House, people: People) -> None:
    assert outcome(house.get, people.service("quotes").authorization) == "RESOURCE_NOT_FOUND"


def test_reading_needs_a_token(house: House) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        house.users.GetUser(pb.GetUserRequest(user_id="me"))
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert reason_of(refused.value) == "TOKEN_INVALID"


@pytest.mark.parametrize("user_id", ["", "you", "pol_01m86535y1eaws2ywvkrpm6m62", "usr_81m86535y1eaws2ywvkrpm6m62"])
def test_malformed_id_is_an_invalid_field(house: House, people: People, user_id: str) -> None:
    assert outcome(house.get, people.customer().authorization, user_id) == "INVALID_FIELD"


def test_only_masked_fields_change(house: House) -> None:
    user, authorization = house.newcomer()
    changed = house.update(authorization, mask=["phone"], phone="+258821111111", full_name="Eve", locale="en")
    assert (changed.phone, changed.full_name, changed.locale) == ("+258821111111", user.full_name, user.locale)
    assert changed.etag != user.etag
    assert changed.update_time.ToDatetime() > user.update_time.ToDatetime()
    assert changed.create_time == user.create_time
    assert house.get(authorization) == changed


def test_output_only_fields_in_the_body_are_ignored_when_not_masked(house: House) -> None:
    user, authorization = house.newcomer()
    body: dict[str, Any] = {"email": "eve@example.com", "roles": [pb.User.ROLE_ADMIN], "state": pb.User.STATE_DISABLED}
    changed = house.update(authorization, mask=["full_name"], full_name="Ana Maria", **body)
    assert (changed.email, list(changed.roles), changed.state) == (user.email, list(user.roles), user.state)


@pytest.mark.parametrize("path", ["email", "roles", "state", "user_id", "create_time", "etag", "nothing", "*"])
def test_field_that_cannot_be_changed_is_refused_by_name(house: House, path: str) -> None:
    user, authorization = house.newcomer()
    with pytest.raises(grpc.RpcError) as refused:
        house.update(authorization, mask=["full_name", path], full_name="Eve")
    assert reason_of(refused.value) == "INVALID_FIELD"
    assert list(violations_of(refused.value)) == [f"user.{path}"]
    assert house.get(authorization) == user


def test_huge_mask_is_refused_with_an_answer_that_arrives(house: House) -> None:
    _, authorization = house.newcomer()
    assert outcome(house.update, authorization, mask=["🦩" * 5000] * 50, full_name="Eve") == "INVALID_FIELD"


@pytest.mark.parametrize(
    ("fields", "mask", "wrong"),
    [
        ({}, [], "update_mask"),
        ({"full_name": ""}, ["full_name"], "user.full_name"),
        ({"full_name": "a\0b"}, ["full_name"], "user.full_name"),
        ({"phone": "1"}, ["phone"], "user.phone"),
    ],
)
def test_wrong_value_of_a_change_is_named(house: House, fields: dict[str, str], mask: list[str], wrong: str) -> None:
    user, authorization = house.newcomer()
    with pytest.raises(grpc.RpcError) as refused:
        house.update(authorization, mask=mask, **fields)
    assert reason_of(refused.value) == "INVALID_FIELD"
    assert list(violations_of(refused.value)) == [wrong]
    assert house.get(authorization) == user


def test_admin_sees_others_and_changes_only_oneself(house: House, people: People) -> None:
    user = house.register()
    assert outcome(house.update, people.admin().authorization, user.user_id, full_name="X") == "RESOURCE_NOT_FOUND"


def test_change_that_changes_nothing_keeps_the_etag(house: House) -> None:
    user, authorization = house.newcomer()
    assert house.update(authorization, full_name=user.full_name) == user


def test_change_with_if_match_needs_the_current_etag(house: House) -> None:
    user, authorization = house.newcomer()
    changed = house.update(authorization, if_match=f'"{user.etag}"', full_name="Ana Maria")
    with pytest.raises(grpc.RpcError) as refused:
        house.update(authorization, if_match=f'"{user.etag}"', full_name="Eve")
    assert refused.value.code() is grpc.StatusCode.ABORTED
    assert reason_of(refused.value) == "CONCURRENT_CHANGE"
    assert house.get(authorization) == changed


def test_of_parallel_changes_from_one_state_one_wins(house: House) -> None:
    user, authorization = house.newcomer()

    def change(number: int) -> str:
        return outcome(house.update, authorization, if_match=user.etag, full_name=f"Ana {number}")

    with ThreadPoolExecutor(16) as pool:
        ended = list(pool.map(change, range(16)))
    assert sorted(ended) == ["CONCURRENT_CHANGE"] * 15 + ["ok"]
    assert house.sql("SELECT version FROM users") == [(2,)]


def test_no_parallel_change_is_lost_silently(house: House) -> None:
    _, authorization = house.newcomer()
    with ThreadPoolExecutor(8) as pool:
        ended = list(pool.map(lambda n: outcome(house.update, authorization, full_name=f"Ana {n}"), range(16)))
    assert set(ended) <= {"ok", "CONCURRENT_CHANGE"}
    assert house.sql("SELECT version FROM users") == [(1 + ended.count("ok"),)]


def test_admin_pages_through_all_users_newest_first(house: House, people: People) -> None:
    made = [house.register().user_id for _ in range(5)]
    metadata = people.admin().metadata()
    first = house.users.ListUsers(pb.ListUsersRequest(page_size=3), metadata=metadata)
    request = pb.ListUsersRequest(page_size=3, page_token=first.next_page_token)
    second = house.users.ListUsers(request, metadata=metadata)
    assert [user.user_id for user in (*first.users, *second.users)] == made[::-1]
    assert second.next_page_token == ""


def test_only_admins_list_users(house: House, people: People) -> None:
    metadata = people.customer().metadata()
    assert outcome(house.users.ListUsers, pb.ListUsersRequest(), metadata=metadata) == "ACCESS_DENIED"


def test_page_token_is_good_for_its_own_list_only(house: House, people: People) -> None:
    for _ in range(2):
        house.register()
    mine, other = people.admin().metadata(), people.admin().metadata()
    token = house.users.ListUsers(pb.ListUsersRequest(page_size=1), metadata=mine).next_page_token
    for wrong, metadata in ((token, other), ("nonsense", mine), (token[:-4], mine)):
        request = pb.ListUsersRequest(page_token=wrong)
        assert outcome(house.users.ListUsers, request, metadata=metadata) == "PAGE_TOKEN_INVALID"


def test_forged_page_token_is_refused(house: House, people: People) -> None:
    admin = people.admin()
    forged = PageTokens(b"guessed" * 5).sign(str(uuid4()), ("users", admin.user_id))
    request = pb.ListUsersRequest(page_token=forged)
    assert outcome(house.users.ListUsers, request, metadata=admin.metadata()) == "PAGE_TOKEN_INVALID"


def test_negative_page_size_is_refused(house: House, people: People) -> None:
    request = pb.ListUsersRequest(page_size=-1)
    assert outcome(house.users.ListUsers, request, metadata=people.admin().metadata()) == "INVALID_FIELD"


def test_index_of_addresses_is_unique_whatever_the_service_does(house: House) -> None:
    [(definition,)] = house.sql("SELECT indexdef FROM pg_indexes WHERE indexname = 'idx_users_email'")
    assert definition.startswith("CREATE UNIQUE INDEX")
