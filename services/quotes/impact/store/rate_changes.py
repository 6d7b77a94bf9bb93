"""Analyses of rate changes in the database: each with what was found by now, which is saved part by part."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from services.quotes.impact.rules.impact import Cause, Change, Factor, Impact
from services.quotes.impact.rules.rate_change import RateChange
from services.quotes.quoting.rules.underwriting import Outcome


class Row(DeclarativeBase):
    """The tables of this module."""

    __table__: ClassVar[sa.Table]
    type_annotation_map = {  # noqa: RUF012
        datetime: sa.DateTime(timezone=True),
        dict[str, Any]: JSONB,
        int: sa.BigInteger,
    }


class RateChangeRow(Row):
    """One analysis."""

    __tablename__ = "rate_changes"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    product_code: Mapped[str]
    version: Mapped[int]
    only_bound: Mapped[bool]
    author_id: Mapped[UUID]
    created_at: Mapped[datetime]
    currency: Mapped[str]
    total: Mapped[int]
    last_id: Mapped[UUID | None]
    done: Mapped[int]
    done_id: Mapped[UUID | None]
    finished_at: Mapped[datetime | None]
    impact: Mapped[dict[str, Any]]


_changes = RateChangeRow.__table__
_BY_ID = sa.select(*_changes.c).where(_changes.c.id == sa.bindparam("id"))
_LOCKED = _BY_ID.with_for_update()


def find(session: Session, rate_change_id: UUID) -> RateChange | None:
    """An analysis."""
    row = session.execute(_BY_ID, {"id": rate_change_id}).one_or_none()
    return rate_change_from_row(row) if row else None


def lock(session: Session, rate_change_id: UUID) -> RateChange | None:
    """An analysis, kept from other changes until the transaction ends."""
    row = session.execute(_LOCKED, {"id": rate_change_id}).one_or_none()
    return rate_change_from_row(row) if row else None


def add(session: Session, rate_change: RateChange) -> None:
    """Save a new analysis."""
    session.execute(sa.insert(_changes), row_from_rate_change(rate_change))


def save(session: Session, rate_change: RateChange) -> None:
    """Save how far an analysis has come."""
    statement = sa.update(_changes).where(_changes.c.id == rate_change.id)
    session.execute(statement.values(changes_from_rate_change(rate_change)))


def row_from_rate_change(rate_change: RateChange) -> dict[str, Any]:
    """The row of an analysis."""
    return {
        "id": rate_change.id,
        "product_code": rate_change.product_code,
        "version": rate_change.version,
        "only_bound": rate_change.only_bound,
        "author_id": rate_change.author_id,
        "created_at": rate_change.created_at,
        "currency": rate_change.currency,
        "total": rate_change.total,
        "last_id": rate_change.last_id,
        **changes_from_rate_change(rate_change),
    }


def changes_from_rate_change(rate_change: RateChange) -> dict[str, Any]:
    """The part of an analysis's row that changes."""
    return {
        "done": rate_change.done,
        "done_id": rate_change.done_id,
        "finished_at": rate_change.finished_at,
        "impact": _stored(rate_change.impact),
    }


def rate_change_from_row(row: Any) -> RateChange:
    """The analysis of a row."""
    return RateChange(
        id=row.id,
        product_code=row.product_code,
        version=row.version,
        only_bound=row.only_bound,
        author_id=row.author_id,
        created_at=row.created_at,
        currency=row.currency,
        total=row.total,
        last_id=row.last_id,
        done=row.done,
        done_id=row.done_id,
        finished_at=row.finished_at,
        impact=impact_from_row(row.impact),
    )


def impact_from_row(stored: dict[str, Any]) -> Impact:
    """What was found, of what is stored of it."""
    return Impact(
        seen=stored["seen"],
        old_total=stored["old_total"],
        new_total=stored["new_total"],
        buckets=Counter(dict(stored["buckets"])),
        factors={name: Factor(*numbers) for name, *numbers in stored["factors"]},
        increases=[_change(*change) for change in stored["increases"]],
        decreases=[_change(*change) for change in stored["decreases"]],
        decisions=Counter({(Outcome(old), Outcome(new)): count for old, new, count in stored["decisions"]}),
        rules=Counter({(code, Outcome(outcome)): count for code, outcome, count in stored["rules"]}),
        unrated=Counter({Cause(reason, about): count for reason, about, count in stored["unrated"]}),
    )


def _stored(impact: Impact) -> dict[str, Any]:
    return {
        "seen": impact.seen,
        "old_total": impact.old_total,
        "new_total": impact.new_total,
        "buckets": list(impact.buckets.items()),
        "factors": [[name, factor.risks, factor.old, factor.new] for name, factor in impact.factors.items()],
        "increases": [[str(change.quote_id), *change[1:]] for change in impact.increases],
        "decreases": [[str(change.quote_id), *change[1:]] for change in impact.decreases],
        "decisions": [[*outcomes, count] for outcomes, count in impact.decisions.items()],
        "rules": [[*rule, count] for rule, count in impact.rules.items()],
        "unrated": [[*cause, count] for cause, count in impact.unrated.items()],
    }


def _change(quote_id: str, number: str, old: int, new: int) -> Change:
    return Change(UUID(quote_id), number, old, new)
