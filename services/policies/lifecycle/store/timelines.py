"""The timeline of a policy in the database: each version of a term, with its segments; append-only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from itertools import groupby
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from libs.money import Money
from libs.premium import ChargeLine, Coverage, InsuredObject, LineKind
from services.policies.lifecycle.rules.term import Ended, EndKind, Risk, Segment, Term
from services.policies.lifecycle.rules.transaction import Transaction
from services.policies.lifecycle.store.rows import TimelineRow, TimelineSegmentRow

_ADD = sa.insert(TimelineRow.__table__)
_ADD_SEGMENTS = sa.insert(TimelineSegmentRow.__table__)
_TERMS_OF = (
    sa.select(TimelineRow.term_number)
    .where(TimelineRow.transaction_id == sa.bindparam("key"))
    .order_by(TimelineRow.term_number)
)
_WRITTEN_BY = (
    sa.select(TimelineRow.segments_of)
    .where(TimelineRow.policy_id == sa.bindparam("policy_id"), TimelineRow.term_number == sa.bindparam("term_number"))
    .order_by(TimelineRow.sequence.desc())
    .limit(1)
)


def find_written(session: Session, transaction_id: UUID) -> Sequence[int]:
    """The numbers of the terms that a transaction wrote."""
    return session.scalars(_TERMS_OF, {"key": transaction_id}).all()


def add(session: Session, policy_id: UUID, transaction: Transaction, term: Term) -> None:
    """Save a term as a transaction left it, with its segments."""
    session.execute(_ADD, row_from_term(policy_id, transaction, term, transaction.id))
    if term.segments:
        session.execute(
            _ADD_SEGMENTS,
            [
                {"transaction_id": transaction.id, "term_number": term.number, "number": number}
                | row_from_segment(segment)
                for number, segment in enumerate(term.segments, 1)
            ],
        )


def add_same_segments(session: Session, policy_id: UUID, transaction: Transaction, term: Term) -> None:
    """Save a term as a transaction left it that did not change its segments."""
    owner = session.execute(_WRITTEN_BY, {"policy_id": policy_id, "term_number": term.number}).scalar_one()
    session.execute(_ADD, row_from_term(policy_id, transaction, term, owner))


def row_from_term(policy_id: UUID, transaction: Transaction, term: Term, segments_of: UUID) -> dict[str, Any]:
    """The row of a version of a term, without its segments."""
    return {
        "transaction_id": transaction.id,
        "term_number": term.number,
        "policy_id": policy_id,
        "sequence": transaction.sequence,
        "issued_at": transaction.issued_at,
        "segments_of": segments_of,
        "starts_on": term.starts_on,
        "ends_on": term.ends_on,
        "cover_starts_at": term.cover_starts_at,
        "ended_as": term.ended.kind if term.ended else None,
        "ended_on": term.ended.on if term.ended else None,
        "product_version": term.product_version,
        "currency": term.currency,
        "charges": [
            [line.kind, line.object_id, line.coverage_code, line.charge_code, line.amount.minor]
            for line in term.charges
        ],
    }


def row_from_segment(segment: Segment) -> dict[str, Any]:
    """What the row of a segment says of it alone."""
    risk = segment.risk
    return {
        "starts_on": segment.starts_on,
        "ends_on": segment.ends_on,
        "answers": dict(risk.answers),
        "objects": [insured.to_plain() for insured in risk.objects],
        "coverages": [list(coverage.to_minor()) for coverage in risk.coverages],
        "lines": [[object_id, code, amount.minor] for (object_id, code), amount in segment.full_term.items()],
    }


def terms_from_rows(rows: Iterable[Any]) -> tuple[Term, ...]:
    """The terms of the rows of a policy, which are in order."""
    return tuple(_term_from_rows(list(group)) for _, group in groupby(rows, key=lambda row: row.term_number))


def _term_from_rows(rows: Sequence[Any]) -> Term:
    first = rows[0]
    starts_on, currency = first.term_starts_on, first.currency
    return Term(
        first.term_number,
        starts_on,
        first.term_ends_on,
        currency,
        first.term_product_version,
        tuple(_segment_from_row(row) for row in rows if row.lines is not None),
        first.cover_starts_at,
        Ended(EndKind(first.ended_as), first.ended_on) if first.ended_as else None,
        tuple(_charge_from_row(charge, currency, starts_on, first.term_number) for charge in first.charges),
    )


def _segment_from_row(row: Any) -> Segment:
    currency = row.currency
    return Segment(
        row.starts_on,
        row.ends_on,
        Risk(
            row.answers,
            tuple(InsuredObject(*item) for item in row.objects),
            tuple(Coverage.of_minor(*value, currency=currency) for value in row.coverages),
        ),
        {(object_id, code): Money(minor, currency) for object_id, code, minor in row.lines},
    )


def _charge_from_row(charge: Sequence[Any], currency: str, day: date, term_number: int) -> ChargeLine:
    kind, object_id, coverage_code, charge_code, minor = charge
    return ChargeLine(
        LineKind(kind), Money(minor, currency), day, day, coverage_code, charge_code, object_id, term_number
    )
