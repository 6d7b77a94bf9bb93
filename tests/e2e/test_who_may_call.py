"""Everybody calls every method, over gRPC and over HTTP, for their own records, their partner's, others' and none.

What is expected is what the contracts say; that they say what is meant, the table `who_may_call.txt` says once more.
A new method is called here without further ado: by its example, with the identifiers of the records below.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from bazaruto.options.v1 import options_pb2
from bazarutod.demo import RISK
from bazarutod.stack import SERVICES
from libs import ids
from tests.support import calling
from tests.support.access import access_of, all_methods
from tests.support.buyer import Buyer
from tests.support.calling import Answer
from tests.support.people import People, Person
from tests.support.platform import Platform

pytestmark = pytest.mark.xdist_group("platform")

PREFIXES = {
    "user_id": "usr", "customer_id": "cus", "partner_id": "par", "quote_id": "quo", "policy_id": "pol",
    "invoice_id": "inv", "payment_id": "pay", "billing_account_id": "bac", "transaction_id": "ptx",
}  # fmt: skip
METHODS = all_methods()
INTERNAL = [method for method in METHODS if access_of(method).audience == options_pb2.AUDIENCE_INTERNAL]
PUBLIC = [method for method in METHODS if access_of(method).audience == options_pb2.AUDIENCE_PUBLIC]
OTHERS = [method for method in METHODS if method not in INTERNAL and method not in PUBLIC]
OF_A_RECORD = [method for method in OTHERS if calling.named_in_path(method).rpartition(".")[2] in PREFIXES]


@dataclass(frozen=True)
class Who:
    """A caller, and whose records are theirs."""

    name: str
    calls: calling.Caller
    roles: frozenset[str]
    owns: str = ""
    """The records that are their own."""
    serves: str = ""
    """The records that came by their partner."""


@dataclass(frozen=True)
class World:
    """Records of Ana and such as came by a partner, by the names of their identifiers, and everybody who calls."""

    records: dict[str, dict[str, str]]
    callers: list[Who]
    nobody: calling.Caller
    services: dict[str, calling.Caller]

    def ids(self, whose: str) -> dict[str, str]:
        """The identifiers of somebody's records; nobody's for what they have none of."""
        return {name: ids.encode(prefix, ids.new()) for name, prefix in PREFIXES.items()} | self.records[whose]


@pytest.fixture(scope="module")
def world(platform: Platform) -> Iterator[World]:
    people = People.trusting(platform.settings.auth)
    with httpx.Client(base_url=platform.url, timeout=30) as http:

        def caller(person: Person) -> calling.Caller:
            return calling.Caller(platform.settings, http, person.authorization)

        def who(name: str, person: Person, *roles: str, **ties: str) -> Who:
            return Who(name, caller(person), frozenset(roles), **ties)

        ana = Buyer(http)
        ana.sign_up()
        records = {"ana": _bought(ana), "nobody": {}}
        partner_id = _partner(http, people.admin())
        maker, colleague = (people.agent(partner_id, sells=[RISK["productCode"]]) for _ in range(2))
        records["partner"] = _brought(http, maker, partner_id)
        callers = [
            who("ana", people.known(ids.decode("usr", ana.user_id)), "customer", owns="ana"),
            who("ben", people.customer(), "customer"),
            who("colleague", colleague, "agent", serves="partner"),
            who("other agent", people.agent(), "agent"),
            who("without a role", people.user()),
            *(who(role, people.user(role), role) for role in ("underwriter", "adjuster", "finance", "admin")),
        ]
        services = {name: caller(people.service(name)) for name in (*SERVICES, "gateway")}
        yield World(records, callers, caller(Person("")), services)


def _bought(ana: Buyer) -> dict[str, str]:
    """Everything that a customer has who bought."""
    policy = ana.issue()
    invoice = ana.invoice_of(policy)
    (issued,) = ana.call("GET", f"/v1/policies/{policy['policyId']}/transactions")["transactions"]
    return {
        "user_id": ana.user_id,
        "customer_id": ana.user_id.replace("usr_", "cus_"),
        "quote_id": ana.accepted_quote()["quoteId"],
        "policy_id": policy["policyId"],
        "billing_account_id": policy["policyId"].replace("pol_", "bac_"),
        "transaction_id": issued["transactionId"],
        "invoice_id": invoice["invoiceId"],
        "payment_id": ana.pay(invoice)["paymentId"],
    }


def _partner(http: httpx.Client, admin: Person) -> UUID:
    broker = {"partner": {"kind": "KIND_BROKER", "name": "Corretores", "email": "geral@example.com"}}
    return ids.decode("par", _made(http, admin, "/v1/partners", broker)["partnerId"])


def _brought(http: httpx.Client, maker: Person, partner_id: UUID) -> dict[str, str]:
    """What an agent made, so that it came by the partner."""
    firm = {"customer": {"kind": "KIND_ORGANISATION", "name": "Sitoe Lda"}}
    return {
        "partner_id": ids.encode("par", partner_id),
        "customer_id": _made(http, maker, "/v1/customers", firm)["customer"]["customerId"],
        "quote_id": _made(http, maker, "/v1/quotes", {"risk": RISK})["quoteId"],
    }


def _made(http: httpx.Client, by: Person, path: str, body: dict[str, Any]) -> dict[str, Any]:
    headers = {"authorization": by.authorization, "idempotency-key": secrets.token_hex(16)}
    answer = http.post(path, json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def _ways(method: MethodDescriptor) -> list[str]:
    """The ways to call a method: of a stream that is let in, HTTP would wait for more."""
    return ["by_grpc", "by_http"] if calling.route_of(method)[0] and not method.server_streaming else ["by_grpc"]


def _empty(method: MethodDescriptor, way: str = "by_grpc") -> Any:
    """A request that says nothing: whoever is let in with it is told what is missing, and changes nothing.

    An address over HTTP has to say something; of those who are let in, only readers send it.
    """
    return GetMessageClass(method.input_type)() if way == "by_grpc" else calling.example_of(method, {})


def _is_admitted(who: Who, method: MethodDescriptor) -> bool:
    access = access_of(method)
    return access.audience == options_pb2.AUDIENCE_AUTHENTICATED or not who.roles.isdisjoint(access.roles)


def _is_shown(who: Who, method: MethodDescriptor, whose: str) -> bool:
    access = access_of(method)
    if whose == "nobody":
        return False
    return who.owns == whose or not who.roles.isdisjoint(access.sees) or (access.partner and who.serves == whose)


def test_methods_are_open_to_whom_their_contracts_admit(world: World) -> None:
    wrong = []
    for method in OTHERS:
        for way in _ways(method):
            if getattr(world.nobody, way)(method, _empty(method, way)).reason != "TOKEN_INVALID":
                wrong.append(f"{method.full_name} {way}: lets anybody in")
            for who in world.callers:
                is_admitted = _is_admitted(who, method)
                if is_admitted and way == "by_http" and not calling.is_read(method):
                    continue
                answer = getattr(who.calls, way)(method, _empty(method, way))
                if answer.is_denied is is_admitted:
                    wrong.append(f"{method.full_name} {way}: {who.name} got {answer}")
    assert wrong == [], "\n".join(["", *wrong])


def test_methods_for_everybody_ask_for_no_token(world: World) -> None:
    denied = [method.full_name for method in PUBLIC if world.nobody.by_grpc(method, _empty(method)).is_denied]
    assert denied == []


def test_methods_for_services_are_open_to_those_alone_that_are_named(world: World) -> None:
    wrong = []
    for method in INTERNAL:
        assert not calling.route_of(method)[0]
        people = [who.name for who in world.callers if not who.calls.by_grpc(method, _empty(method)).is_denied]
        admitted = {
            name for name, calls in world.services.items() if not calls.by_grpc(method, _empty(method)).is_denied
        }
        if people or admitted != set(access_of(method).services):
            wrong.append(f"{method.full_name}: lets {people} and {admitted} in")
    assert wrong == [], "\n".join(["", *wrong])


def test_records_are_shown_to_whom_they_belong_and_to_whom_the_contracts_say(world: World) -> None:
    """Who is shown nothing calls first, as that changes nothing, whatever the method does."""
    calls = [
        (method, who, whose, way)
        for method in OF_A_RECORD
        for who in world.callers
        if _is_admitted(who, method)
        for whose, known in world.records.items()
        if whose == "nobody" or calling.named_in_path(method).rpartition(".")[2] in known
        for way in _ways(method)
    ]
    calls.sort(key=lambda call: _is_shown(call[1], call[0], call[2]))
    answers: dict[tuple[str, str, str, str], Answer] = {}
    for method, who, whose, way in calls:
        request = calling.example_of(method, world.ids(whose))
        answers[method.full_name, who.name, whose, way] = getattr(who.calls, way)(method, request)
    wrong = []
    for method, who, whose, way in calls:
        answer = answers[method.full_name, who.name, whose, way]
        like_none = answers[method.full_name, who.name, "nobody", way]
        is_shown = answer != like_none  # what one may not see is answered as what was never there
        if (
            like_none.reason != "RESOURCE_NOT_FOUND"
            or answer.is_denied
            or is_shown is not _is_shown(who, method, whose)
        ):
            wrong.append(f"{method.full_name} {way}: {who.name} got {answer} for that of {whose}")
    assert len(calls) > 100
    assert wrong == [], "\n".join(["", *wrong])


def test_lists_leave_out_what_belongs_to_others(world: World) -> None:
    known = {one for records in world.records.values() for one in records.values()}
    wrong = []
    for method in OTHERS:
        if calling.named_in_path(method) or not calling.is_read(method):
            continue
        for who in world.callers:
            if _is_admitted(who, method) and who.roles.isdisjoint({"underwriter", "adjuster", "finance", "admin"}):
                shown = {one for one in known if one in who.calls.by_http(method, _empty(method)).text}
                if (
                    shown
                    - (set(world.records[who.owns].values()) if who.owns else set())
                    - (set(world.records[who.serves].values()) if who.serves else set())
                ):
                    wrong.append(f"{method.full_name}: shows {who.name} {shown}")
    assert wrong == [], "\n".join(["", *wrong])
