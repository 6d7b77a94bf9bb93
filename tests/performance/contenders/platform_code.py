"""The platform's own code that contenders use, and the only place where they name it: modules move.

Contenders are processes of their own. What belongs to one service is imported when it is asked for, so that a
contender carries nothing that it does not need.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import grpc

from libs import ids, telemetry
from libs.config import Settings, load
from libs.db import Database, spans
from libs.identity.callers import Caller, TokenInvalid
from libs.identity.verification import TokenVerifier
from libs.jobs import QUEUES, JobKind, JobRunner, defer
from libs.jobs.kinds import Nothing
from libs.money import Money
from libs.rpc import calls, methods
from libs.rpc.page_tokens import PageTokens
from libs.telemetry import metrics, pages, traces
from libs.telemetry.metrics import DURATION_BUCKETS

__all__ = [
    "DURATION_BUCKETS",
    "QUEUES",
    "Caller",
    "Database",
    "JobKind",
    "JobRunner",
    "Money",
    "Nothing",
    "Settings",
    "TokenInvalid",
    "TokenVerifier",
    "close_days",
    "defer",
    "ids",
    "load",
    "may_read",
    "methods",
    "metrics",
    "motor_prices",
    "motor_rating",
    "own_verifier",
    "pages",
    "payments_contracts",
    "spans",
    "telemetry",
    "traces",
    "unasked_policies",
]

_SEES = frozenset({"admin"})
Answers = dict[str, object]
Price = Callable[[Answers, tuple[str, ...]], tuple[int, int, int]]
"""Net, tax and fees, in cents, for answers and the codes of optional coverages."""


def own_verifier(settings: Settings) -> TokenVerifier:
    """A verifier that reads the keys itself, as a monolith has no users service to ask for them."""
    from services.users.accounts.adapters.signing import SigningKeys

    keys = SigningKeys.load(settings.auth.key_folder)
    return TokenVerifier(settings.auth, lambda: keys.public, frozenset)


def close_days(database: Database) -> None:
    """Sum what is not summed by day in the ledger, as the job does it."""
    from services.payments.ledger.jobs import close_days as job

    job(database)


def may_read(caller: Caller, owner: UUID) -> bool:
    """Whether a caller is shown a thing of somebody, as GetPolicy decides it."""
    return caller.scope(_SEES, partner=False).covers(owner)


def motor_prices() -> Price:
    """The platform's own pricing of a motor risk: answers checked, coverages chosen, breakdown, and the decision."""
    from libs.premium import Coverage
    from services.quotes.catalogue.adapters.reading import read
    from services.quotes.catalogue.flows import publishing
    from services.quotes.quoting.rules.calculation import compile_calculator
    from services.quotes.rating.rules.pricing import Risk

    calculator = compile_calculator(read(publishing.load(publishing.FOLDER / "motor.yaml")))
    now = datetime.now(UTC)

    def price(answers: Answers, optional: tuple[str, ...]) -> tuple[int, int, int]:
        priced = calculator.calculate(Risk(answers, tuple(Coverage(code) for code in optional)), now).risk.price
        return priced.net, priced.tax, priced.fees

    return price


def motor_rating() -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    """The platform's own rating of a motor risk that was checked before: what makes it ready, what rates it, and what
    tells its lines and steps as pairs and triples.
    """
    from libs.premium import Coverage
    from services.quotes.catalogue.adapters.reading import read
    from services.quotes.catalogue.flows import publishing
    from services.quotes.rating.rules.facts import Facts
    from services.quotes.rating.rules.pricing import compile_tariff

    tariff = compile_tariff(read(publishing.load(publishing.FOLDER / "motor-2.yaml")))
    today = datetime.now(UTC).date()

    def prepare(facts: dict[str, Any], optional: tuple[str, ...]) -> tuple[Any, ...]:
        coverages = tariff.choose([Coverage(code) for code in optional])
        return Facts(facts, {"vehicle": [("vehicle_1", facts)]}), coverages, today, "new_business"

    def shown(price: Any) -> tuple[list[tuple[str, int]], list[tuple[str, str, int]]]:
        lines = [(line.coverage_code or line.charge_code, line.amount) for line in price.lines]
        return lines, [(step.name, step.coverage_code, step.amount) for step in price.steps]

    return prepare, tariff.rate_facts, shown


def payments_contracts() -> tuple[Any, ...]:
    """The contracts of payments; the metrics of that service exist afterwards, too."""
    import services.payments.main  # noqa: F401
    from bazaruto.payments.v1 import audit_pb2, billing_pb2, invoice_pb2, ledger_pb2, payment_pb2

    return billing_pb2, invoice_pb2, payment_pb2, ledger_pb2, audit_pb2


def unasked_policies(database: Database) -> tuple[object, Callable[..., None]]:
    """The servicer of policies without anybody who looks at who calls, and what adds it to a server."""
    from bazaruto.policies.v1 import policy_pb2, policy_pb2_grpc
    from services.policies.clients import Payments, Quotes, Users
    from services.policies.lifecycle.servicer.policies import PolicyServicer

    service = policy_pb2.DESCRIPTOR.services_by_name["PolicyService"]
    method = methods.of_service(service)[f"/{service.full_name}/GetPolicy"]
    nowhere = cast(grpc.ServicerContext, None)
    call = calls.Call(method, {}, float("inf"), nowhere, PageTokens(b""), Caller(service="bench"))

    class Unasked(PolicyServicer):
        """Every caller is a service."""

        def GetPolicy(self, request: policy_pb2.GetPolicyRequest, context: grpc.ServicerContext) -> policy_pb2.Policy:
            calls.enter(call)
            return super().GetPolicy(request, context)

    nobody = None  # a read asks no neighbour
    return Unasked(
        database, cast(Quotes, nobody), cast(Users, nobody), cast(Payments, nobody)
    ), policy_pb2_grpc.add_PolicyServiceServicer_to_server
