"""The policies service: `python -m services.policies.main serve|work|migrate`."""

from __future__ import annotations

import sys

import services.policies
from bazaruto.policies.v1 import approval_pb2_grpc, audit_pb2_grpc, renewal_pb2_grpc
from bazaruto.policies.v1 import policy_pb2_grpc as rpc_pb
from libs import process
from libs.config import Settings
from libs.db import Database, migrations
from libs.identity.service_tokens import ServiceTokens
from libs.identity.verification import TokenVerifier
from libs.jobs import JobRunner
from libs.rpc.client import connect
from libs.rpc.server import Server
from services.policies.clients import Payments, Quotes, Users
from services.policies.lifecycle import jobs
from services.policies.lifecycle.servicer.approvals import ApprovalServicer
from services.policies.lifecycle.servicer.policies import PolicyServicer
from services.policies.lifecycle.servicer.renewals import RenewalServicer

NAME = "policies"


def serve(settings: Settings) -> None:
    """Answer calls."""
    tokens = ServiceTokens(settings.auth, NAME)
    own = settings.services[NAME]
    database = Database(own.db_url, settings.db, NAME, own.db_replica_url)
    quotes = Quotes(connect(settings.services["quotes"].target, tokens))
    users = Users(connect(settings.services["users"].target, tokens))
    payments = Payments(connect(settings.services["payments"].target, tokens))
    server = Server(NAME, settings, database, TokenVerifier(settings.auth, users.public_keys, users.ended_sessions))
    parts = (database, quotes, users, payments)
    server.add(rpc_pb.add_PolicyServiceServicer_to_server, PolicyServicer(*parts))
    server.add(approval_pb2_grpc.add_PolicyApprovalServiceServicer_to_server, ApprovalServicer(*parts))
    server.add(renewal_pb2_grpc.add_RenewalServiceServicer_to_server, RenewalServicer(*parts))
    server.keep_audit_log(audit_pb2_grpc.add_PolicyAuditServiceServicer_to_server)
    server.run()


def work(settings: Settings) -> None:
    """Work on jobs."""
    tokens = ServiceTokens(settings.auth, f"{NAME}-worker")
    database = Database(settings.services[NAME].db_url, settings.db, f"{NAME}-worker")
    database.open()
    runner = JobRunner(database.url, settings.jobs, f"{NAME}-worker")
    quotes = Quotes(connect(settings.services["quotes"].target, tokens))
    payments = Payments(connect(settings.services["payments"].target, tokens))
    jobs.register(runner, database, quotes, payments)
    runner.run()
    database.close()


def migrate(settings: Settings) -> None:
    """Bring the database to the revision that this program needs."""
    migrations.upgrade(settings.services[NAME].db_url, services.policies)


if __name__ == "__main__":
    process.main(NAME, sys.argv, Settings, serve=serve, work=work, migrate=migrate)
