"""A policies server for tests, with its database; the quotes service is a small fake behind the client's interface."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any
from uuid import UUID

import grpc
import psycopg

from bazaruto.payments.v1 import billing_pb2 as billing_pb
from bazaruto.policies.v1 import approval_pb2_grpc, renewal_pb2_grpc
from bazaruto.policies.v1 import policy_pb2 as pb
from bazaruto.policies.v1 import policy_pb2_grpc as rpc_pb
from libs import clock, ids
from libs.calendar import day_of
from libs.config import JobSettings, Settings
from libs.db import Database
from libs.errors import FieldInvalid, ResourceNotFound
from libs.jobs import JobRunner
from libs.money import Money
from libs.premium import ChargeLine, Coverage, InsuredObject, LineKind, Premium
from libs.rpc import calls, values
from libs.rpc.errors import NeighbourUnavailable
from libs.rpc.server import Server
from services.policies.clients import Payments, Quotes, Users
from services.policies.clients.payments import transaction_to_proto
from services.policies.clients.quotes import Metadata
from services.policies.lifecycle import jobs
from services.policies.lifecycle.rules.charges import Tax
from services.policies.lifecycle.rules.policy import Policy
from services.policies.lifecycle.rules.product import FeeRule, ProductRules, TaxRule
from services.policies.lifecycle.rules.quote import Quote
from services.policies.lifecycle.rules.renewal import Offer, days_of_next
from services.policies.lifecycle.rules.settlement import AS_USUAL, Forecast, Settlement
from services.policies.lifecycle.rules.term import Risk, Term
from services.policies.lifecycle.rules.transaction import Transaction
from services.policies.lifecycle.servicer.approvals import ApprovalServicer
from services.policies.lifecycle.servicer.policies import PolicyServicer
from services.policies.lifecycle.servicer.renewals import RenewalServicer
from tests.support.people import Person, new_key
from tests.support.sections import section

EUR = "EUR"
RULES = ProductRules(
    "motor",
    1,
    taxes=(TaxRule(Tax("premium_tax", Fraction(17, 100))),),
    fees=(FeeRule("policy_fee", Money(2500, EUR)),),
)
"""What the product says of its policies; tests add to it."""


class FakeQuotes(Quotes):
    """The quotes service as policies sees it: quotes by id, shown to their owner."""

    def __init__(self) -> None:
        self.quotes: dict[str, Quote] = {}
        self.rules = dict.fromkeys((1, 2), RULES)
        """What the versions of the product say of policies."""
        self.bound: list[str] = []
        """The transactions that quotes were bound by."""
        self.offered: dict[str, str] = {}
        """The quotes of next terms, by the key that each was asked for with."""
        self.priced_by: dict[UUID, UUID] = {}
        """By which quotes policies said that they were priced last, when their next terms were asked for."""
        self.broken: set[UUID] = set()
        """The policies whose next term cannot be priced."""

    def add(self, owner: Person, **changes: Any) -> str:
        """An accepted quote of somebody."""
        assert owner.id is not None
        eur = EUR
        today = day_of(clock.now(), changes.get("time_zone", "Africa/Maputo"))
        plate = changes.pop("plate", f"AA-{secrets.token_hex(3).upper()}")
        starts_on = changes.pop("starts_on", today)
        ends_on = changes.pop("ends_on", today + timedelta(days=365))
        quote = Quote(
            id=ids.new(),
            user_id=owner.id,
            created_by=owner.id,
            product_code="motor",
            product_version=1,
            time_zone="Africa/Maputo",
            state="accepted",
            valid_until=datetime.now(UTC) + timedelta(days=30),
            starts_on=starts_on,
            ends_on=ends_on,
            premium=Premium(Money(120000, eur), Money(20400, eur), Money(2500, eur)),
            coverages=(Coverage("liability", Money(1_000_000_00, eur)), Coverage("collision", None, Money(50000, eur))),
            plans={"annual": 1, "monthly": 12},
            answers={"driver_age": 34, "use": "private", "garage": True},
            objects=(InsuredObject("vehicle_1", "vehicle", {"plate": plate}, plate),),
            lines=(
                ChargeLine(LineKind.PREMIUM, Money(90000, eur), starts_on, ends_on, "liability", "", "vehicle_1"),
                ChargeLine(LineKind.PREMIUM, Money(30000, eur), starts_on, ends_on, "collision", "", "vehicle_1"),
                ChargeLine(LineKind.TAX, Money(20400, eur), starts_on, starts_on, "", "premium_tax"),
                ChargeLine(LineKind.FEE, Money(2500, eur), starts_on, starts_on, "", "policy_fee"),
            ),
        )
        quote = replace(quote, **changes)
        quote_id = ids.encode("quo", quote.id)
        self.quotes[quote_id] = quote
        return quote_id

    def get_quote(self, quote_id: str) -> Quote:
        quote = self.quotes.get(quote_id)
        if quote is None or not calls.caller().scope(frozenset({"admin"}), partner=True).covers(
            quote.user_id, quote.partner_id
        ):
            raise ResourceNotFound(resource="quote")
        return quote

    def get_product_rules(self, product_code: str, version: int) -> ProductRules:
        return self.rules[version]

    def bind_quote(self, policy: Policy, transaction: Transaction) -> None:
        self.bound.append(ids.encode("ptx", transaction.id))

    def find_priced(self, quote_id: str) -> Quote | None:
        return self.quotes.get(quote_id)

    def quote_next_term(self, policy: Policy, risk: Risk, sequence: int, key: Metadata, quote_id: UUID) -> Offer:
        """The next term by version 2, with the driver a year older, for 1300.00; the same for the same key."""
        self.priced_by[policy.id] = quote_id
        if policy.id in self.broken:
            raise FieldInvalid(violations={"driver_age": "must be at most 90"})
        name = key[0][1]
        if name not in self.offered:
            starts_on, ends_on = days_of_next(policy)
            lines = (
                ChargeLine(LineKind.PREMIUM, Money(130000, EUR), starts_on, ends_on, "liability", "", "vehicle_1"),
                ChargeLine(LineKind.TAX, Money(22100, EUR), starts_on, starts_on, "", "premium_tax"),
                ChargeLine(LineKind.FEE, Money(2500, EUR), starts_on, starts_on, "", "policy_fee"),
            )
            self.offered[name] = offered_id = ids.encode("quo", ids.new())
            self.quotes[offered_id] = Quote(
                id=ids.decode("quo", offered_id),
                user_id=policy.user_id,
                created_by=policy.created_by,
                product_code="motor",
                product_version=2,
                time_zone=policy.time_zone,
                state="quoted",
                valid_until=datetime.now(UTC) + timedelta(days=400),
                starts_on=starts_on,
                ends_on=ends_on,
                premium=Premium(Money(130000, EUR), Money(22100, EUR), Money(2500, EUR)),
                coverages=risk.coverages,
                plans={"annual": 1, "direct": 1, "quarterly": 4},
                kind="renewal",
                answers={**risk.answers, "driver_age": 35},
                objects=risk.objects,
                lines=lines,
                policy_id=ids.encode("pol", policy.id),
                timeline_sequence=sequence,
            )
        quote = self.quotes[self.offered[name]]
        return Offer(
            quote.id, quote.state, 2, quote.starts_on, quote.ends_on, quote.premium, quote.lines, quote.valid_until
        )


class FakeUsers(Users):
    """The users service as policies sees it: parties that everybody may read."""

    def __init__(self) -> None:
        self.customers: set[str] = set()
        self.partners: dict[str, UUID] = {}
        """The partners who serve customers."""

    def partner_of(self, customer_id: str) -> UUID | None:
        self.check_customer(customer_id)
        return self.partners.get(customer_id)

    def check_customer(self, customer_id: str) -> None:
        if customer_id not in self.customers:
            raise ResourceNotFound(resource="customer")


class FakePayments(Payments):
    """The payments service as policies sees it; it is away the first time."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.applied: list[tuple[Policy, Transaction]] = []
        """What it was told, with the policy as each transaction left it."""
        self.sent: list[billing_pb.ApplyPolicyTransactionRequest] = []
        """What it was asked to apply."""
        self.payers: dict[str, UUID] = {}
        """The parties that keep payment methods."""
        self.due: dict[UUID, date | None] = {}
        """When something falls due for policies, as far as it is known."""
        self.neighbour: Payments | None = None
        """The one that is asked instead, what it expects to come of a transaction."""
        self.forecast: Forecast | None = None
        """What is expected to come of every transaction."""
        self.past_due: dict[UUID, Money] = {}
        """What is past due of policies, where it is anything."""

    def payer_of(self, method_id: str) -> UUID:
        if method_id not in self.payers:
            raise ResourceNotFound(resource="payment method")
        return self.payers[method_id]

    def next_due_on(self, policy_id: UUID) -> date | None:
        if policy_id not in self.due:
            raise NeighbourUnavailable
        return self.due[policy_id]

    def past_due_of(self, policy_id: UUID) -> Money:
        return self.past_due.get(policy_id, Money.zero(EUR))

    def preview_transaction(
        self, policy: Policy, transaction: Transaction, *args: Any, **details: Any
    ) -> Forecast | None:
        if self.neighbour is not None:
            return self.neighbour.preview_transaction(policy, transaction, *args, **details)
        return self.forecast

    def apply_transaction(
        self,
        policy: Policy,
        transaction: Transaction,
        terms: Sequence[Term],
        settlement: Settlement = AS_USUAL,
        installments: int = 0,
        payment_method: str = "",
        method_id: UUID | None = None,
    ) -> None:
        named = ids.encode("pmt", method_id) if method_id else ""
        self.asked.append((ids.encode("pol", policy.id), payment_method or named))
        self.applied.append((policy, transaction))
        self.sent.append(transaction_to_proto(policy, transaction, terms, settlement, installments))
        if len(self.asked) == 1:
            raise NeighbourUnavailable


class House:
    """A policies server with its database and the quotes that it knows."""

    def __init__(
        self,
        start: Callable[..., grpc.Channel],
        url: str,
        quotes: FakeQuotes | None = None,
        neighbour: Payments | None = None,
    ) -> None:
        self.quotes = quotes or FakeQuotes()
        self.users = FakeUsers()
        self.payments = FakePayments()
        self.url = url

        def build(server: Server, database: Database, settings: Settings) -> None:
            self.database = database
            self.target = settings.services["policies"].target
            parts = (database, self.quotes, self.users, neighbour or self.payments)
            server.add(rpc_pb.add_PolicyServiceServicer_to_server, PolicyServicer(*parts))
            server.add(approval_pb2_grpc.add_PolicyApprovalServiceServicer_to_server, ApprovalServicer(*parts))
            server.add(renewal_pb2_grpc.add_RenewalServiceServicer_to_server, RenewalServicer(*parts))

        channel = start("policies", url, build)
        self.stub = rpc_pb.PolicyServiceStub(channel)
        self.approvals = approval_pb2_grpc.PolicyApprovalServiceStub(channel)
        self.renewals = renewal_pb2_grpc.RenewalServiceStub(channel)

    def issue(self, person: Person, quote_id: str = "", key: str = "", **fields: Any) -> pb.Policy:
        """Issue a policy from a quote, or from a new one."""
        request = pb.IssuePolicyRequest(quote_id=quote_id or self.quotes.add(person), **fields)
        return self.stub.IssuePolicy(request, metadata=person.metadata(idempotency_key=key or new_key()))

    def get(self, person: Person, policy_id: str, **moments: datetime) -> pb.Policy:
        """The policy as somebody sees it, as of moments."""
        stamps = {name: values.time_to_proto(moment) for name, moment in moments.items()}
        request = pb.GetPolicyRequest(policy_id=policy_id, **stamps)
        return self.stub.GetPolicy(request, metadata=person.metadata())

    def activate(self, policy_id: str, service: Person, paid_at: datetime | None = None) -> pb.Policy:
        """Let cover begin, as payments does."""
        request = pb.ActivatePolicyRequest(policy_id=policy_id, payment_id=ids.encode("pay", ids.new()))
        request.paid_time.FromDatetime(paid_at or datetime.now(UTC))
        return self.stub.ActivatePolicy(request, metadata=service.metadata())

    def worker(self, payments: Payments) -> JobRunner:
        """A worker that leaves it to the test when a job that failed is tried again."""
        runner = JobRunner(self.url, section(JobSettings, retry_wait=timedelta(hours=1)), "test-policies-worker")
        jobs.register(runner, self.database, self.quotes, payments)
        return runner

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """What the database says."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(query).fetchall()
