"""Referrals in the database: converters, and functions that take a session and never commit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.quotes.quoting.rules.quote import Quote
from services.quotes.quoting.rules.referral import Information, Referral, Verdict
from services.quotes.quoting.store.quotes import quote_from_row
from services.quotes.quoting.store.rows import QuoteRow, ReferralRow

_quotes, _referrals = QuoteRow.__table__, ReferralRow.__table__
_opened_at = sa.func.coalesce(_referrals.c.opened_at, _quotes.c.created_at)
# What approving takes: the highest level of the rules that are not approved.
_level = (
    sa.select(sa.func.coalesce(sa.func.max(sa.text("coalesce((rule ->> 2)::integer, 0)")), 0))
    .select_from(sa.text("jsonb_array_elements(quotes.reasons) AS rule"))
    .where(sa.text("NOT coalesce(quotes.approved_rules, '[]') ? (rule ->> 0)"))
    .scalar_subquery()
)
_OF_REVISION = sa.and_(_referrals.c.quote_id == _quotes.c.id, _referrals.c.revision == _quotes.c.revision)
_QUEUE = sa.select(
    *_quotes.c, *(column.label(f"referral_{column.name}") for column in _referrals.c), _opened_at.label("waits_since")
).select_from(_quotes.outerjoin(_referrals, _OF_REVISION))


def list_open(
    session: Session,
    product_code: str,
    level: int,
    assignee: UUID | None,
    opened_until: datetime | None,
    now: datetime,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> Sequence[tuple[Quote, Referral]]:
    """What waits for an underwriter, oldest first, behind the one that was referred `after`. What is empty, and a level
    of 0, lets everything pass.
    """
    query = _QUEUE.where(_quotes.c.state == "referred", _quotes.c.valid_until >= now)
    if product_code:
        query = query.where(_quotes.c.product_code == product_code)
    if level:
        query = query.where(_level <= level)
    if assignee is not None:
        query = query.where(_referrals.c.assignee == assignee)
    if opened_until is not None:
        query = query.where(_opened_at < opened_until)
    if after is not None:
        query = query.where(sa.tuple_(_opened_at, _quotes.c.id) > after)
    query = query.order_by(_opened_at, _quotes.c.id).limit(limit)
    waiting = []
    for row in session.execute(query):
        quote = quote_from_row(row)
        waiting.append((quote, referral_from_row(quote, row)))
    return waiting


def find(session: Session, quote: Quote) -> Referral:
    """The referral of a quote's revision, which the caller has locked; one of a program that kept none is made up."""
    query = _QUEUE.where(_quotes.c.id == quote.id)
    return referral_from_row(quote, session.execute(query).one())


def save(session: Session, referral: Referral) -> None:
    """Save a referral, or what became of it."""
    row = row_from_referral(referral)
    changes = {name: value for name, value in row.items() if name not in ("quote_id", "revision")}
    statement = insert(_referrals).values(row)
    session.execute(statement.on_conflict_do_update(index_elements=["quote_id", "revision"], set_=changes))


def row_from_referral(referral: Referral) -> dict[str, Any]:
    """The row of a referral."""
    return {
        "quote_id": referral.quote_id,
        "revision": referral.revision,
        "opened_at": referral.opened_at,
        "assignee": referral.assignee,
        "information": [_plain(information) for information in referral.information],
        "verdict": referral.verdict,
        "decided_by": referral.decided_by,
        "decided_at": referral.decided_at,
        "reason": referral.reason,
        "note": referral.note,
    }


def referral_from_row(quote: Quote, row: Any) -> Referral:
    """The referral beside a quote."""
    return Referral(
        quote_id=quote.id,
        revision=quote.revision,
        opened_at=row.waits_since,
        assignee=row.referral_assignee,
        information=tuple(_information(item) for item in row.referral_information or ()),
        verdict=Verdict(row.referral_verdict) if row.referral_verdict else None,
        decided_by=row.referral_decided_by,
        decided_at=row.referral_decided_at,
        reason=row.referral_reason or "",
        note=row.referral_note or "",
    )


def _plain(information: Information) -> list[str | None]:
    answered_by, answered_at = information.answered_by, information.answered_at
    return [
        str(information.asked_by),
        information.asked_at.isoformat(),
        information.question,
        information.due_at.isoformat(),
        str(answered_by) if answered_by else None,
        answered_at.isoformat() if answered_at else None,
        information.answer,
    ]


def _information(item: list[Any]) -> Information:
    asked_by, asked_at, question, due_at, answered_by, answered_at, answer = item
    return Information(
        UUID(asked_by),
        datetime.fromisoformat(asked_at),
        question,
        datetime.fromisoformat(due_at),
        UUID(answered_by) if answered_by else None,
        datetime.fromisoformat(answered_at) if answered_at else None,
        answer,
    )
