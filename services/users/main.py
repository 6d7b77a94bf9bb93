"""The users service: `python -m services.users.main serve|work|migrate|create-admin`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import TextIO

import services.users
from bazaruto.users.v1 import audit_pb2_grpc, auth_pb2_grpc, user_pb2_grpc
from libs import ids, process
from libs.config import Settings
from libs.db import Database, migrations
from libs.errors import DomainError
from libs.identity.verification import TokenVerifier
from libs.jobs import JobRunner
from libs.mail import Mailer
from libs.redis import Link
from libs.rpc.server import Server
from services.users.accounts import jobs
from services.users.accounts.adapters import caching
from services.users.accounts.adapters.hashing import Hasher
from services.users.accounts.adapters.signing import SigningKeys
from services.users.accounts.adapters.throttling import Throttle
from services.users.accounts.flows import registering
from services.users.accounts.rules.user import User
from services.users.accounts.servicer.users import AuthServicer, UserServicer

NAME = "users"


def serve(settings: Settings) -> None:
    """Answer calls. Tokens are checked with the very keys that sign them."""
    keys = SigningKeys.load(settings.auth.key_folder)
    own = settings.services[NAME]
    database = Database(own.db_url, settings.db, NAME, own.db_replica_url)
    hasher = Hasher()
    hasher.prepare()
    link = Link(settings.redis.url) if settings.redis.url else None
    users = caching.choose(settings, link)
    server = Server(NAME, settings, database, TokenVerifier(settings.auth, lambda: keys.public))
    throttle = Throttle(link)
    server.add(user_pb2_grpc.add_UserServiceServicer_to_server, UserServicer(database, hasher, users, throttle))
    auth = AuthServicer(database, hasher, keys, settings.auth, throttle)
    server.add(auth_pb2_grpc.add_AuthServiceServicer_to_server, auth)
    server.keep_audit_log(audit_pb2_grpc.add_UserAuditServiceServicer_to_server)
    server.run()


def work(settings: Settings) -> None:
    """Work on jobs."""
    database = Database(settings.services[NAME].db_url, settings.db, f"{NAME}-worker")
    database.open()
    runner = JobRunner(database.url, settings.jobs, f"{NAME}-worker")
    jobs.register(runner, database, Mailer(settings.mail))
    runner.run()
    database.close()


def migrate(settings: Settings) -> None:
    """Bring the database to the revision that this program needs."""
    migrations.upgrade(settings.services[NAME].db_url, services.users)


def create_admin(settings: Settings, result: TextIO) -> None:
    """Make an admin of `{"email", "full_name", "password"}` on standard input.

    `result` gets `{"user_id"}`, or `{"error"}` when nobody was made.
    """
    try:
        admin = _make_admin(settings, _read_admin(sys.stdin.read()))
    except ValueError as error:
        print(json.dumps({"error": str(error)}), file=result, flush=True)
        raise
    print(json.dumps({"user_id": ids.encode("usr", admin.id)}), file=result, flush=True)


def _make_admin(settings: Settings, wanted: dict[str, str]) -> User:
    """`ValueError` when it is refused."""
    database = Database(settings.services[NAME].db_url, settings.db, f"{NAME}-create-admin")
    database.open()
    try:
        return registering.create_admin(database, now=datetime.now(UTC), **wanted)
    except DomainError as error:
        raise ValueError(f"no admin was created: {error.message}") from error
    finally:
        database.close()


def _read_admin(text: str) -> dict[str, str]:
    """What the caller of `create-admin` wants. `ValueError` when something is missing or too much."""
    try:
        wanted = json.loads(text)
    except json.JSONDecodeError:
        wanted = None
    fields = {"email", "full_name", "password"}
    if not isinstance(wanted, dict) or set(wanted) != fields or not all(isinstance(v, str) for v in wanted.values()):
        raise ValueError(f"standard input must be a JSON object of the strings {', '.join(sorted(fields))}")
    return wanted


def _standard_output_for_result() -> TextIO:
    """Standard output for a result alone: what else would go there, the log, goes to standard error from now on."""
    result = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return result


if __name__ == "__main__":
    result = _standard_output_for_result() if sys.argv[1:] == ["create-admin"] else sys.stdout
    # A name that no keyword can have.
    verbs: dict[str, Callable[[Settings], None]] = {"create-admin": partial(create_admin, result=result)}
    process.main(NAME, sys.argv, Settings, serve=serve, work=work, migrate=migrate, **verbs)
