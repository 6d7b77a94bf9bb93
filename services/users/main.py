"""The users service: `python -m services.users.main serve|work|migrate|create-admin`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import TextIO

import services.users
from bazaruto.users.v1 import audit_pb2_grpc, auth_pb2_grpc, customer_pb2_grpc, partner_pb2_grpc, user_pb2_grpc
from libs import clock, process
from libs.config import Settings
from libs.db import Database, migrations
from libs.identity.service_tokens import ServiceTokens
from libs.identity.verification import TokenVerifier
from libs.jobs import JobRunner
from libs.mail import Mailer
from libs.redis import Link
from libs.rpc.client import connect
from libs.rpc.server import Server
from services.users.accounts import jobs
from services.users.accounts.adapters import caching
from services.users.accounts.adapters.hashing import Hasher
from services.users.accounts.adapters.signing import SigningKeys
from services.users.accounts.adapters.throttling import Throttle
from services.users.accounts.flows import appointing, ending
from services.users.accounts.flows.logging_in import Authenticator
from services.users.accounts.flows.rights import Rights
from services.users.accounts.servicer.auth import AuthServicer
from services.users.accounts.servicer.users import UserServicer
from services.users.clients import Policies, Quotes
from services.users.partners.flows import selling
from services.users.partners.servicer import PartnerServicer
from services.users.people import jobs as people_jobs
from services.users.people.adapters.sealing import FieldKeys
from services.users.people.flows import making
from services.users.people.servicer import CustomerServicer
from services.users.people.store import links

NAME = "users"


def serve(settings: Settings) -> None:
    """Answer calls. Tokens are checked with the very keys that sign them."""
    keys = SigningKeys.load(settings.auth.key_folder)
    field_keys = FieldKeys.load(settings.secrets.field_keys)
    own = settings.services[NAME]
    quotes = Quotes(connect(settings.services["quotes"].target, ServiceTokens(settings.auth, NAME)))
    database = Database(own.db_url, settings.db, NAME, own.db_replica_url)
    hasher = Hasher()
    hasher.prepare()
    link = Link(settings.redis.url) if settings.redis.url else None
    throttle = Throttle(link)
    authenticator = Authenticator(database, hasher, throttle, settings.auth.refresh_token_lifetime)
    users = UserServicer(database, hasher, caching.choose(settings, link), throttle, making.make_of_user)
    ended_sessions = partial(ending.list_ended, database, settings.auth.access_token_lifetime)
    server = Server(NAME, settings, database, TokenVerifier(settings.auth, lambda: keys.public, ended_sessions))
    server.add(user_pb2_grpc.add_UserServiceServicer_to_server, users)
    rights = Rights(database, links.find_parties, selling.membership_of)
    auth = AuthServicer(database, authenticator, rights, keys, settings.auth)
    server.add(auth_pb2_grpc.add_AuthServiceServicer_to_server, auth)
    server.add(customer_pb2_grpc.add_CustomerServiceServicer_to_server, CustomerServicer(database, field_keys))
    partners = PartnerServicer(database, quotes.has_product)
    server.add(partner_pb2_grpc.add_PartnerServiceServicer_to_server, partners)
    server.keep_audit_log(audit_pb2_grpc.add_UserAuditServiceServicer_to_server)
    server.run()


def work(settings: Settings) -> None:
    """Work on jobs."""
    database = Database(settings.services[NAME].db_url, settings.db, f"{NAME}-worker")
    database.open()
    runner = JobRunner(database.url, settings.jobs, f"{NAME}-worker")
    jobs.register(runner, database, Mailer(settings.mail))
    policies = Policies(connect(settings.services["policies"].target, ServiceTokens(settings.auth, f"{NAME}-worker")))
    people_jobs.register(runner, database, policies)
    runner.run()
    database.close()


def migrate(settings: Settings) -> None:
    """Bring the database to the revision that this program needs."""
    migrations.upgrade(settings.services[NAME].db_url, services.users)


def create_admin(settings: Settings, output: TextIO) -> None:
    """Make an admin of what standard input says; `output` gets who it is."""
    url = settings.services[NAME].db_url
    appointing.appoint(url, settings.db, sys.stdin.read(), output, clock.now())


if __name__ == "__main__":
    output = appointing.redirect_log() if sys.argv[1:] == ["create-admin"] else sys.stdout
    # A name that no keyword can have.
    verbs: dict[str, Callable[[Settings], None]] = {"create-admin": partial(create_admin, output=output)}
    process.main(NAME, sys.argv, Settings, serve=serve, work=work, migrate=migrate, **verbs)
