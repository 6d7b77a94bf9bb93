"""What is known of a policy of before until its timeline is written: one term, one segment, and sums without lines."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from libs.calendar import start_of
from libs.money import Money
from libs.premium import ChargeLine, Coverage, LineKind
from services.policies.lifecycle.rules.term import Risk, Segment, Term
from services.policies.lifecycle.store.rows import PolicyRow, SegmentRow, TermRow

_FIRST = (
    sa.select(
        TermRow.starts_on,
        TermRow.ends_on,
        SegmentRow.currency,
        SegmentRow.net,
        SegmentRow.tax,
        SegmentRow.fees,
        SegmentRow.coverages,
        PolicyRow.product_version,
        PolicyRow.time_zone,
        PolicyRow.activated_at,
    )
    .join(SegmentRow, (SegmentRow.policy_id == TermRow.policy_id) & (SegmentRow.term_number == TermRow.number))
    .join(PolicyRow, PolicyRow.id == TermRow.policy_id)
    .where(TermRow.policy_id == sa.bindparam("policy_id"), TermRow.number == 1)
)


def find(session: Session, policy_id: UUID) -> Term:
    """The one term of a policy of before."""
    return term_from_row(session.execute(_FIRST, {"policy_id": policy_id}).one())


def term_from_row(row: Any) -> Term:
    """The term of a row. Its lines name neither coverage nor code, because nobody wrote them down."""
    days, currency = (row.starts_on, row.ends_on), row.currency
    coverages = tuple(Coverage.of_minor(*value, currency=currency) for value in row.coverages)
    at_once = (row.starts_on, row.starts_on)
    return Term(
        1,
        *days,
        currency,
        row.product_version,
        (Segment(*days, Risk({}, (), coverages), {("", ""): Money(row.net, currency)}),),
        cover_starts_at=max(start_of(row.starts_on, row.time_zone), row.activated_at) if row.activated_at else None,
        charges=(
            ChargeLine(LineKind.TAX, Money(row.tax, currency), *at_once),
            ChargeLine(LineKind.FEE, Money(row.fees, currency), *at_once),
        ),
    )
