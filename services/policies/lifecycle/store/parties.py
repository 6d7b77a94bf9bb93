"""Who held a policy, owed for it and served it, append-only; and what users said of a customer last."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.policies.lifecycle.rules.parties import Handover, Parties
from services.policies.lifecycle.rules.transaction import Transaction
from services.policies.lifecycle.store.rows import HandoverRow, PartyVersionRow, PolicyRow

_handovers = HandoverRow.__table__
_versions = PartyVersionRow.__table__
_ADD = sa.insert(_handovers)
_OF_POLICY = sa.select(*_handovers.c).where(_handovers.c.policy_id == sa.bindparam("policy_id"))
_NEXT = _OF_POLICY.where(_handovers.c.sequence > sa.bindparam("sequence")).order_by(_handovers.c.sequence).limit(1)
_NEXT_AS_KNOWN = (
    _OF_POLICY.where(_handovers.c.issued_at > sa.bindparam("known_at")).order_by(_handovers.c.sequence).limit(1)
)
_LAST_DAY = sa.select(sa.func.max(_handovers.c.effective_on)).where(
    _handovers.c.policy_id == sa.bindparam("policy_id"), _handovers.c.reason == sa.bindparam("reason")
)
_KEEP_VERSION = insert(_versions)
_KEEP_VERSION = _KEEP_VERSION.on_conflict_do_update(
    index_elements=["customer_id"],
    set_={name: _KEEP_VERSION.excluded[name] for name in ("version", "partner_id", "since")},
    where=_versions.c.version < _KEEP_VERSION.excluded.version,
)
_VERSION = sa.select(_versions.c.version).where(_versions.c.customer_id == sa.bindparam("customer_id"))
_VERSION_KEPT = _VERSION.with_for_update(read=True)
_HELD = sa.select(PolicyRow.__table__.c.id).where(PolicyRow.__table__.c.user_id == sa.bindparam("customer_id"))


def add(session: Session, policy_id: UUID, transaction: Transaction, handover: Handover) -> None:
    """Save a change of parties beside its transaction."""
    session.execute(_ADD, row_from_handover(policy_id, transaction, handover))


def find_before_next(session: Session, policy_id: UUID, sequence: int) -> Parties | None:
    """The parties with the transaction of that sequence; None where they are those of now."""
    row = session.execute(_NEXT, {"policy_id": policy_id, "sequence": sequence}).one_or_none()
    return parties_from_row(row) if row else None


def find_as_known(session: Session, policy_id: UUID, known_at: datetime) -> Parties | None:
    """The parties as they were known at a moment; None where they are those of now."""
    row = session.execute(_NEXT_AS_KNOWN, {"policy_id": policy_id, "known_at": known_at}).one_or_none()
    return parties_from_row(row) if row else None


def find_last_day(session: Session, policy_id: UUID, reason: str) -> date | None:
    """The last day from which another party of a kind counts; None where it is the first one."""
    day: date | None = session.scalar(_LAST_DAY, {"policy_id": policy_id, "reason": reason})
    return day


def save_version(session: Session, customer_id: UUID, version: int, partner_id: UUID | None, since: date) -> bool:
    """Keep what users says of a customer. False, keeping nothing, when a newer version is known."""
    named = {"customer_id": customer_id, "version": version, "partner_id": partner_id, "since": since}
    session.execute(_KEEP_VERSION, named)
    return session.scalar(_VERSION, {"customer_id": customer_id}) == version


def lock_version(session: Session, customer_id: UUID) -> int | None:
    """The newest version of a customer that is known, which stays the newest until the transaction ends."""
    return session.scalar(_VERSION_KEPT, {"customer_id": customer_id})


def list_held(session: Session, customer_id: UUID, after: UUID | None, limit: int) -> list[UUID]:
    """The policies of a customer, newest first, behind one of them."""
    query = _HELD.order_by(PolicyRow.__table__.c.id.desc()).limit(limit)
    if after is not None:
        query = query.where(PolicyRow.__table__.c.id < after)
    return list(session.scalars(query, {"customer_id": customer_id}))


def row_from_handover(policy_id: UUID, transaction: Transaction, handover: Handover) -> dict[str, Any]:
    """The row of a change of parties."""
    before, after = handover.before, handover.after
    return {
        "transaction_id": transaction.id,
        "policy_id": policy_id,
        "sequence": transaction.sequence,
        "issued_at": transaction.issued_at,
        "effective_on": handover.effective_on,
        "reason": handover.reason,
        "old_holder_id": before.holder,
        "old_payer_id": before.payer,
        "old_partner_id": before.partner,
        "holder_id": after.holder,
        "payer_id": after.payer,
        "partner_id": after.partner,
        "consent": handover.consent,
    }


def parties_from_row(row: Any) -> Parties:
    """The parties before a change."""
    return Parties(row.old_holder_id, row.old_payer_id, row.old_partner_id)
