"""Those who send the requests, and what they make first, so that a request can be answered with success."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import grpc
import psycopg

from bazaruto.policies.v1 import delinquency_pb2, policy_pb2_grpc
from bazarutod.demo import risk
from libs import ids
from libs.config import Settings
from libs.identity.authority import Authority
from tests.support.buyer import Buyer
from tests.support.people import People


@dataclass(frozen=True)
class Request:
    """A call over HTTP, and whose it is."""

    token: str
    method: str
    path: str
    body: dict[str, Any]


Make = Callable[["Desk"], Request]
"""Makes a request that was never sent, about something new, and all that it needs."""


class Desk:
    """A customer and the staff, on one platform."""

    def __init__(self, buyer: Buyer, people: People, settings: Settings) -> None:
        self.buyer = buyer
        self._payments_url = settings.services["payments"].db_url
        self._policies = policy_pb2_grpc.PolicyServiceStub(grpc.insecure_channel(settings.services["policies"].target))
        self._payments = people.service("payments").metadata()
        self._admin, self._other_admin = (people.admin().authorization for _ in range(2))
        underwriters = [people.user("underwriter", authority=Authority(underwriting_level=9)) for _ in range(2)]
        self._underwriters = [underwriter.authorization for underwriter in underwriters]
        limit = Authority(refund_limit={"EUR": 1000_00})
        self._finance = people.user("finance", authority=limit).authorization
        self.underwriter_id = underwriters[0].user_id

    def own(self, path: str, body: dict[str, Any], method: str = "POST") -> Request:
        """A request of the customer."""
        return Request(f"Bearer {self.buyer.token}", method, path, body)

    def admin(self, path: str, body: dict[str, Any], method: str = "POST", *, second: bool = False) -> Request:
        """A request of an administrator, or of a second one."""
        return Request(self._other_admin if second else self._admin, method, path, body)

    def underwriter(self, path: str, body: dict[str, Any], *, second: bool = False) -> Request:
        """A request of an underwriter, or of a second one."""
        return Request(self._underwriters[second], "POST", path, body)

    def finance(self, path: str, body: dict[str, Any]) -> Request:
        """A request of somebody in finance, who may pay back up to 1,000 euros."""
        return Request(self._finance, "POST", path, body)

    def send(self, request: Request) -> dict[str, Any]:
        """The answer to a request that comes before the one that is tried."""
        sender = Buyer(self.buyer.http, request.token.removeprefix("Bearer "))
        return sender.call(request.method, request.path, request.body, key=secrets.token_hex(16))

    def quote(self, *, draft: bool = False, claims: int = 0) -> str:
        """The identifier of a new quote of the customer; with three or four claims an underwriter has to decide."""
        car = risk()
        if claims:
            car["answers"] |= {"claims_5_years": claims, "claim_free_years": 0}
        return str(self.send(self.own("/v1/quotes", {"risk": car, "draft": draft}))["quoteId"])

    def accepted(self) -> str:
        """The identifier of a new quote that the customer accepted."""
        return str(self.buyer.accepted_quote()["quoteId"])

    def delinquency(self) -> str:
        """The identifier of a new delinquency of the customer, as the nightly run makes it where days pass."""
        policy = self.buyer.issue()
        self.buyer.invoice_of(policy)  # with it, the account is there
        delinquency_id = ids.new()
        with psycopg.connect(self._payments_url) as connection:
            connection.execute(_DELINQUENCY, (delinquency_id, ids.decode("pol", policy["policyId"])))
        return ids.encode("dlq", delinquency_id)

    def lapsed(self) -> tuple[str, str]:
        """The identifiers of a policy that was paid for and lapsed on its first day, and of its lapse."""
        policy = self.buyer.issue()
        self.buyer.pay(self.buyer.invoice_of(policy))
        self.buyer.in_force(policy)
        request = delinquency_pb2.LapsePolicyRequest(
            policy_id=policy["policyId"], delinquency_id=ids.encode("dlq", ids.new()), version=1
        )
        first_day = policy["term"]["startDate"]
        request.effective_date.year, request.effective_date.month = first_day["year"], first_day["month"]
        request.effective_date.day = first_day["day"]
        return policy["policyId"], self._policies.LapsePolicy(request, metadata=self._payments).transaction_id

    def user(self) -> str:
        """The identifier of a customer who has just signed up."""
        newcomer = Buyer(self.buyer.http)
        newcomer.sign_up()
        return newcomer.user_id

    def staff(self, role: str) -> str:
        """The identifier of somebody who is no customer, and has that role."""
        user_id = self.user()
        self.send(self.admin(f"/v1/users/{user_id}:revokeRole", {"role": "ROLE_CUSTOMER"}))
        self.send(self.admin(f"/v1/users/{user_id}:grantRole", {"role": role}))
        return user_id

    def customer(self) -> str:
        """The identifier of a firm that an administrator entered."""
        firm = {"kind": "KIND_ORGANISATION", "name": f"Firm {secrets.token_hex(4)}"}
        return str(self.send(self.admin("/v1/customers", {"customer": firm}))["customer"]["customerId"])

    @cached_property
    def buyer_with_a_firm(self) -> tuple[Buyer, str]:
        """Another customer, and the identifier of a firm that they act for, too."""
        newcomer, email = Buyer(self.buyer.http), f"{secrets.token_hex(8)}@example.com"
        account = {"email": email, "password": secrets.token_hex(12)}
        newcomer.call("POST", "/v1/users", {**account, "fullName": "Test Buyer"})
        newcomer.token = newcomer.call("POST", "/v1/auth/login", account)["accessToken"]
        firm = {"customer": {"kind": "KIND_ORGANISATION", "name": f"Firm {secrets.token_hex(4)}"}}
        made = newcomer.call("POST", "/v1/customers", firm, key=secrets.token_hex(16))
        # The firm stands in tokens from the next log-in on.
        newcomer.token = newcomer.call("POST", "/v1/auth/login", account)["accessToken"]
        return newcomer, str(made["customer"]["customerId"])

    def partner(self) -> str:
        """The identifier of a new partner."""
        return str(self.send(self.admin("/v1/partners", broker()))["partnerId"])

    def member(self) -> tuple[str, str]:
        """The identifiers of a new partner and of its one member."""
        partner_id, user_id = self.partner(), self.staff("ROLE_AGENT")
        self.send(self.admin(f"/v1/partners/{partner_id}:addMember", {"userId": user_id}))
        return partner_id, user_id


_DELINQUENCY = """
    INSERT INTO delinquencies (id, account_id, version, state, due_on, currency, amount, term_number, opened_at,
        held_days, steps_done)
    SELECT %s, id, 1, 'past_due', current_date - 5, currency, 100, 1, now(), 0, 0 FROM billing_accounts WHERE id = %s
"""


def broker() -> dict[str, Any]:
    """A partner of a new name."""
    return {"partner": {"kind": "KIND_BROKER", "name": f"Broker {secrets.token_hex(4)}", "email": "b@example.com"}}
