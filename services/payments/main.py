"""The payments service: `python -m services.payments.main serve|work|migrate`."""

from __future__ import annotations

import sys

import services.payments
from bazaruto.payments.v1 import (
    audit_pb2_grpc,
    billing_pb2_grpc,
    delinquency_pb2_grpc,
    invoice_pb2_grpc,
    ledger_pb2_grpc,
    payment_method_pb2_grpc,
    payment_pb2_grpc,
    refund_pb2_grpc,
)
from libs import process
from libs.db import Database, migrations
from libs.identity.service_tokens import ServiceTokens
from libs.identity.verification import TokenVerifier
from libs.jobs import JobRunner
from libs.rpc.client import connect
from libs.rpc.server import Server
from services.payments.billing import jobs as billing_jobs
from services.payments.billing.jobs import dunning as dunning_jobs
from services.payments.billing.servicer.billing import BillingServicer
from services.payments.billing.servicer.delinquencies import DelinquencyServicer
from services.payments.billing.servicer.invoices import InvoiceServicer
from services.payments.billing.servicer.payment_methods import PaymentMethodServicer
from services.payments.billing.servicer.refunds import RefundServicer
from services.payments.billing.store import earnings, totals
from services.payments.clients import Policies, Quotes, Users
from services.payments.collection import jobs as collection_jobs
from services.payments.collection.adapters.sandbox import Sandbox
from services.payments.collection.flows import watching
from services.payments.collection.flows.collecting import PROVIDER_SECONDS
from services.payments.collection.rules.provider import Provider, ProviderMissing
from services.payments.collection.servicer import PaymentServicer
from services.payments.collection.store import payments as payments_store
from services.payments.ledger import jobs as ledger_jobs
from services.payments.ledger.servicer import LedgerServicer
from services.payments.settings import PaymentsSettings

NAME = "payments"


def serve(settings: PaymentsSettings) -> None:
    """Answer calls."""
    tokens = ServiceTokens(settings.auth, NAME)
    own = settings.services[NAME]
    database = Database(own.db_url, settings.db, NAME, own.db_replica_url)
    users = Users(connect(settings.services["users"].target, tokens))
    server = Server(NAME, settings, database, TokenVerifier(settings.auth, users.public_keys, users.ended_sessions))
    server.add(billing_pb2_grpc.add_BillingServiceServicer_to_server, BillingServicer(database))
    server.add(invoice_pb2_grpc.add_InvoiceServiceServicer_to_server, InvoiceServicer(database))
    provider = choose_provider(settings, database)
    methods = PaymentMethodServicer(database, provider.name, lambda token: provider.knows(token, PROVIDER_SECONDS))
    server.add(payment_method_pb2_grpc.add_PaymentMethodServiceServicer_to_server, methods)
    server.add(refund_pb2_grpc.add_RefundServiceServicer_to_server, RefundServicer(database))
    payments = PaymentServicer(database, provider)
    server.add(payment_pb2_grpc.add_PaymentServiceServicer_to_server, payments)
    server.add(
        ledger_pb2_grpc.add_LedgerServiceServicer_to_server,
        LedgerServicer(database, totals.find, earnings.find_unearned_count),
    )
    server.add(delinquency_pb2_grpc.add_DelinquencyServiceServicer_to_server, DelinquencyServicer(database))
    server.keep_audit_log(audit_pb2_grpc.add_PaymentAuditServiceServicer_to_server)
    server.run()


def work(settings: PaymentsSettings) -> None:
    """Work on jobs."""
    tokens = ServiceTokens(settings.auth, f"{NAME}-worker")
    database = Database(settings.services[NAME].db_url, settings.db, f"{NAME}-worker")
    database.open()
    runner = JobRunner(database.url, settings.jobs, f"{NAME}-worker")
    policies = Policies(connect(settings.services["policies"].target, tokens))
    quotes = Quotes(connect(settings.services["quotes"].target, tokens))
    billing_jobs.register(runner, database)
    dunning_jobs.register(
        runner, dunning_jobs.Handlers(database, policies, quotes, payments_store.find_is_open), database
    )
    billing_jobs.register_reconciling(runner, database, policies.sum_written)
    collection_jobs.register(runner, collection_jobs.Handlers(database, choose_provider(settings, database), policies))
    ledger_jobs.register(runner, database)
    with watching.shown(database):
        runner.run()
    database.close()


def choose_provider(settings: PaymentsSettings, database: Database) -> Provider:
    """The provider that is configured; `ProviderMissing` in production when none is."""
    if settings.environment == "production" and settings.payments.provider != Sandbox.name:
        raise ProviderMissing
    return Sandbox(database)


def migrate(settings: PaymentsSettings) -> None:
    """Bring the database to the revision that this program needs."""
    migrations.upgrade(settings.services[NAME].db_url, services.payments)


if __name__ == "__main__":
    process.main(NAME, sys.argv, PaymentsSettings, serve=serve, work=work, migrate=migrate)
