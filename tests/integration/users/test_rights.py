"""Giving rights and taking them away: what the next token says, and what becomes of those that are out."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from bazaruto.users.v1 import authority_pb2
from bazaruto.users.v1 import user_pb2 as pb
from libs.identity.authority import Authority
from libs.identity.callers import Caller
from libs.money import Money
from libs.rpc import values
from services.users.accounts.flows import ending
from tests.integration.users.house import House, bearer
from tests.integration.users.test_accounts import outcome
from tests.support.people import People, new_key

User = pb.User


@pytest.fixture
def admin(house: House) -> str:
    return house.admin()


def caller_of(house: House, people: People, user: User) -> Caller:
    """The caller that a new log-in makes of a user."""
    return people.verifier().verify(bearer(house.log_in(user.email)))


def set_authority(house: House, admin: str, user: User, if_match: str = "", **fields: Any) -> authority_pb2.Authority:
    wanted = authority_pb2.Authority(user_id=user.user_id, **fields)
    metadata = (("authorization", admin), *((("if-match", if_match),) if if_match else ()))
    return house.users.SetAuthority(authority_pb2.SetAuthorityRequest(authority=wanted), metadata=metadata)


def euros(amount: int) -> Any:
    return values.money_to_proto(Money(amount * 100, "EUR"))


def test_role_is_in_the_token_of_the_next_log_in(house: House, people: People, admin: str) -> None:
    user = house.staff(admin, User.ROLE_UNDERWRITER)
    house.grant(admin, user.user_id, User.ROLE_ADJUSTER)
    assert caller_of(house, people, user).roles == {"underwriter", "adjuster"}
    assert list(house.get(admin, user.user_id).roles) == [User.ROLE_UNDERWRITER, User.ROLE_ADJUSTER]


def test_customer_is_not_made_staff_nor_staff_a_customer(house: House, admin: str) -> None:
    customer, staff = house.register(), house.staff(admin, User.ROLE_FINANCE)
    assert outcome(house.grant, admin, customer.user_id, User.ROLE_ADMIN) == "ROLE_CONFLICT"
    assert outcome(house.grant, admin, staff.user_id, User.ROLE_CUSTOMER) == "ROLE_CONFLICT"
    assert outcome(house.grant, admin, staff.user_id, User.ROLE_AGENT) == "ROLE_CONFLICT"
    assert list(house.get(admin, customer.user_id).roles) == [User.ROLE_CUSTOMER]


def test_nobody_gives_rights_to_themselves(house: House, admin: str) -> None:
    me = house.get(admin)
    assert outcome(house.grant, admin, me.user_id, User.ROLE_UNDERWRITER) == "ROLE_CONFLICT"
    assert outcome(set_authority, house, admin, me, underwriting_level=9) == "ROLE_CONFLICT"


def test_last_admin_can_be_neither_demoted_nor_disabled(house: House, admin: str) -> None:
    me = house.get(admin)
    disable = pb.DisableUserRequest(user_id=me.user_id)
    assert outcome(house.revoke, admin, me.user_id, User.ROLE_ADMIN) == "LAST_ADMIN"
    assert outcome(house.users.DisableUser, disable, metadata=(("authorization", admin),)) == "LAST_ADMIN"
    assert house.get(admin) == me


def test_of_two_admins_who_demote_each_other_one_stays(house: House) -> None:
    first, second = house.admin(), house.admin()
    with ThreadPoolExecutor(2) as pool:
        demotions = [
            pool.submit(outcome, house.revoke, by, house.get(whom).user_id, User.ROLE_ADMIN)
            for by, whom in ((first, second), (second, first))
        ]
        ended = sorted(demotion.result() for demotion in demotions)
    assert ended == ["LAST_ADMIN", "ok"]
    assert house.sql("SELECT count(*) FROM users WHERE 'admin' = ANY (roles)") == [(1,)]


CHANGES: dict[str, Callable[[House, str, User], object]] = {
    "grant": lambda house, admin, user: house.grant(admin, user.user_id, User.ROLE_ADJUSTER),
    "revoke": lambda house, admin, user: house.revoke(admin, user.user_id, User.ROLE_UNDERWRITER),
    "authority": lambda house, admin, user: set_authority(house, admin, user, underwriting_level=1),
    "disable": lambda house, admin, user: house.users.DisableUser(
        pb.DisableUserRequest(user_id=user.user_id), metadata=(("authorization", admin),)
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_change_of_rights_ends_every_log_in(house: House, people: People, admin: str, change: str) -> None:
    user = house.staff(admin, User.ROLE_UNDERWRITER)
    before = [house.log_in(user.email) for _ in range(2)]
    CHANGES[change](house, admin, user)
    ended = ending.list_ended(house.database, people.auth.access_token_lifetime)
    assert {people.verifier().verify(bearer(tokens)).session for tokens in before} <= ended
    for tokens in before:
        assert outcome(house.refresh, tokens.refresh_token) == "REFRESH_TOKEN_INVALID"


def test_change_that_changes_nothing_ends_no_log_in(house: House, admin: str) -> None:
    user = house.staff(admin, User.ROLE_UNDERWRITER)
    tokens = house.log_in(user.email)
    house.grant(admin, user.user_id, User.ROLE_UNDERWRITER)
    house.revoke(admin, user.user_id, User.ROLE_FINANCE)
    assert outcome(house.refresh, tokens.refresh_token) == "ok"


def test_disabled_user_cannot_log_in_until_they_are_enabled(house: House, admin: str) -> None:
    user = house.register()
    metadata = (("authorization", admin),)
    disabled = house.users.DisableUser(pb.DisableUserRequest(user_id=user.user_id), metadata=metadata)
    assert disabled.state == User.STATE_DISABLED
    assert outcome(house.log_in, user.email) == "USER_DISABLED"
    enabled = house.users.EnableUser(pb.EnableUserRequest(user_id=user.user_id), metadata=metadata)
    assert enabled.state == User.STATE_ACTIVE
    assert outcome(house.log_in, user.email) == "ok"


def test_authority_is_in_the_token_and_can_be_read(house: House, people: People, admin: str) -> None:
    user = house.staff(admin, User.ROLE_ADJUSTER)
    made = set_authority(house, admin, user, claim_limits=[euros(5000)])
    assert caller_of(house, people, user).authority == Authority(claim_limit={"EUR": 500_000})
    request = authority_pb2.GetAuthorityRequest(user_id="me")
    own = house.users.GetAuthority(request, metadata=(("authorization", bearer(house.log_in(user.email))),))
    assert own == made
    assert own.claim_limits == [euros(5000)]


def test_authority_of_others_is_not_there(house: House, people: People, admin: str) -> None:
    user, (_, stranger) = house.staff(admin, User.ROLE_ADJUSTER), house.newcomer()
    request = authority_pb2.GetAuthorityRequest(user_id=user.user_id)
    assert outcome(house.users.GetAuthority, request, metadata=(("authorization", stranger),)) == "RESOURCE_NOT_FOUND"
    nothing = house.users.GetAuthority(request, metadata=(("authorization", admin),))
    assert (nothing.underwriting_level, list(nothing.claim_limits), nothing.etag) == (0, [], "0")
    nobody = authority_pb2.GetAuthorityRequest(user_id=people.customer().user_id)
    assert outcome(house.users.GetAuthority, nobody, metadata=(("authorization", admin),)) == "RESOURCE_NOT_FOUND"


def test_limit_without_its_role_is_refused_and_goes_with_its_role(house: House, people: People, admin: str) -> None:
    user = house.staff(admin, User.ROLE_UNDERWRITER)
    assert outcome(set_authority, house, admin, user, claim_limits=[euros(1)]) == "ROLE_MISSING"
    set_authority(house, admin, user, underwriting_level=4)
    assert caller_of(house, people, user).authority.underwriting_level == 4
    house.revoke(admin, user.user_id, User.ROLE_UNDERWRITER)
    house.grant(admin, user.user_id, User.ROLE_UNDERWRITER)
    assert caller_of(house, people, user).authority == Authority()


def test_token_ends_with_the_authority_that_it_carries(house: House, people: People, admin: str) -> None:
    user = house.staff(admin, User.ROLE_UNDERWRITER)
    made = set_authority(house, admin, user, underwriting_level=4)
    ends = made.update_time.ToDatetime().timestamp() + 120
    house.sql("UPDATE authorities SET valid_until = to_timestamp(%s)", ends)
    tokens = house.log_in(user.email)
    assert tokens.expires_in.seconds <= 120
    assert people.verifier().verify(bearer(tokens)).expires_at <= ends + 1
    house.sql("UPDATE authorities SET valid_until = now(), valid_from = now() - interval '1 day'")
    assert caller_of(house, people, user).authority == Authority()


def test_authority_that_changed_meanwhile_is_not_set(house: House, admin: str) -> None:
    user = house.staff(admin, User.ROLE_UNDERWRITER)
    first = set_authority(house, admin, user, if_match="0", underwriting_level=1)
    assert outcome(set_authority, house, admin, user, if_match="0", underwriting_level=9) == "CONCURRENT_CHANGE"
    assert set_authority(house, admin, user, if_match=first.etag, underwriting_level=2).underwriting_level == 2


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"underwriting_level": 10}, "INVALID_FIELD"),
        ({"refund_limits": [euros(1), euros(2)]}, "INVALID_FIELD"),
        ({"refund_limits": [euros(-1)]}, "AMOUNT_INVALID"),
        ({"refund_limits": [{"currency_code": "EUR", "nanos": 1}]}, "AMOUNT_INVALID"),
    ],
)
def test_malformed_authority_is_refused(house: House, admin: str, fields: dict[str, Any], reason: str) -> None:
    user = house.staff(admin, User.ROLE_FINANCE)
    assert outcome(set_authority, house, admin, user, **fields) == reason
    assert house.sql("SELECT count(*) FROM authorities") == [(0,)]


def test_repeated_call_grants_once(house: House, admin: str) -> None:
    user = house.staff(admin, User.ROLE_FINANCE)
    metadata = (("authorization", admin), ("idempotency-key", new_key()))
    request = pb.GrantRoleRequest(user_id=user.user_id, role=User.ROLE_ADJUSTER)
    replies = [house.users.GrantRole(request, metadata=metadata) for _ in range(2)]
    assert replies[0] == replies[1]
    events = house.sql("SELECT before, after, actor FROM audit_events WHERE action = 'role_granted' ORDER BY id")
    assert events[-1][:2] == ({"roles": ["finance"]}, {"roles": ["adjuster", "finance"]})
    assert len(events) == 2
    assert events[-1][2] == house.get(admin).user_id


def test_rights_are_changed_by_admins_alone(house: House, people: People) -> None:
    user = house.register()
    for caller in (people.customer(), people.user("finance"), people.service("quotes")):
        with pytest.raises(grpc.RpcError) as refusal:
            house.grant(caller.authorization, user.user_id, User.ROLE_ADMIN)
        assert refusal.value.code() in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED)


def test_services_ask_who_can_be_given_what_a_role_is_for(house: House, people: People, admin: str) -> None:
    underwriter = house.staff(admin, User.ROLE_UNDERWRITER)

    def has_role(user_id: str, role: pb.User.Role.ValueType, service: str = "quotes") -> bool:
        request = pb.HasRoleRequest(user_id=user_id, role=role)
        return house.users.HasRole(request, metadata=people.service(service).metadata()).has_role

    assert has_role(underwriter.user_id, User.ROLE_UNDERWRITER)
    assert not has_role(underwriter.user_id, User.ROLE_FINANCE)
    assert not has_role("usr_01m86535y1eaws2ywvkrpm6m62", User.ROLE_UNDERWRITER)
    request = pb.DisableUserRequest(user_id=underwriter.user_id)
    house.users.DisableUser(request, metadata=(("authorization", admin),))
    assert not has_role(underwriter.user_id, User.ROLE_UNDERWRITER)
    assert outcome(has_role, underwriter.user_id, User.ROLE_UNDERWRITER, "payments") == "ACCESS_DENIED"
