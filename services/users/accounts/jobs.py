"""What happens in the background: new customers are welcomed, old sessions are forgotten."""

from __future__ import annotations

from datetime import datetime, timedelta

from libs import clock
from libs.db import Database
from libs.jobs import JobRunner, required
from libs.mail import Mailer
from libs.rpc import idempotency
from services.users.accounts.adapters.letters import welcome
from services.users.accounts.kinds import REAP_KEYS, REAP_SESSIONS, SEND_WELCOME, SendWelcome
from services.users.accounts.store import sessions, users

KEPT = timedelta(days=7)  # after its end, a session's tokens still tell who tried to use them
_AT_ONCE = 500  # sessions in one transaction, so that none takes long


def register(runner: JobRunner, database: Database, mailer: Mailer) -> None:
    """Tell the runner what to do for each kind of job."""

    def send_welcome(job: SendWelcome) -> None:
        with database.reading() as session:
            user = required(users.find(session, job.user_id), "user", job.user_id)
        mailer.send(welcome(user))

    runner.handle(SEND_WELCOME, send_welcome)
    runner.every("17 * * * *", REAP_KEYS, lambda: idempotency.reap(database))
    runner.every("41 * * * *", REAP_SESSIONS, lambda: reap_sessions(database, clock.real_now()))


def reap_sessions(database: Database, now: datetime) -> None:
    """Delete the sessions that ended more than `KEPT` ago, with their refresh tokens."""
    while True:
        with database.transaction() as session:
            if sessions.delete_expired(session, now - KEPT, _AT_ONCE) < _AT_ONCE:
                return
