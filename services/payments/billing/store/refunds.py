"""Refunds with their parts, and what of payments can still be paid back."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from libs.db.scoping import scoped
from libs.identity.scopes import Scope
from libs.money import Money
from services.payments.billing.rules.refund import (
    EXPIRED,
    UNSENT,
    Captured,
    Part,
    PartState,
    Recallable,
    Refund,
    State,
)
from services.payments.billing.store.rows import RefundPartRow, RefundRow

_refunds = RefundRow.__table__
_parts = RefundPartRow.__table__
_ALL = sa.select(*_refunds.c)
_BY_ID = _ALL.where(_refunds.c.id == sa.bindparam("id"))
_ADD = sa.insert(_refunds)
_SAVE = sa.update(_refunds).where(_refunds.c.id == sa.bindparam("key"))
_PARTS = sa.select(*_parts.c).order_by(_parts.c.attempt, _parts.c.payment_id.desc())
_SAVE_PART = insert(_parts).on_conflict_do_update(
    index_elements=["id"],
    set_={
        name: getattr(insert(_parts).excluded, name)
        for name in ("status", "provider_reference", "failure_code", "sent_at", "completed_at")
    },
)
# What a payment collected is what it settled and what of it became credit; what failed may be sent again. Newest first;
# a payment is left out whose method is known to be no more.
_CAPTURED = sa.text("""
    SELECT payment_id, sum(amount)::bigint AS left FROM (
        SELECT payment_id, allocations.amount FROM allocations JOIN invoices ON invoices.id = invoice_id
            WHERE policy_id = :account_id AND payment_id IS NOT NULL
        UNION ALL
        SELECT payment_id, amount FROM credits WHERE account_id = :account_id AND payment_id IS NOT NULL
        UNION ALL
        SELECT payment_id, -part.amount FROM refund_parts AS part JOIN refunds ON refunds.id = refund_id
            WHERE account_id = :account_id AND part.status NOT IN ('failed', 'returned')
        UNION ALL
        SELECT payment_id, -part.amount FROM refund_parts AS part JOIN refunds ON refunds.id = refund_id
            WHERE account_id = :account_id AND part.status = 'failed' AND NOT EXISTS (
                SELECT FROM refund_parts AS later WHERE later.refund_id = part.refund_id
                    AND later.payment_id = part.payment_id AND later.attempt > part.attempt
            )
    ) AS moved
    WHERE NOT EXISTS (
        SELECT FROM refund_parts AS part
            WHERE part.payment_id = moved.payment_id AND part.failure_code = :expired
    )
    GROUP BY payment_id HAVING sum(amount) > 0 ORDER BY payment_id DESC
""")


def find(session: Session, refund_id: UUID) -> Refund | None:
    """The refund as it stands."""
    return _with_parts(session, session.execute(_BY_ID, {"id": refund_id}).one_or_none())


def lock(session: Session, refund_id: UUID) -> Refund | None:
    """The refund as it stands, kept from other changes until the transaction ends.

    Whoever changes the credit of its account, too, locks the account first.
    """
    return _with_parts(session, session.execute(_BY_ID.with_for_update(), {"id": refund_id}).one_or_none())


def find_of_part(session: Session, part_id: UUID) -> UUID | None:
    """The refund that a part belongs to."""
    return session.scalar(sa.select(_parts.c.refund_id).where(_parts.c.id == part_id))


def find_oldest_sent(session: Session) -> datetime | None:
    """When the oldest part was sent whose end is not known; None where there is none."""
    oldest = sa.select(sa.func.min(RefundPartRow.sent_at)).where(RefundPartRow.status == PartState.SENT)
    return session.scalar(oldest)


def list_of(
    session: Session,
    scope: Scope,
    account_id: UUID | None,
    states: Collection[State],
    after: UUID | None,
    limit: int,
) -> Sequence[Refund]:
    """The refunds of a scope, newest first, behind the one whose id is `after`; no states means all."""
    query = scoped(_ALL, scope, owner=_refunds.c.user_id, partner=_refunds.c.partner_id)
    query = query.order_by(_refunds.c.id.desc()).limit(limit)
    if account_id is not None:
        query = query.where(_refunds.c.account_id == account_id)
    if states:
        query = query.where(_refunds.c.status.in_(states))
    if after is not None:
        query = query.where(_refunds.c.id < after)
    rows = session.execute(query).all()
    parts = _parts_of(session, [row.id for row in rows])
    return [refund_from_row(row, parts[row.id]) for row in rows]


def list_recallable(session: Session, account_id: UUID) -> Sequence[Recallable]:
    """What transactions had paid out of an account and was not sent, oldest first."""
    query = (
        sa.select(_refunds.c.id, sa.func.sum(_parts.c.amount), _refunds.c.not_before)
        .join(_parts, _parts.c.refund_id == _refunds.c.id)
        .where(
            _refunds.c.account_id == account_id,
            _refunds.c.transaction_id.is_not(None),
            _refunds.c.status.in_(UNSENT),
            _parts.c.status == PartState.WAITING,
        )
        .group_by(_refunds.c.id)
        .order_by(_refunds.c.id)
    )
    return [Recallable(row[0], int(row[1]), row[2]) for row in session.execute(query)]


def list_captured(session: Session, account_id: UUID) -> Sequence[Captured]:
    """The payments of an account of which something can be paid back, newest first."""
    rows = session.execute(_CAPTURED, {"account_id": account_id, "expired": EXPIRED})
    return [Captured(row.payment_id, int(row.left)) for row in rows]


def find_refundable(session: Session, account_id: UUID) -> int:
    """What can be paid back of all payments of an account, in minor units."""
    return sum(payment.left for payment in list_captured(session, account_id))


def find_refunded(session: Session, payment_ids: Collection[UUID]) -> Mapping[UUID, int]:
    """What of payments was paid back, in minor units; none of those of which nothing was."""
    query = sa.select(_parts.c.payment_id, sa.func.sum(_parts.c.amount)).group_by(_parts.c.payment_id)
    rows = session.execute(query.where(_parts.c.payment_id.in_(payment_ids), _parts.c.status == PartState.SUCCEEDED))
    return {payment_id: int(minor) for payment_id, minor in rows}


def add(session: Session, refund: Refund) -> None:
    """Save a new refund with its parts. The trigger `refunds_not_above_captured` refuses more than was captured."""
    session.execute(_ADD, row_from_refund(refund))
    _save_parts(session, refund)


def save(session: Session, refund: Refund) -> None:
    """Save what changed in a refund and its parts."""
    session.execute(_SAVE, {"key": refund.id, **changes_from_refund(refund)})
    _save_parts(session, refund)


def row_from_refund(refund: Refund) -> dict[str, Any]:
    """The row of a refund."""
    return {
        "id": refund.id,
        "account_id": refund.account_id,
        "user_id": refund.user_id,
        "partner_id": refund.partner_id,
        "amount": refund.amount.minor,
        "currency": refund.amount.currency,
        "time_zone": refund.time_zone,
        "not_before": refund.not_before,
        "transaction_id": refund.transaction_id,
        "requested_by": refund.requested_by,
        "created_at": refund.created_at,
        **changes_from_refund(refund),
    }


def changes_from_refund(refund: Refund) -> dict[str, Any]:
    """The part of a refund's row that changes."""
    return {
        "status": refund.state,
        "decided_by": refund.decided_by,
        "note": refund.note,
        "completed_at": refund.completed_at,
        "version": refund.version,
    }


def row_from_part(refund_id: UUID, part: Part) -> dict[str, Any]:
    """The row of a part."""
    return {
        "id": part.id,
        "refund_id": refund_id,
        "payment_id": part.payment_id,
        "attempt": part.attempt,
        "amount": part.amount.minor,
        "status": part.state,
        "provider_reference": part.provider_reference,
        "failure_code": part.failure_code,
        "sent_at": part.sent_at,
        "completed_at": part.completed_at,
    }


def refund_from_row(row: Any, parts: Sequence[Part]) -> Refund:
    """The refund of a row with its parts."""
    return Refund(
        id=row.id,
        account_id=row.account_id,
        user_id=row.user_id,
        partner_id=row.partner_id,
        amount=Money(row.amount, row.currency),
        time_zone=row.time_zone,
        not_before=row.not_before,
        created_at=row.created_at,
        state=State(row.status),
        parts=tuple(parts),
        transaction_id=row.transaction_id,
        requested_by=row.requested_by,
        decided_by=row.decided_by,
        note=row.note,
        completed_at=row.completed_at,
        version=row.version,
    )


def part_from_row(row: Any, currency: str) -> Part:
    """The part of a row."""
    return Part(
        id=row.id,
        payment_id=row.payment_id,
        amount=Money(row.amount, currency),
        attempt=row.attempt,
        state=PartState(row.status),
        provider_reference=row.provider_reference,
        failure_code=row.failure_code,
        sent_at=row.sent_at,
        completed_at=row.completed_at,
    )


def _with_parts(session: Session, row: Any) -> Refund | None:
    return refund_from_row(row, _parts_of(session, [row.id])[row.id]) if row else None


def _parts_of(session: Session, refund_ids: Collection[UUID]) -> dict[UUID, list[Part]]:
    parts: dict[UUID, list[Part]] = {refund_id: [] for refund_id in refund_ids}
    query = _PARTS.add_columns(_refunds.c.currency).join(_refunds, _refunds.c.id == _parts.c.refund_id)
    for row in session.execute(query.where(_parts.c.refund_id.in_(refund_ids))) if refund_ids else ():
        parts[row.refund_id].append(part_from_row(row, row.currency))
    return parts


def _save_parts(session: Session, refund: Refund) -> None:
    session.execute(_SAVE_PART, [row_from_part(refund.id, part) for part in refund.parts])
