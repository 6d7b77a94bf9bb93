"""Policies, payments and quotes as they are deployed: each with its database and its worker, in one process.

Their clock is the world's own. Jobs run one after the other in the order of the queues; one that was killed runs again,
and once more when it has succeeded: its message was delivered twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc
import psycopg
from google.protobuf import json_format

from bazaruto.payments.v1 import billing_pb2_grpc, invoice_pb2_grpc, ledger_pb2_grpc, payment_pb2_grpc
from bazaruto.policies.v1 import approval_pb2_grpc, renewal_pb2_grpc
from bazaruto.policies.v1 import policy_pb2 as pb
from bazaruto.policies.v1 import policy_pb2_grpc as policies_rpc
from bazaruto.quotes.v1 import product_pb2_grpc as products_rpc
from bazaruto.quotes.v1 import quote_pb2, quote_pb2_grpc
from bazarutod.demo import risk
from libs import clock, ids
from libs.config import Settings
from libs.db import Database
from libs.errors import DomainError
from libs.identity.service_tokens import ServiceTokens
from libs.jobs import JobKind, Nothing, defer
from libs.jobs.nightly import Night, Occurrence, Run
from libs.rpc import values
from libs.rpc.client import connect
from libs.rpc.server import Server
from services.payments.billing import jobs as billing_jobs
from services.payments.billing.flows import reconciling
from services.payments.billing.jobs import dunning as dunning_jobs
from services.payments.billing.servicer.billing import BillingServicer
from services.payments.billing.servicer.invoices import InvoiceServicer
from services.payments.billing.store import earnings, totals
from services.payments.clients import Policies as PoliciesOfPayments
from services.payments.clients import Quotes as QuotesOfPayments
from services.payments.collection import jobs as collection_jobs
from services.payments.collection.adapters.sandbox import Sandbox
from services.payments.collection.servicer import PaymentServicer
from services.payments.collection.store import payments as payments_store
from services.payments.ledger import jobs as ledger_jobs
from services.payments.ledger.servicer import LedgerServicer
from services.policies.clients import Payments, Quotes
from services.policies.lifecycle import jobs as policies_jobs
from services.policies.lifecycle.servicer.approvals import ApprovalServicer
from services.policies.lifecycle.servicer.policies import PolicyServicer
from services.policies.lifecycle.servicer.renewals import RenewalServicer
from services.quotes.catalogue.flows import publishing
from services.quotes.catalogue.flows.offering import Catalogue
from services.quotes.catalogue.servicer import ProductServicer
from services.quotes.quoting.flows.calculating import Calculators
from services.quotes.quoting.servicer.quotes import QuoteServicer
from services.quotes.rating.rules import golden
from tests.faults.crash_points import CrashPoints, Killed
from tests.faults.keeping import Kept
from tests.integration.payments.house import Registered
from tests.integration.policies.house import FakeUsers
from tests.support import servers
from tests.support.people import People, Person, new_key

_NEXT = """
    SELECT id, task_name, args, lock FROM procrastinate_jobs AS job WHERE status = 'todo'
        AND NOT EXISTS (SELECT FROM procrastinate_jobs AS other
            WHERE other.lock = job.lock AND other.status = 'todo' AND other.id < job.id)
    ORDER BY priority DESC, id
"""
_BEGINS = time(12, 0)
_TRIED_AGAIN = timedelta(seconds=30)
_MOST = 400
_SILENCE = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE)


class InSmallBatches(Registered):
    """What was registered; nightly runs have several batches of few items."""

    def sweep(self, database: Database, run: Run[Any], night_of: Callable[[Any], Night]) -> None:
        super().sweep(database, replace(run, batch=2), night_of)


class World:
    """The three services."""

    def __init__(self, points: CrashPoints, people: People, urls: dict[str, str], clock_file: Path) -> None:
        self.points, self.people, self.urls, self._clock_file = points, people, urls, clock_file
        self.settings = servers.settings_for(people, **urls)
        self.registered = {"policies": InSmallBatches(), "payments": InSmallBatches()}
        self.users = FakeUsers()
        self._databases: dict[str, Database] = {}
        self._workers: list[Callable[[], None]] = []
        self._refused: list[tuple[str, str]] = []
        self.begins_at = datetime.combine(clock.real_now().date() + timedelta(days=1), _BEGINS, UTC)
        self._stack = ExitStack()
        self._connections = {
            name: self._stack.enter_context(psycopg.connect(url, autocommit=True)) for name, url in urls.items()
        }
        self._twice: tuple[str, int] | None = None
        self._kept_at = self.begins_at

    @contextmanager
    def running(self) -> Iterator[World]:
        """Serve within."""
        with self._stack:
            builds = {"quotes": self._quotes, "payments": self._payments, "policies": self._policies}
            channels = {
                name: self._stack.enter_context(servers.running_server(name, self.settings, self.people, build))
                for name, build in builds.items()
            }
            self.quotes = quote_pb2_grpc.QuoteServiceStub(channels["quotes"])
            self.policies = policies_rpc.PolicyServiceStub(channels["policies"])
            self.renewals = renewal_pb2_grpc.RenewalServiceStub(channels["policies"])
            self.payments = payment_pb2_grpc.PaymentServiceStub(channels["payments"])
            self.ledger = ledger_pb2_grpc.LedgerServiceStub(channels["payments"])
            self.approvals = approval_pb2_grpc.PolicyApprovalServiceStub(channels["policies"])
            self._empty, self._before = (
                [Kept(connection, name) for connection in self._connections.values()] for name in ("empty", "before")
            )
            for kept in self._empty:
                kept.keep()
            yield self
            clock.follow(None)

    def _to(self, service: str, caller: str) -> grpc.Channel:
        return connect(self.settings.services[service].target, ServiceTokens(self.people.auth, caller))

    def _quotes(self, server: Server, database: Database, settings: Settings) -> None:
        calculators = Calculators()
        database.open()
        with database.transaction() as session:
            publishing.publish(session, clock.now())
        catalogue = Catalogue(database, calculators.prepare)
        products = ProductServicer(database, catalogue, golden.check)
        server.add(products_rpc.add_ProductServiceServicer_to_server, products)
        servicer = QuoteServicer(database, catalogue, calculators, lambda _: True)
        server.add(quote_pb2_grpc.add_QuoteServiceServicer_to_server, servicer)

    def _policies(self, server: Server, database: Database, settings: Settings) -> None:
        parts = (
            database,
            Quotes(self._to("quotes", "policies")),
            self.users,
            Payments(self._to("payments", "policies")),
        )
        server.add(policies_rpc.add_PolicyServiceServicer_to_server, PolicyServicer(*parts))
        server.add(approval_pb2_grpc.add_PolicyApprovalServiceServicer_to_server, ApprovalServicer(*parts))
        server.add(renewal_pb2_grpc.add_RenewalServiceServicer_to_server, RenewalServicer(*parts))
        self._databases["policies"] = database
        runner: Any = self.registered["policies"]
        worker = "policies-worker"
        quotes, payments = Quotes(self._to("quotes", worker)), Payments(self._to("payments", worker))
        self._workers.append(lambda: policies_jobs.register(runner, database, quotes, payments))

    def _payments(self, server: Server, database: Database, settings: Settings) -> None:
        self.provider = Sandbox(database)
        server.add(billing_pb2_grpc.add_BillingServiceServicer_to_server, BillingServicer(database))
        server.add(invoice_pb2_grpc.add_InvoiceServiceServicer_to_server, InvoiceServicer(database))
        server.add(payment_pb2_grpc.add_PaymentServiceServicer_to_server, PaymentServicer(database, self.provider))
        ledger = LedgerServicer(database, totals.find, earnings.find_unearned_count)
        server.add(ledger_pb2_grpc.add_LedgerServiceServicer_to_server, ledger)
        self._databases["payments"] = database
        runner: Any = self.registered["payments"]
        policies = PoliciesOfPayments(self._to("policies", "payments-worker"))
        quotes = QuotesOfPayments(self._to("quotes", "payments-worker"))

        def work() -> None:
            billing_jobs.register(runner, database)
            dunning = dunning_jobs.Handlers(database, policies, quotes, payments_store.find_is_open)
            dunning_jobs.register(runner, dunning, database)
            billing_jobs.register_reconciling(runner, database, policies.sum_written)
            collection_jobs.register(runner, collection_jobs.Handlers(database, self.provider, policies))
            ledger_jobs.register(runner, database)

        self._workers.append(work)
        self._sum_written = policies.sum_written

    def begin(self) -> None:
        """Begin anew, at noon of the same day, with no policy at all."""
        for service, table in self._refused:
            self._connections[service].execute(f"DROP TRIGGER refused ON {table}".encode())
        self._refused.clear()
        self._start(self._empty, self.begins_at)

    def keep(self) -> None:
        """Keep everything as it is now, and what time it is."""
        for kept in self._before:
            kept.keep()
        self._kept_at = clock.now()

    def put_back(self) -> None:
        """Let everything be as it was when it was kept, at that moment."""
        self._start(self._before, self._kept_at)

    def _start(self, databases: list[Kept], moment: datetime) -> None:
        """Start workers, which remember nothing, on databases that hold what was kept."""
        for kept in databases:
            kept.put_back()
        self._twice = None
        for work in self._workers:
            work()
        self.move_to(moment)

    @property
    def today(self) -> date:
        return clock.now().date()

    def move_to(self, moment: datetime) -> None:
        """Let it be that moment. A run that somebody holds is given up as early as it would be then."""
        if (passed := moment - clock.now()) > timedelta():
            for connection in (self._connections[name] for name in self.registered):
                connection.execute("UPDATE nightly_runs SET held_until = held_until - %s", (passed,))
        offset = moment - clock.real_now()
        self._clock_file.write_text(json.dumps({clock.OFFSET: max(offset // timedelta(microseconds=1), 0)}))
        clock.follow(self._clock_file)

    def rows(self, service: str, query: str) -> list[tuple[Any, ...]]:
        """What a database says."""
        return self._connections[service].execute(query.encode()).fetchall()

    def call(
        self, method: Callable[..., Any], request: Any, person: Person, kept: Callable[[Any], Any] = lambda reply: reply
    ) -> Any:
        """Call, with the same key again where the process that answers died, and once more after that.

        `kept` is the part of the reply that the key keeps.
        """
        key, kills = new_key(), self.points.kills
        about, name = person.metadata(idempotency_key=key), type(request).__name__.removesuffix("Request")

        def attempt() -> Any:
            with self.points.step(key, name):
                return method(request, metadata=about)

        try:
            return attempt()
        except grpc.RpcError as error:
            if self.points.kills == kills or error.code() not in _SILENCE:
                raise
        answer = attempt()
        assert kept(attempt()) == kept(answer)
        return answer

    def come_due(self, kind: JobKind[Any]) -> None:
        """A job that is done again and again comes due, and is done with all that follows."""
        arguments: Any = Nothing()
        if kind.arguments is Occurrence:
            arguments = Occurrence(int(kind.last_occurrence(clock.now()).timestamp()))
        with self._databases[kind.name.partition(".")[0]].transaction() as session:
            defer(session, kind, arguments)
        self.deliver()

    def forget_jobs(self) -> None:
        """Nothing that waits is done."""
        for service in self.registered:
            self.rows(service, "UPDATE procrastinate_jobs SET status = 'cancelled' WHERE status = 'todo' RETURNING 1")

    def refuse(self, service: str, table: str, column: str, policy_id: str) -> None:
        """From now on nothing can be written down in a table about a policy: what a run does of it is parked."""
        key = ids.decode("pol", policy_id)
        self._connections[service].execute(
            f"""
            CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE EXCEPTION 'this one cannot be done'; END $$;
            CREATE TRIGGER refused BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW
                WHEN (NEW.{column} = '{key}') EXECUTE FUNCTION refuse()
            """.encode()
        )
        self._refused.append((service, table))

    def deliver(self, within: timedelta = timedelta(days=2)) -> None:
        """Run the jobs that are due, and those that will be within some time, until nothing is left to be done."""
        until = clock.now() + within
        not_before: dict[tuple[str, int], datetime] = {}
        for _ in range(_MOST):
            waiting = [
                (not_before.get((service, job_id)) or _moment_of(arguments), service, job_id, name, arguments)
                for service in self.registered
                for job_id, name, arguments, _ in self.rows(service, _NEXT)
            ]
            now = clock.now()
            due = [job for job in waiting if job[0] is None or job[0] <= now]
            if not due:
                next_at = min((job[0] for job in waiting if job[0]), default=None)
                if next_at is None or next_at > until:
                    return
                self.move_to(next_at + timedelta(seconds=1))
                continue
            _, service, job_id, name, arguments = due[0]
            if not self._runs(service, job_id, name, arguments):
                not_before[service, job_id] = now + _TRIED_AGAIN
        raise AssertionError(f"jobs go on for ever: {due[0]}")

    def _runs(self, service: str, job_id: int, name: str, arguments: dict[str, Any]) -> bool:
        """Whether a job succeeds. What is neither refused for now nor killed fails the test: it would be parked."""
        kills, key = self.points.kills, (service, job_id)
        try:
            with self.points.step(key, name):
                self.registered[service].run(name, arguments)
                if self._twice == key:
                    self.registered[service].run(name, arguments)
        except Killed:
            self._twice = key
            return False
        except DomainError:
            if self.points.kills > kills:
                self._twice = key
            return False
        self.rows(service, f"UPDATE procrastinate_jobs SET status = 'succeeded' WHERE id = {job_id} RETURNING 1")
        return True

    def differences(self, policy_id: str) -> Any:
        """Where policies, billing and the ledger do not agree about a policy."""
        later = clock.now() + timedelta(hours=1)
        key = ids.decode("pol", policy_id)
        before = UUID(int=key.int - 1)
        return reconciling.compare(self._databases["payments"], self._sum_written, before, 1, later)[key]

    def buyer(self) -> Person:
        """Somebody who buys."""
        return self.people.customer()

    def accepted_quote(self, person: Person, insured: dict[str, Any] | None = None) -> str:
        """A quote for a car, or for what else is insured, accepted."""
        asked = json_format.ParseDict(insured or risk(), quote_pb2.Risk())
        asked.start_date.CopyFrom(values.date_to_proto(self.today))
        request = quote_pb2.CreateQuoteRequest(risk=asked)
        quote = self.call(self.quotes.CreateQuote, request, person)
        self.call(self.quotes.AcceptQuote, quote_pb2.AcceptQuoteRequest(quote_id=quote.quote_id), person)
        return str(quote.quote_id)

    def issue(
        self, person: Person, plan: str = "monthly", card: str = "pm_card_ok", insured: dict[str, Any] | None = None
    ) -> str:
        """A policy that is not yet paid for."""
        quote_id = self.accepted_quote(person, insured)
        request = pb.IssuePolicyRequest(quote_id=quote_id, plan_code=plan, payment_method=card)
        return str(self.call(self.policies.IssuePolicy, request, person).policy_id)

    def in_force(self, person: Person, plan: str = "monthly", insured: dict[str, Any] | None = None) -> str:
        """A policy whose first premium is paid."""
        policy_id = self.issue(person, plan, insured=insured)
        self.deliver(timedelta(minutes=1))
        return policy_id


def _moment_of(arguments: dict[str, Any]) -> datetime | None:
    return datetime.fromisoformat(arguments["_at"]) if "_at" in arguments else None
