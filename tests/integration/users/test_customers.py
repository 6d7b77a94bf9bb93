"""Customers on a real server: making, finding and changing them, and who acts for whom."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import grpc
import pytest
from google.type import date_pb2

from bazaruto.users.v1 import customer_pb2 as pb
from libs import clock, ids
from libs.config import JobSettings
from libs.identity.scopes import Scope
from libs.jobs import JobRunner
from libs.rpc import values
from services.users.clients import Policies
from services.users.people import jobs
from services.users.people.rules.customer import MOST_PARTIES
from services.users.people.store import customers
from services.users.people.store.customers import Filter
from tests.integration.users.house import House, bearer
from tests.integration.users.test_accounts import outcome
from tests.support import scopes
from tests.support.errors import metadata_of, reason_of
from tests.support.people import People, Person, new_key
from tests.support.sections import section

PERSON, FIRM = pb.Customer.KIND_PERSON, pb.Customer.KIND_ORGANISATION


def create(
    house: House, by: Person, key: str = "", allow_duplicate: bool = False, **fields: Any
) -> pb.CreateCustomerResponse:
    wanted: dict[str, Any] = {"kind": FIRM, "name": "Sitoe Lda", **fields}
    request = pb.CreateCustomerRequest(customer=pb.Customer(**wanted), allow_duplicate=allow_duplicate)
    return house.customers.CreateCustomer(request, metadata=by.metadata(idempotency_key=key or new_key()))


def get(house: House, by: Person, customer_id: str) -> pb.Customer:
    return house.customers.GetCustomer(pb.GetCustomerRequest(customer_id=customer_id), metadata=by.metadata())


def listed(house: House, by: Person, **criteria: Any) -> list[str]:
    reply = house.customers.ListCustomers(pb.ListCustomersRequest(**criteria), metadata=by.metadata())
    return [one.customer_id for one in reply.customers]


def found(house: House, by: Person, **criteria: Any) -> list[str]:
    reply = house.customers.SearchCustomers(pb.SearchCustomersRequest(**criteria), metadata=by.metadata())
    return [one.customer_id for one in reply.customers]


def update(house: House, by: Person, customer_id: str, if_match: str = "", **fields: Any) -> pb.Customer:
    request = pb.UpdateCustomerRequest(customer=pb.Customer(customer_id=customer_id, **fields))
    request.update_mask.paths.extend(fields)
    more = {"if_match": if_match} if if_match else {}
    return house.customers.UpdateCustomer(request, metadata=by.metadata(**more))


def link(house: House, by: Person, customer_id: str, user_id: str) -> pb.LinkUserResponse:
    request = pb.LinkUserRequest(customer_id=customer_id, user_id=user_id)
    return house.customers.LinkUser(request, metadata=by.metadata())


def somebody(house: House, people: People) -> Person:
    """Somebody registered, with the token of a log-in."""
    _, authorization = house.newcomer()
    return Person(authorization, people.verifier().verify(authorization).user_id)


class FakePolicies(Policies):
    """The policies service as users sees it."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def tell_partner(self, customer_id: UUID, version: int, partner_id: UUID | None, since: date) -> int:
        self.told.append((customer_id, version, partner_id, since))
        return 0


def party_of(person: Person) -> str:
    assert person.id
    return ids.encode("cus", person.id)


def test_whoever_registers_is_a_customer_of_the_same_identifier(house: House, people: People) -> None:
    user = house.register("ana@example.com", phone="+258841234567", locale="pt-MZ")
    ana = people.known(ids.decode("usr", user.user_id))
    party = get(house, ana, party_of(ana))
    assert party.customer_id.removeprefix("cus_") == user.user_id.removeprefix("usr_")
    assert (party.kind, party.name, list(party.emails)) == (PERSON, "Ana Sitoe", ["ana@example.com"])
    assert (list(party.phones), party.locale, party.partner_id) == (["+258841234567"], "pt-MZ", "")


def test_customer_acts_for_whom_they_make_from_the_next_token_on(house: House, people: People) -> None:
    ana = somebody(house, people)
    made = create(house, ana, address=pb.Address(lines=["Rua 1"], locality="Maputo", country_code="MZ"))
    assert made.refresh_needed
    assert outcome(get, house, ana, made.customer.customer_id) == "RESOURCE_NOT_FOUND"
    email = house.get(ana.authorization).email
    again = Person(bearer(house.log_in(email)), ana.id)
    assert get(house, again, made.customer.customer_id) == made.customer
    assert listed(house, again) == [made.customer.customer_id, party_of(ana)]


def test_customer_whom_an_agent_makes_came_by_the_partner(house: House, people: People) -> None:
    house.sql(
        "INSERT INTO partners VALUES (%s, 'broker', 'B', 'b@example.com', '', 'active', now(), now())",
        scopes.PARTNER,
    )
    agent, colleague = people.agent(scopes.PARTNER), people.agent(scopes.PARTNER)
    made = create(house, agent)
    assert not made.refresh_needed
    assert made.customer.partner_id == ids.encode("par", scopes.PARTNER)
    assert made.customer.HasField("partner_start_date")
    assert get(house, colleague, made.customer.customer_id) == made.customer
    assert listed(house, colleague) == [made.customer.customer_id]
    for other in (people.agent(), people.customer(), people.user()):
        assert outcome(get, house, other, made.customer.customer_id) == "RESOURCE_NOT_FOUND"
    for role in ("underwriter", "adjuster", "finance", "admin"):
        assert get(house, people.user(role), made.customer.customer_id) == made.customer


def test_who_may_not_make_customers_is_refused(house: House, people: People) -> None:
    for caller in (people.user("agent"), people.user("adjuster"), people.user("finance"), people.user()):
        assert outcome(create, house, caller) == "ACCESS_DENIED"
    assert house.sql("SELECT count(*) FROM customers") == [(0,)]


def test_repeated_call_makes_one_customer(house: House, people: People) -> None:
    admin, key = people.admin(), new_key()
    assert create(house, admin, key) == create(house, admin, key)
    assert house.sql("SELECT count(*) FROM customers") == [(1,)]
    request = pb.CreateCustomerRequest(customer=pb.Customer(kind=FIRM, name="x"))
    ended = outcome(house.customers.CreateCustomer, request, metadata=admin.metadata())
    assert ended == "IDEMPOTENCY_KEY_REQUIRED"


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": 0},
        {"kind": 7},
        {"name": ""},
        {"emails": ["nobody"]},
        {"tax_id": "12!"},
        {"phones": ["841234567"]},
        {"birth_date": {"year": 1990, "month": 2, "day": 30}},
        {"birth_date": {"year": 1990, "month": 2, "day": 3}},
        {"address": pb.Address(lines=[], locality="Maputo", country_code="MZ")},
        {"address": pb.Address(lines=["Rua 1"], locality="Maputo", country_code="mz")},
    ],
)
def test_malformed_customer_is_refused(house: House, people: People, fields: dict[str, Any]) -> None:
    assert outcome(create, house, people.admin(), **fields) == "INVALID_FIELD"


def test_search_finds_by_all_that_is_given_among_those_who_are_shown(house: House, people: People) -> None:
    admin, ana = people.admin(), somebody(house, people)
    firm = create(house, admin, name="Água & Filhos", emails=["Geral@Agua.example"], phones=["+258821111111"])
    firm_id = firm.customer.customer_id
    assert found(house, admin, name="Água & Filhos") == [firm_id]
    assert found(house, admin, email="geral@agua.EXAMPLE", phone="+258821111111") == [firm_id]
    assert found(house, admin, name="Água & Filhos", phone="+258821111112") == []
    assert found(house, admin, name="água & filhos") == []
    assert found(house, ana, name="Água & Filhos") == []
    assert found(house, ana, name="Ana Sitoe") == [party_of(ana)]
    assert outcome(found, house, admin) == "INVALID_FIELD"


def test_search_is_in_pages(house: House, people: People) -> None:
    admin = people.admin()
    made = [create(house, admin).customer.customer_id for _ in range(3)]
    request = pb.SearchCustomersRequest(name="Sitoe Lda", page_size=2)
    first = house.customers.SearchCustomers(request, metadata=admin.metadata())
    request.page_token = first.next_page_token
    second = house.customers.SearchCustomers(request, metadata=admin.metadata())
    assert [one.customer_id for one in (*first.customers, *second.customers)] == made[::-1]
    request.name = "other"
    assert outcome(house.customers.SearchCustomers, request, metadata=admin.metadata()) == "PAGE_TOKEN_INVALID"


def test_change_keeps_what_was_before(house: House, people: People) -> None:
    ana = somebody(house, people)
    before = get(house, ana, party_of(ana))
    after = update(house, ana, party_of(ana), name="Ana Dias", phones=["+258840000000"])
    assert (after.name, list(after.phones)) == ("Ana Dias", ["+258840000000"])
    assert after == get(house, ana, party_of(ana))
    assert update(house, ana, party_of(ana), name="Ana Dias") == after
    [history] = house.sql("SELECT version, actor, before, after FROM customer_history")
    assert history == (
        2,
        ana.user_id,
        {"name": before.name, "phones": []},
        {"name": "Ana Dias", "phones": ["+258840000000"]},
    )
    [(details, old)] = house.sql("SELECT details, before FROM audit_events WHERE action = 'customer_updated'")
    assert (details, old) == ({"fields": ["name", "phones"]}, None)


def test_changed_customer_is_not_overwritten_by_who_has_not_read_it(house: House, people: People) -> None:
    ana = somebody(house, people)
    assert update(house, ana, party_of(ana), if_match="1", name="Ana Dias").etag == "2"
    assert outcome(update, house, ana, party_of(ana), if_match="1", name="Ana") == "CONCURRENT_CHANGE"


def test_customers_of_others_cannot_be_changed(house: House, people: People) -> None:
    ana = somebody(house, people)
    for caller, reason in (
        (people.customer(), "RESOURCE_NOT_FOUND"),
        (people.agent(), "RESOURCE_NOT_FOUND"),
        (people.user("underwriter"), "ACCESS_DENIED"),
        (people.user("finance"), "ACCESS_DENIED"),
    ):
        assert outcome(update, house, caller, party_of(ana), name="Eve") == reason
    assert update(house, people.admin(), party_of(ana), name="Ana Dias").name == "Ana Dias"
    assert outcome(update, house, ana, party_of(ana), partner_id="x") == "INVALID_FIELD"
    assert outcome(update, house, ana, party_of(ana), kind=FIRM) == "INVALID_FIELD"


def test_linked_user_acts_for_the_customer(house: House, people: People) -> None:
    admin, ana = people.admin(), somebody(house, people)
    firm_id = create(house, admin).customer.customer_id
    assert link(house, admin, firm_id, ana.user_id).refresh_needed
    caller = people.verifier().verify(bearer(house.log_in(house.get(ana.authorization).email)))
    assert caller.parties == {ids.decode("cus", firm_id)}
    assert outcome(link, house, admin, firm_id, ana.user_id) == "ALREADY_LINKED"
    assert outcome(link, house, admin, party_of(ana), ana.user_id) == "ALREADY_LINKED"
    assert outcome(link, house, admin, firm_id, people.customer().user_id) == "RESOURCE_NOT_FOUND"
    assert outcome(link, house, people.agent(), firm_id, ana.user_id) == "RESOURCE_NOT_FOUND"
    assert outcome(link, house, ana, firm_id, ana.user_id) == "ACCESS_DENIED"


def test_who_serves_customers_is_not_linked_to_one(house: House, people: People) -> None:
    admin, ana = people.admin(), somebody(house, people)
    firm_id = create(house, admin).customer.customer_id
    for role in ("agent", "underwriter", "admin"):
        house.sql("UPDATE users SET roles = %s WHERE id = %s", [role], ana.id)
        with pytest.raises(grpc.RpcError) as refusal:
            link(house, Person(admin.authorization, admin.id), firm_id, ana.user_id)
        assert (reason_of(refusal.value), metadata_of(refusal.value)) == ("ROLE_CONFLICT", {"role": role})
    assert house.sql("SELECT count(*) FROM customer_users") == [(0,)]


def test_nobody_acts_for_more_customers_than_a_token_names(house: House, people: People) -> None:
    admin, ana = people.admin(), somebody(house, people)
    for _ in range(MOST_PARTIES):
        create(house, ana)
    one_more = create(house, admin).customer.customer_id
    assert outcome(create, house, ana) == "PARTIES_TOO_MANY"
    assert outcome(link, house, admin, one_more, ana.user_id) == "PARTIES_TOO_MANY"
    assert house.sql("SELECT count(*) FROM customer_users") == [(MOST_PARTIES,)]


def test_partner_is_assigned_by_admins_and_sees_the_customer_from_then_on(house: House, people: People) -> None:
    partner_id, admin, ana = ids.encode("par", scopes.PARTNER), people.admin(), somebody(house, people)
    request = pb.AssignPartnerRequest(customer_id=party_of(ana), partner_id=partner_id)
    assert outcome(house.customers.AssignPartner, request, metadata=admin.metadata()) == "RESOURCE_NOT_FOUND"
    house.sql(
        "INSERT INTO partners VALUES (%s, 'broker', 'B', 'b@example.com', '', 'active', now(), now())",
        scopes.PARTNER,
    )
    assert outcome(house.customers.AssignPartner, request, metadata=ana.metadata()) == "ACCESS_DENIED"
    assert house.customers.AssignPartner(request, metadata=admin.metadata()).partner_id == partner_id
    agent = people.agent(scopes.PARTNER)
    assert get(house, agent, party_of(ana)).partner_id == partner_id
    assert listed(house, admin, partner_id=partner_id) == [party_of(ana)]
    request.partner_id = ""
    request.start_date.CopyFrom(date_pb2.Date(year=2999, month=1, day=1))
    assert outcome(house.customers.AssignPartner, request, metadata=admin.metadata()) == "INVALID_FIELD"
    request.ClearField("start_date")
    assert house.customers.AssignPartner(request, metadata=admin.metadata()).partner_id == ""
    assert outcome(get, house, agent, party_of(ana)) == "RESOURCE_NOT_FOUND"


def test_policies_hear_of_another_partner_in_order(
    house: House, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin, ana = people.admin(), somebody(house, people)
    house.sql(
        "INSERT INTO partners VALUES (%s, 'broker', 'B', 'b@example.com', '', 'active', now(), now())",
        scopes.PARTNER,
    )
    request = pb.AssignPartnerRequest(customer_id=party_of(ana), partner_id=ids.encode("par", scopes.PARTNER))
    for _ in range(2):  # the second time nothing changes
        since = house.customers.AssignPartner(request, metadata=admin.metadata()).partner_start_date
    house.customers.AssignPartner(pb.AssignPartnerRequest(customer_id=party_of(ana)), metadata=admin.metadata())
    policies = FakePolicies()
    runner = JobRunner(house.url, section(JobSettings, retry_wait=timedelta(0)), "test-users-worker")
    jobs.register(runner, house.database, policies)
    for _ in range(4):
        runner.run_due()
    day = values.date_from_proto(since, "since")
    assert policies.told == [(ana.id, 2, scopes.PARTNER, day), (ana.id, 3, None, clock.now().date())]
    planned = day + timedelta(days=30)
    request.start_date.CopyFrom(values.date_to_proto(planned))
    waiting = house.customers.AssignPartner(request, metadata=admin.metadata())
    assert (waiting.partner_id, waiting.next_partner_id) == ("", request.partner_id)
    runner.run_due()
    assert len(policies.told) == 2, "the day has not come"
    with monkeypatch.context() as later:
        later.setattr(clock, "now", lambda: datetime.now(UTC) + timedelta(days=31))
        house.sql("UPDATE procrastinate_jobs SET scheduled_at = now() WHERE scheduled_at IS NOT NULL")
        for _ in range(4):
            runner.run_due()
    assert policies.told[2:] == [(ana.id, 5, scopes.PARTNER, planned)]
    assert get(house, admin, party_of(ana)).partner_id == request.partner_id
    kept = house.sql(
        "SELECT actor, after->>'next_partner_since' FROM customer_history WHERE version > 3 ORDER BY version"
    )
    assert [(actor == "system", since) for actor, since in kept] == [(False, str(planned)), (True, None)]


def test_list_shows_each_caller_their_own_customers(house: House, people: People) -> None:
    owners = [ids.decode("usr", house.register().user_id) for _ in range(3)]

    def listing(scope: Scope) -> list[Any]:
        with house.database.reading() as session:
            return [one.id for one in customers.list_of(session, scope, Filter(), None, 100)]

    scopes.check_list(owners, listing)


def test_user_of_a_program_of_before_becomes_a_customer(house: House, people: People) -> None:
    ana = somebody(house, people)
    house.sql("DELETE FROM customers")
    for _ in range(2):
        jobs.make_parties(house.database, clock.now())
    assert get(house, ana, party_of(ana)).name == "Ana Sitoe"


def test_tax_id_is_kept_sealed_and_shown_to_who_reads_the_customer(house: House, people: People) -> None:
    admin, key = people.admin(), new_key()
    made = create(house, admin, key, tax_id="400 123-456").customer
    assert (made.tax_id, made.tax_id_ending) == ("", "456")
    assert get(house, admin, made.customer_id).tax_id == "400123456"
    listing = house.customers.ListCustomers(pb.ListCustomersRequest(), metadata=admin.metadata())
    assert [(one.tax_id, one.tax_id_ending) for one in listing.customers] == [("", "456")]
    kept = house.sql("SELECT c::text FROM customers c UNION ALL SELECT encode(reply, 'escape') FROM idempotency_keys")
    assert all("400123456" not in text for (text,) in kept)
    assert create(house, admin, key, tax_id="400123456").customer == made, (
        "a secret is no part of what makes it another"
    )


def test_customers_are_found_by_tax_id(house: House, people: People) -> None:
    admin = people.admin()
    made = create(house, admin, tax_id="400123456").customer.customer_id
    create(house, admin, tax_id="400123457")
    assert found(house, admin, tax_id="400.123.456") == [made]
    assert found(house, admin, tax_id="400123456", name="other") == []
    assert found(house, people.customer(), tax_id="400123456") == []
    assert outcome(found, house, admin, tax_id="!") == "INVALID_FIELD"


def test_second_customer_with_a_tax_id_is_refused_with_the_first_one(house: House, people: People) -> None:
    admin, underwriter = people.admin(), people.user("underwriter")
    made = create(house, admin, tax_id="400123456").customer.customer_id
    with pytest.raises(grpc.RpcError) as refusal:
        create(house, underwriter, tax_id="400 123 456")
    assert reason_of(refusal.value) == "CUSTOMER_DUPLICATE"
    assert metadata_of(refusal.value) == {"customer_id": made}
    assert create(house, underwriter, tax_id="400123456", allow_duplicate=True).customer.customer_id != made


def test_duplicate_of_another_partner_or_of_who_is_not_shown_is_none(house: House, people: People) -> None:
    house.sql(
        "INSERT INTO partners VALUES (%s, 'broker', 'B', 'b@example.com', '', 'active', now(), now())",
        scopes.PARTNER,
    )
    agent, ana = people.agent(scopes.PARTNER), somebody(house, people)
    create(house, people.admin(), tax_id="400123456")
    assert outcome(create, house, agent, tax_id="400123456") == "ok"
    assert outcome(create, house, agent, tax_id="400123456") == "CUSTOMER_DUPLICATE"
    assert outcome(create, house, ana, tax_id="400123456") == "ok"


def test_of_two_customers_at_once_with_a_tax_id_one_is_made(house: House, people: People) -> None:
    admin = people.admin()
    with ThreadPoolExecutor(6) as pool:
        ended = list(pool.map(lambda _: outcome(create, house, admin, tax_id="400123456"), range(6)))
    assert sorted(ended) == ["CUSTOMER_DUPLICATE"] * 5 + ["ok"]


def test_changed_tax_id_leaves_its_ending_in_the_history(house: House, people: People) -> None:
    ana = somebody(house, people)
    update(house, ana, party_of(ana), tax_id="400123456")
    assert update(house, ana, party_of(ana), tax_id="400 123 456").etag == "2"
    update(house, ana, party_of(ana), tax_id="")
    assert get(house, ana, party_of(ana)).tax_id == ""
    history = house.sql("SELECT before, after FROM customer_history ORDER BY version")
    assert history == [({"tax_id": None}, {"tax_id": "456"}), ({"tax_id": "456"}, {"tax_id": None})]
