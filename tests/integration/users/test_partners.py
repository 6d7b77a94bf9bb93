"""Partners on a real server: what they sell, who is a member, and what members' tokens say."""

from __future__ import annotations

from typing import Any

import pytest

from bazaruto.users.v1 import partner_pb2 as pb
from bazaruto.users.v1 import user_pb2
from libs import ids
from libs.identity.callers import Caller
from services.users.accounts.flows import ending
from tests.integration.users.house import House, bearer
from tests.integration.users.test_accounts import outcome
from tests.support.people import People, Person, new_key

BROKER, AGENT = pb.Partner.KIND_BROKER, user_pb2.User.ROLE_AGENT


@pytest.fixture
def admin(house: House, people: People) -> Person:
    authorization = house.admin()
    return Person(authorization, people.verifier().verify(authorization).user_id)


def create(house: House, by: Person, key: str = "", **fields: Any) -> pb.Partner:
    wanted: dict[str, Any] = {"kind": BROKER, "name": "Índico", "email": "Geral@Example.com", **fields}
    request = pb.CreatePartnerRequest(partner=pb.Partner(**wanted))
    return house.partners.CreatePartner(request, metadata=by.metadata(idempotency_key=key or new_key()))


def get(house: House, by: Person, partner_id: str) -> pb.Partner:
    return house.partners.GetPartner(pb.GetPartnerRequest(partner_id=partner_id), metadata=by.metadata())


def sell(house: House, by: Person, partner_id: str, *codes: str) -> pb.Partner:
    request = pb.SetPartnerProductsRequest(partner_id=partner_id, product_codes=codes)
    return house.partners.SetPartnerProducts(request, metadata=by.metadata())


def add(house: House, by: Person, partner_id: str, user_id: str) -> pb.AddPartnerMemberResponse:
    request = pb.AddPartnerMemberRequest(partner_id=partner_id, user_id=user_id)
    return house.partners.AddPartnerMember(request, metadata=by.metadata())


def remove(house: House, by: Person, partner_id: str, user_id: str) -> pb.Partner:
    request = pb.RemovePartnerMemberRequest(partner_id=partner_id, user_id=user_id)
    return house.partners.RemovePartnerMember(request, metadata=by.metadata())


def suspend(house: House, by: Person, partner_id: str) -> pb.Partner:
    return house.partners.SuspendPartner(pb.SuspendPartnerRequest(partner_id=partner_id), metadata=by.metadata())


def caller_of(house: House, people: People, user: user_pb2.User) -> Caller:
    return people.verifier().verify(bearer(house.log_in(user.email)))


def test_partner_sells_what_it_is_told_and_can_be_read(house: House, admin: Person) -> None:
    made = create(house, admin, phone="+258841234567")
    assert made.partner_id.startswith("par_")
    assert (made.email, made.state, list(made.product_codes)) == ("geral@example.com", pb.Partner.STATE_ACTIVE, [])
    after = sell(house, admin, made.partner_id, "motor", "home")
    assert list(after.product_codes) == ["home", "motor"]
    assert get(house, admin, made.partner_id) == after
    assert list(sell(house, admin, made.partner_id).product_codes) == []


def test_member_s_token_names_the_partner_and_what_it_sells(house: House, people: People, admin: Person) -> None:
    made, agent = create(house, admin), house.staff(admin.authorization, AGENT)
    sell(house, admin, made.partner_id, "motor")
    assert add(house, admin, made.partner_id, agent.user_id).refresh_needed
    caller = caller_of(house, people, agent)
    assert (caller.partner, caller.sells) == (ids.decode("par", made.partner_id), frozenset({"motor"}))
    suspend(house, admin, made.partner_id)
    caller = caller_of(house, people, agent)
    assert (caller.partner, caller.sells) == (ids.decode("par", made.partner_id), frozenset())
    house.partners.ResumePartner(pb.ResumePartnerRequest(partner_id=made.partner_id), metadata=admin.metadata())
    assert caller_of(house, people, agent).sells == {"motor"}


def test_members_read_their_own_partner_and_no_other(house: House, people: People, admin: Person) -> None:
    made, other = create(house, admin), create(house, admin)
    agent = people.agent(ids.decode("par", made.partner_id))
    assert get(house, agent, made.partner_id) == made
    assert outcome(get, house, agent, other.partner_id) == "RESOURCE_NOT_FOUND"
    listed = [
        list(house.partners.ListPartners(pb.ListPartnersRequest(), metadata=caller.metadata()).partners)
        for caller in (agent, people.customer(), people.user("finance"), admin)
    ]
    assert listed == [[made], [], [], [other, made]]
    for call, arguments in ((suspend, ()), (sell, ("motor",)), (add, (agent.user_id,)), (remove, (agent.user_id,))):
        assert outcome(call, house, agent, made.partner_id, *arguments) == "ACCESS_DENIED"


def test_members_are_agents_of_one_partner(house: House, admin: Person) -> None:
    made, other = create(house, admin), create(house, admin)
    agent, customer = house.staff(admin.authorization, AGENT), house.register()
    assert outcome(add, house, admin, made.partner_id, customer.user_id) == "ROLE_MISSING"
    assert outcome(add, house, admin, made.partner_id, ids.encode("usr", ids.new())) == "RESOURCE_NOT_FOUND"
    assert outcome(add, house, admin, ids.encode("par", ids.new()), agent.user_id) == "RESOURCE_NOT_FOUND"
    add(house, admin, made.partner_id, agent.user_id)
    for partner in (made, other):
        assert outcome(add, house, admin, partner.partner_id, agent.user_id) == "ALREADY_LINKED"
    assert outcome(remove, house, admin, other.partner_id, agent.user_id) == "RESOURCE_NOT_FOUND"


@pytest.mark.parametrize("change", ["suspend", "sell less", "remove", "revoke"])
def test_what_is_taken_away_from_a_member_ends_their_log_ins(
    house: House, people: People, admin: Person, change: str
) -> None:
    made, agent = create(house, admin), house.staff(admin.authorization, AGENT)
    add(house, admin, made.partner_id, agent.user_id)
    sell(house, admin, made.partner_id, "motor")
    tokens = house.log_in(agent.email)
    sell(house, admin, made.partner_id, "motor", "home")
    assert people.verifier().verify(bearer(tokens)).session not in ending.list_ended(
        house.database, people.auth.access_token_lifetime
    )
    match change:
        case "suspend":
            suspend(house, admin, made.partner_id)
        case "sell less":
            sell(house, admin, made.partner_id, "home")
        case "remove":
            remove(house, admin, made.partner_id, agent.user_id)
        case "revoke":
            house.revoke(admin.authorization, agent.user_id, AGENT)
    assert outcome(house.refresh, tokens.refresh_token) == "REFRESH_TOKEN_INVALID"
    caller = caller_of(house, people, agent)
    assert (caller.partner is None) == (change in ("remove", "revoke"))
    assert "motor" not in caller.sells


def test_partner_changes_by_mask_and_by_who_has_read_it(house: House, admin: Person) -> None:
    made = create(house, admin)
    request = pb.UpdatePartnerRequest(partner=pb.Partner(partner_id=made.partner_id, name="Corretores"))
    request.update_mask.paths.append("name")
    changed = house.partners.UpdatePartner(request, metadata=admin.metadata(if_match=made.etag))
    assert (changed.name, changed.email, changed.etag) == ("Corretores", made.email, "2")
    stale = admin.metadata(if_match=made.etag)
    assert outcome(house.partners.UpdatePartner, request, metadata=stale) == "CONCURRENT_CHANGE"
    request.update_mask.paths[:] = ["state"]
    assert outcome(house.partners.UpdatePartner, request, metadata=admin.metadata()) == "INVALID_FIELD"


@pytest.mark.parametrize("fields", [{"kind": 0}, {"name": " "}, {"email": ""}, {"email": "x"}, {"phone": "12"}])
def test_malformed_partner_is_refused(house: House, admin: Person, fields: dict[str, Any]) -> None:
    assert outcome(create, house, admin, **fields) == "INVALID_FIELD"
    assert house.sql("SELECT count(*) FROM partners") == [(0,)]


def test_repeated_call_makes_one_partner_and_one_entry(house: House, admin: Person) -> None:
    key = new_key()
    assert create(house, admin, key) == create(house, admin, key)
    assert house.sql("SELECT count(*) FROM audit_events WHERE action = 'partner_created'") == [(1,)]
