"""The kinds of jobs of accounts, and their arguments."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from libs.jobs import JobKind, Nothing


@dataclass(frozen=True, slots=True)
class SendWelcome:
    """The arguments of `SEND_WELCOME`."""

    user_id: UUID


SEND_WELCOME = JobKind("users.send_welcome", SendWelcome, "mailers")
REAP_SESSIONS = JobKind("users.reap_sessions", Nothing)
REAP_KEYS = JobKind("users.reap_idempotency_keys", Nothing)
