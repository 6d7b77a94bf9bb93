"""A payments server with its database, its sandbox provider, and a worker that is run by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import grpc
import psycopg

from bazaruto.common.v1 import premium_pb2
from bazaruto.payments.v1 import (
    billing_pb2_grpc,
    delinquency_pb2_grpc,
    invoice_pb2,
    invoice_pb2_grpc,
    ledger_pb2,
    ledger_pb2_grpc,
    payment_method_pb2_grpc,
    payment_pb2,
    payment_pb2_grpc,
    refund_pb2_grpc,
)
from libs import ids
from libs.config import Settings
from libs.db import Database
from libs.errors import DomainError
from libs.jobs import JobKind, Nothing, nightly
from libs.jobs.deferring import MOMENT, TRACE
from libs.jobs.nightly import Night, Occurrence, Run
from libs.money import Money
from libs.rpc import values
from libs.rpc.server import Server
from services.payments.billing import jobs as billing_jobs
from services.payments.billing.jobs import dunning as dunning_jobs
from services.payments.billing.rules.delinquency import Delinquency
from services.payments.billing.rules.dunning import Action, Dunning, ProductTerms
from services.payments.billing.rules.refund import Outcome as RefundOutcome
from services.payments.billing.servicer.billing import BillingServicer
from services.payments.billing.servicer.delinquencies import DelinquencyServicer
from services.payments.billing.servicer.invoices import InvoiceServicer
from services.payments.billing.servicer.payment_methods import PaymentMethodServicer
from services.payments.billing.servicer.refunds import RefundServicer
from services.payments.billing.store import earnings, invoices, totals
from services.payments.clients import Policies, Quotes
from services.payments.collection import jobs as collection_jobs
from services.payments.collection.adapters.sandbox import Sandbox
from services.payments.collection.flows import collecting
from services.payments.collection.rules.payment import Payment
from services.payments.collection.rules.provider import Outcome
from services.payments.collection.servicer import PaymentServicer
from services.payments.collection.store import payments as payments_store
from services.payments.ledger import jobs as ledger_jobs
from services.payments.ledger.servicer import LedgerServicer
from tests.support.people import People, Person, new_key

ISSUED_AT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


DUNNING = Dunning.of(
    30,
    [(0, Action.RETRY), (3, Action.REMIND), (10, Action.RETRY), (15, Action.NOTICE), (30, Action.LAPSE)],
)
"""What every product says in these tests of premium that is not paid."""


class WatchedSandbox(Sandbox):
    """The sandbox; counts what it is asked to charge and to pay back, and fails after it when it is told to."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.asked: list[UUID] = []
        self.waited: list[float] = []
        self.breaks: Exception | None = None
        self.breaks_before: Exception | None = None
        self.paid_back: list[UUID] = []

    def charge(self, payment_id: UUID, amount: Money, payment_method: str, seconds: float) -> Outcome:
        self.asked.append(payment_id)
        self.waited.append(seconds)
        outcome = super().charge(payment_id, amount, payment_method, seconds)
        if self.breaks:
            raise self.breaks
        return outcome

    def refund(self, refund_id: UUID, payment_id: UUID, amount: Money, seconds: float) -> RefundOutcome:
        self.paid_back.append(refund_id)
        if self.breaks_before:
            raise self.breaks_before
        outcome = super().refund(refund_id, payment_id, amount, seconds)
        if self.breaks:
            raise self.breaks
        return outcome


class FakePolicies(Policies):
    """The policies service as payments sees it."""

    def __init__(self) -> None:
        self.activated: list[tuple[UUID, UUID]] = []
        self.terms: list[int] = []
        self.closed: list[tuple[UUID, UUID]] = []
        self.refuses: DomainError | None = None
        self.delinquencies: list[Delinquency] = []
        self.lapses: list[Delinquency] = []
        self.needs_lapse = True

    def activate_policy(self, policy_id: UUID, payment_id: UUID, paid_at: datetime, term_number: int) -> None:
        self.activated.append((policy_id, payment_id))
        self.terms.append(term_number)

    def activate_settled(self, policy_id: UUID, invoice_id: UUID, paid_at: datetime, term_number: int) -> None:
        self.activated.append((policy_id, invoice_id))
        self.terms.append(term_number)

    def close_not_taken(self, policy_id: UUID, invoice_id: UUID, term_number: int) -> bool:
        if self.refuses:
            raise self.refuses
        self.closed.append((policy_id, invoice_id))
        return True

    def record_delinquency(self, delinquency: Delinquency) -> None:
        self.delinquencies.append(delinquency)

    def lapse_policy(self, delinquency: Delinquency) -> bool:
        self.lapses.append(delinquency)
        return self.needs_lapse


class FakeQuotes(Quotes):
    """The quotes service as payments sees it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    def terms_of(self, product_code: str, version: int) -> ProductTerms:
        self.asked.append((product_code, version))
        return ProductTerms(product_code, version, DUNNING)


@dataclass
class Registered:
    """Takes the place of the runner: what was registered, to be run by hand."""

    handlers: dict[str, Callable[[dict[str, Any]], None]] = field(default_factory=dict)

    def handle(self, kind: JobKind[Any], handler: Callable[[Any], None]) -> None:
        self.handlers[kind.name] = lambda stored: handler(kind.load(stored))

    def every(self, cron: str, kind: JobKind[Nothing], handler: Callable[[], None]) -> None:
        self.handlers[kind.name] = lambda stored: handler()

    def daily(self, kind: JobKind[Nothing], handler: Callable[[], None]) -> None:
        self.handlers[kind.name] = lambda stored: handler()

    def nightly(self, database: Database, run: Run[Occurrence]) -> None:
        self.sweep(database, run, lambda occurrence: nightly.night_of(database, run.kind, occurrence))

    def sweep(self, database: Database, run: Run[Any], night_of: Callable[[Any], Night]) -> None:
        self.handle(run.kind, lambda job: nightly.carry_out(database, run, job, night_of(job)))

    def run(self, name: str, stored: dict[str, Any] | None = None) -> None:
        """Run a job with the arguments that are stored with it."""
        self.handlers[name]({key: value for key, value in (stored or {}).items() if key not in (TRACE, MOMENT)})


class House:
    """Everything around one payments database."""

    database: Database
    provider: WatchedSandbox
    target: str

    def __init__(self, start: Callable[..., grpc.Channel], url: str, people: People) -> None:
        self.url = url
        self.people = people
        self.worker = people.service("policies-worker")
        self.policies = FakePolicies()
        self.quotes = FakeQuotes()
        self.registered = Registered()

        def build(server: Server, database: Database, settings: Settings) -> None:
            self.database = database
            self.target = settings.services["payments"].target
            self.provider = WatchedSandbox(database)
            server.add(billing_pb2_grpc.add_BillingServiceServicer_to_server, BillingServicer(database))
            server.add(invoice_pb2_grpc.add_InvoiceServiceServicer_to_server, InvoiceServicer(database))
            methods = PaymentMethodServicer(database, self.provider.name, lambda token: self.provider.knows(token, 1))
            server.add(payment_method_pb2_grpc.add_PaymentMethodServiceServicer_to_server, methods)
            server.add(refund_pb2_grpc.add_RefundServiceServicer_to_server, RefundServicer(database))
            payments = PaymentServicer(database, self.provider)
            server.add(payment_pb2_grpc.add_PaymentServiceServicer_to_server, payments)
            ledger = LedgerServicer(database, totals.find, earnings.find_unearned_count)
            server.add(ledger_pb2_grpc.add_LedgerServiceServicer_to_server, ledger)
            server.add(delinquency_pb2_grpc.add_DelinquencyServiceServicer_to_server, DelinquencyServicer(database))

        channel = start("payments", url, build)
        self.billing = billing_pb2_grpc.BillingServiceStub(channel)
        self.methods = payment_method_pb2_grpc.PaymentMethodServiceStub(channel)
        self.delinquencies = delinquency_pb2_grpc.DelinquencyServiceStub(channel)
        self.invoices = invoice_pb2_grpc.InvoiceServiceStub(channel)
        self.payments = payment_pb2_grpc.PaymentServiceStub(channel)
        self.refunds = refund_pb2_grpc.RefundServiceStub(channel)
        self.ledger = ledger_pb2_grpc.LedgerServiceStub(channel)
        self.handlers = collection_jobs.Handlers(self.database, self.provider, self.policies)
        billing_jobs.register(self.registered, self.database)  # type: ignore[arg-type]
        collection_jobs.register(self.registered, self.handlers)  # type: ignore[arg-type]
        self.dunning = dunning_jobs.Handlers(self.database, self.policies, self.quotes, payments_store.find_is_open)
        dunning_jobs.register(self.registered, self.dunning, self.database)  # type: ignore[arg-type]
        ledger_jobs.register(self.registered, self.database)  # type: ignore[arg-type]

    def request(self, person: Person, **changes: Any) -> invoice_pb2.OpenBillingRequest:
        """What policies sends for a new policy of somebody."""
        fields: dict[str, Any] = {
            "policy_id": ids.encode("pol", ids.new()),
            "user_id": person.user_id,
            "transaction_id": ids.encode("ptx", ids.new()),
            "plan_code": "annual",
            "installments": 1,
            "start_date": values.date_to_proto(datetime.now(UTC).date() + timedelta(days=7)),
            "premium": premium(1200_00, 204_00, 25_00),
            "issue_time": values.time_to_proto(ISSUED_AT),
            **changes,
        }
        return invoice_pb2.OpenBillingRequest(**fields)

    def open(self, person: Person, **changes: Any) -> invoice_pb2.Billing:
        """Open the billing of a new policy of somebody."""
        return self.invoices.OpenBilling(self.request(person, **changes), metadata=self.worker.metadata())

    def invoice_of(self, person: Person, **changes: Any) -> str:
        """The first invoice of a new policy of somebody."""
        return self.open(person, **changes).installments[0].invoice_id

    def get_invoice(self, person: Person, invoice_id: str) -> invoice_pb2.Invoice:
        return self.invoices.GetInvoice(
            invoice_pb2.GetInvoiceRequest(invoice_id=invoice_id), metadata=person.metadata()
        )

    def pay(
        self,
        person: Person,
        invoice_id: str,
        card: str = "pm_card_ok",
        *,
        key: str = "",
        amount: Money | None = None,
        timeout: float | None = None,
    ) -> payment_pb2.Payment:
        """Pay an invoice."""
        request = payment_pb2.PayInvoiceRequest(
            invoice_id=invoice_id,
            payment_method=card,
            amount=values.money_to_proto(amount) if amount else None,
        )
        metadata = person.metadata(idempotency_key=key or new_key())
        return self.payments.PayInvoice(request, metadata=metadata, timeout=timeout)

    def get_payment(self, person: Person, payment_id: str) -> payment_pb2.Payment:
        return self.payments.GetPayment(
            payment_pb2.GetPaymentRequest(payment_id=payment_id), metadata=person.metadata()
        )

    def confirm(self, person: Person, payment_id: str, key: str = "") -> payment_pb2.Payment:
        """Go on with a payment after its payer acted."""
        metadata = person.metadata(idempotency_key=key) if key else person.metadata()
        return self.payments.ConfirmPayment(payment_pb2.ConfirmPaymentRequest(payment_id=payment_id), metadata=metadata)

    def begin(self, invoice_id: str, now: datetime) -> Payment:
        """The first step of a payment, as a process does it that then dies."""
        with self.database.transaction() as session:
            billed = invoices.lock(session, ids.decode("inv", invoice_id))
            assert billed is not None
            return collecting.begin(session, billed, None, self.provider.name, now)

    def pay_at(self, invoice_id: str, moment: datetime) -> Payment:
        """A payment that was made at some moment."""
        payment = self.begin(invoice_id, moment)
        return self.record(payment.id, collecting.charge(self.provider, payment, "pm_card_ok"), moment)

    def record(self, payment_id: UUID, outcome: Outcome, now: datetime) -> Payment:
        """The last step of a payment."""
        with self.database.transaction() as session:
            return collecting.record(session, payment_id, outcome, now)

    def settle(self, payment_id: UUID, now: datetime, attempt: int = 0) -> Payment:
        """What the job does that looks after open payments."""
        return collecting.settle(self.database, self.provider, payment_id, attempt, now)

    def work(self) -> list[str]:
        """Run every job that may run now, as the worker would; returns their names."""
        done = []
        query = (
            "SELECT id, task_name, args FROM procrastinate_jobs WHERE status = 'todo'"
            " AND coalesce(scheduled_at, now()) <= now() ORDER BY id LIMIT 1"
        )
        while rows := self.rows(query):
            ((job_id, name, arguments),) = rows
            self.registered.run(name, arguments)
            with psycopg.connect(self.url, autocommit=True) as connection:
                connection.execute("UPDATE procrastinate_jobs SET status = 'succeeded' WHERE id = %s", (job_id,))
            done.append(name)
        return done

    def run_dunning(self, now: datetime) -> None:
        """What the nightly run does at some moment, without the jobs that follow from it."""
        self.dunning.learn_product_terms()
        night, after = Night(f"{now:%Y-%m-%d}", now, now), UUID(int=0)
        while True:
            with self.database.transaction() as session:
                accounts = dunning_jobs.list_due(session, night, after, 2)
                look_after = self.dunning.prepare(session, accounts, night)
                for account_id in accounts:
                    look_after(account_id)
            if not accounts:
                return
            after = accounts[-1]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the database says."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(query).fetchall()

    def trial_balance(self, day: date | None = None) -> ledger_pb2.TrialBalance:
        request = ledger_pb2.GetTrialBalanceRequest(as_of_date=values.date_to_proto(day) if day else None)
        return self.ledger.GetTrialBalance(request, metadata=self.people.admin().metadata())

    def check_money(self) -> None:
        """Provider charges = payments = ledger, payment by payment; and the books balance."""
        charged = self.rows("SELECT payment_id, amount, currency FROM sandbox_charges WHERE status = 'charged'")
        paid = self.rows("SELECT id, amount, currency FROM payments WHERE status = 'succeeded'")
        booked = self.rows(
            "SELECT source_id, sum(amount), currency FROM journals JOIN postings ON journal_id = id"
            " WHERE account_code = '1010' AND side = 'debit' AND rule <> 'refund_failed' GROUP BY source_id, currency"
        )
        assert sorted(charged) == sorted(paid)
        assert sorted((ids.decode("pay", source), int(minor), code) for source, minor, code in booked) == sorted(paid)
        settled = self.rows(
            "SELECT invoices.id FROM invoices JOIN payments ON invoice_id = invoices.id AND payments.status ="
            " 'succeeded'"
        )
        assert {*settled} <= {*self.rows("SELECT id FROM invoices WHERE status = 'paid'")}
        assert all(money.units == money.nanos == 0 for money in self.trial_balance().differences)


def premium(net: int, tax: int = 0, fees: int = 0, currency: str = "EUR") -> premium_pb2.Premium:
    """A price with its total."""
    amounts = {"net": net, "tax": tax, "fees": fees, "total": net + tax + fees}
    return premium_pb2.Premium(
        **{name: values.money_to_proto(Money(minor, currency)) for name, minor in amounts.items()}
    )
