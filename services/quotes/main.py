"""The quotes service: `python -m services.quotes.main serve|work|migrate`."""

from __future__ import annotations

import sys

import services.quotes
from bazaruto.quotes.v1 import audit_pb2_grpc
from bazaruto.quotes.v1 import product_pb2_grpc as products_rpc
from bazaruto.quotes.v1 import quote_pb2_grpc as rpc_pb
from bazaruto.quotes.v1 import rate_change_pb2_grpc as rate_changes_rpc
from libs import clock, process
from libs.config import Settings
from libs.db import Database, migrations
from libs.identity.service_tokens import ServiceTokens
from libs.identity.verification import TokenVerifier
from libs.jobs import JobRunner
from libs.rpc.client import connect
from libs.rpc.server import Server
from services.quotes.catalogue.flows import publishing
from services.quotes.catalogue.flows.offering import Catalogue
from services.quotes.catalogue.servicer import ProductServicer
from services.quotes.clients import Users
from services.quotes.impact import jobs as impact_jobs
from services.quotes.impact.servicer import RateChangeServicer
from services.quotes.quoting import jobs
from services.quotes.quoting.flows.calculating import Calculators
from services.quotes.quoting.servicer.quotes import QuoteServicer
from services.quotes.rating.rules import golden

NAME = "quotes"


def serve(settings: Settings) -> None:
    """Answer calls."""
    tokens = ServiceTokens(settings.auth, NAME)
    own = settings.services[NAME]
    database = Database(own.db_url, settings.db, NAME, own.db_replica_url)
    users = Users(connect(settings.services["users"].target, tokens))
    calculators = Calculators()
    catalogue = Catalogue(database, calculators.prepare)
    server = Server(NAME, settings, database, TokenVerifier(settings.auth, users.public_keys, users.ended_sessions))
    server.add(products_rpc.add_ProductServiceServicer_to_server, ProductServicer(database, catalogue, golden.check))
    server.add(
        rpc_pb.add_QuoteServiceServicer_to_server, QuoteServicer(database, catalogue, calculators, users.is_underwriter)
    )
    server.add(rate_changes_rpc.add_RateChangeServiceServicer_to_server, RateChangeServicer(database))
    server.keep_audit_log(audit_pb2_grpc.add_QuoteAuditServiceServicer_to_server)
    server.run()


def work(settings: Settings) -> None:
    """Work on jobs."""
    database = Database(settings.services[NAME].db_url, settings.db, f"{NAME}-worker")
    database.open()
    runner = JobRunner(database.url, settings.jobs, f"{NAME}-worker")
    calculators = Calculators()
    jobs.register(runner, database, Catalogue(database, calculators.prepare), calculators)
    impact_jobs.register(runner, database)
    runner.run()
    database.close()


def migrate(settings: Settings) -> None:
    """Bring the database to the revision that this program needs, and publish the products that come with it."""
    migrations.upgrade(settings.services[NAME].db_url, services.quotes)
    database = Database(settings.services[NAME].db_url, settings.db, f"{NAME}-migrate")
    database.open()
    try:
        with database.transaction() as session:
            publishing.publish(session, clock.now())
    finally:
        database.close()


if __name__ == "__main__":
    process.main(NAME, sys.argv, Settings, serve=serve, work=work, migrate=migrate)
