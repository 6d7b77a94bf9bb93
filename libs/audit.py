"""The audit log: who did what to which thing, before and after, from where, under which trace.

An entry is written in the transaction of the fact, so that neither is ever there without the other. What failed has no
transaction; its entry gets one of its own. The table takes additions only: the service's role has no right to change
or remove a row, and a trigger refuses it even to those who have every right.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from libs import clock, ids
from libs.db import Database
from libs.errors import DomainError
from libs.identity.secrets import is_secret
from libs.rpc import calls
from libs.telemetry import traces

log = structlog.get_logger("audit")

OPERATOR = "operator"  # who runs a command on the machine
SYSTEM = "system"  # what happens by itself: jobs

_SLACK = timedelta(seconds=5)  # an id is drawn a little before its entry is made

_events = sa.Table(
    "audit_events",
    sa.MetaData(),
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("at", sa.DateTime(timezone=True)),
    sa.Column("action", sa.Text),
    sa.Column("actor", sa.Text),
    sa.Column("resource", sa.Text),
    sa.Column("before", JSONB(none_as_null=True)),
    sa.Column("after", JSONB(none_as_null=True)),
    sa.Column("details", JSONB),
    sa.Column("client_address", sa.Text),
    sa.Column("trace_id", sa.Text),
)
_ADD = _events.insert()


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries are asked for; what is empty lets everything pass."""

    actor: str = ""
    resource: str = ""
    action: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One entry."""

    id: UUID
    at: datetime
    action: str
    actor: str
    resource: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    details: dict[str, Any]
    client_address: str
    trace_id: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be added: what was done to which thing. Who did it is who calls."""

    action: str
    resource: str
    details: Mapping[str, object]
    before: Mapping[str, object] | None = None
    after: Mapping[str, object] | None = None


def record(
    session: Session,
    action: str,
    resource: str,
    *,
    actor: str = "",
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
    **details: object,
) -> None:
    """Add an entry inside the session's transaction; the log has a line of it as soon as that is committed.

    Who did it is who calls, unless `actor` says so.
    """
    record_all(session, [Entry(action, resource, details, before, after)], actor=actor)


def record_all(session: Session, entries: Sequence[Entry], *, actor: str = "") -> None:
    """Add entries as `record` does, in their order, all by one statement."""
    if not entries:
        return
    call, at = calls.answering(), clock.now()
    who: dict[str, object] = {
        "actor": actor or (call.caller.subject if call else SYSTEM),
        "client_address": call.client_address if call else "",
    }
    rows = []
    for entry in entries:
        for values in (entry.before, entry.after, entry.details):
            _check_harmless(entry.action, values or {})
        rows.append(
            {
                "id": ids.new(),
                "at": at,
                "action": entry.action,
                "resource": entry.resource,
                "before": _plain(entry.before),
                "after": _plain(entry.after),
                "details": _plain(entry.details),
                "trace_id": traces.current_trace_id(),
                **who,
            }
        )
    session.execute(_ADD, rows)

    def tell(_: Session) -> None:
        for entry in entries:
            log.info(entry.action, **{**entry.details, **who, "resource": entry.resource})

    sa.event.listen(session, "after_commit", tell, once=True)


def record_alone(database: Database, action: str, resource: str, **entry: Any) -> None:
    """Add an entry of something that failed, in a transaction of its own. If even that fails, the log has it.

    `entry` is what `record` takes.
    """
    try:
        with database.transaction() as session:
            record(session, action, resource, **entry)
    except (DomainError, sa.exc.DBAPIError) as error:
        log.error("audit event not stored", action=action, resource=resource, error=type(error).__name__)


def list_events(session: Session, criteria: Filter, after: UUID | None, limit: int) -> Sequence[Event]:
    """Entries, newest first, behind the one whose id is `after`."""
    query = sa.select(_events).order_by(_events.c.id.desc()).limit(limit)
    for column, value in (
        (_events.c.actor, criteria.actor), (_events.c.resource, criteria.resource), (_events.c.action, criteria.action),
    ):  # fmt: skip
        if value:
            query = query.where(column == value)
    # Ids are in the order of time: bounds on them make the search short, and the exact times decide.
    if criteria.since is not None:
        query = query.where(_events.c.at >= criteria.since, _events.c.id >= ids.first_of(criteria.since - _SLACK))
    if criteria.until is not None:
        query = query.where(_events.c.at < criteria.until, _events.c.id < ids.first_of(criteria.until + _SLACK))
    if after is not None:
        query = query.where(_events.c.id < after)
    return [Event(*row) for row in session.execute(query)]


def _check_harmless(action: str, values: Mapping[str, object]) -> None:
    """Fail on what would be a secret by its name: entries are never removed again."""
    for name in values:
        if is_secret(name):
            raise ValueError(f"the audit event {action} would keep {name}")


def _plain(values: Mapping[str, object] | None) -> dict[str, Any] | None:
    """Values as JSON has them; what it has no form for becomes text."""
    if values is None:
        return None
    plain: dict[str, Any] = json.loads(json.dumps(dict(values), default=str))
    return plain
