"""Making an admin by a command: the first one cannot be made by a call."""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime
from typing import TextIO

from libs import ids
from libs.config import DbSettings
from libs.db import Database
from libs.errors import DomainError
from services.users.accounts.flows import registering
from services.users.accounts.rules.user import User

_FIELDS = frozenset({"email", "full_name", "password"})


def appoint(url: str, settings: DbSettings, request: str, output: TextIO, now: datetime) -> None:
    """Make an admin of `{"email", "full_name", "password"}` in the database at `url`.

    `output` gets `{"user_id"}`, or `{"error"}` when nobody was made: then `ValueError`.
    """
    try:
        admin = _make_admin(url, settings, read_request(request), now)
    except ValueError as error:
        print(json.dumps({"error": str(error)}), file=output, flush=True)
        raise
    print(json.dumps({"user_id": ids.encode("usr", admin.id)}), file=output, flush=True)


def read_request(text: str) -> dict[str, str]:
    """The fields of a request. `ValueError` when something is missing or too much."""
    try:
        fields = json.loads(text)
    except json.JSONDecodeError:
        fields = None
    if not isinstance(fields, dict) or set(fields) != _FIELDS or not all(isinstance(v, str) for v in fields.values()):
        raise ValueError(f"standard input must be a JSON object of the strings {', '.join(sorted(_FIELDS))}")
    return fields


def redirect_log() -> TextIO:
    """Standard output for the answer alone: what else would go there, the log, goes to standard error from now on."""
    output = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return output


def _make_admin(url: str, settings: DbSettings, fields: dict[str, str], now: datetime) -> User:
    """`ValueError` when it is refused."""
    database = Database(url, settings, "users-create-admin")
    database.open()
    try:
        return registering.create_admin(database, now=now, **fields)
    except DomainError as error:
        raise ValueError(f"no admin was created: {error.message}") from error
    finally:
        database.close()
