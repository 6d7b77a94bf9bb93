"""Saving changes of customers, in the caller's transaction."""

from __future__ import annotations

from sqlalchemy.orm import Session

from libs import audit, ids
from libs.rpc import calls
from libs.telemetry import traces
from services.users.people.rules.customer import Customer, kept_changes
from services.users.people.store import customers


def save(session: Session, action: str, before: Customer, after: Customer, actor: str = "") -> None:
    """Save a customer with what changed; nothing when nothing did. Without an `actor` who calls did it.

    The values are kept with the customer, where they can be forgotten, and not in the audit log.
    """
    if after is before:
        return
    customers.save(session, after)
    old, new = kept_changes(before, after)
    customers.add_history(session, after, actor or calls.caller().subject, old, new, traces.current_trace_id())
    audit.record(session, action, ids.encode("cus", after.id), actor=actor, fields=sorted(new))
