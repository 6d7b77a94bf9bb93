"""Policies with their terms and segments in the database: converters, and functions that never commit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from libs.db import Database, Query
from libs.db.scoping import scoped
from libs.identity.scopes import Scope
from libs.premium import Coverage, Premium
from services.policies.lifecycle.rules.policy import Policy, Segment, Term
from services.policies.lifecycle.store.rows import PolicyRow, SegmentRow, TermRow

_policies = PolicyRow.__table__
_any_term = aliased(TermRow)

# A policy with the segments of its current term: one statement, one row a segment.
_CURRENT = (
    sa.select(
        *_policies.c,
        TermRow.number.label("term_number"),
        TermRow.starts_on.label("term_starts_on"),
        TermRow.ends_on.label("term_ends_on"),
        SegmentRow.number.label("segment_number"),
        SegmentRow.starts_on,
        SegmentRow.ends_on,
        SegmentRow.currency,
        SegmentRow.net,
        SegmentRow.tax,
        SegmentRow.fees,
        SegmentRow.coverages,
    )
    .join(TermRow, TermRow.policy_id == _policies.c.id)
    .join(SegmentRow, (SegmentRow.policy_id == _policies.c.id) & (SegmentRow.term_number == TermRow.number))
    .where(
        TermRow.number
        == sa.select(sa.func.max(_any_term.number)).where(_any_term.policy_id == _policies.c.id).scalar_subquery()
    )
)
_BY_ID = _CURRENT.where(_policies.c.id == sa.bindparam("id")).order_by(SegmentRow.number)
_READ_BY_ID = Query(_BY_ID)
_ADD = sa.insert(_policies)
_ADD_TERM = sa.insert(TermRow.__table__)
_ADD_SEGMENTS = sa.insert(SegmentRow.__table__)
_SAVE = sa.update(_policies).where(_policies.c.id == sa.bindparam("key"))


def find_committed(database: Database, policy_id: UUID) -> Policy | None:
    """The policy as it stands, outside of any transaction and as fast as can be."""
    rows = database.read(_READ_BY_ID, id=policy_id)
    return policy_from_rows(rows) if rows else None


def find(session: Session, policy_id: UUID) -> Policy | None:
    """The policy as the transaction sees it."""
    rows = session.execute(_BY_ID, {"id": policy_id}).all()
    return policy_from_rows(rows) if rows else None


def find_of_quote(session: Session, quote_id: UUID) -> UUID | None:
    """The policy that was issued from a quote."""
    return session.scalar(sa.select(_policies.c.id).where(_policies.c.quote_id == quote_id))


def lock(session: Session, policy_id: UUID) -> Policy | None:
    """The policy as it stands, kept from other changes until the transaction ends."""
    session.execute(sa.select(_policies.c.id).where(_policies.c.id == policy_id).with_for_update())
    return find(session, policy_id)


def list_of(session: Session, scope: Scope, product_code: str, after: UUID | None, limit: int) -> Sequence[Policy]:
    """The policies of a scope, newest first, behind the one whose id is `after`."""
    ids = scoped(sa.select(_policies.c.id), scope, owner=_policies.c.user_id)
    ids = ids.order_by(_policies.c.id.desc()).limit(limit)
    if product_code:
        ids = ids.where(_policies.c.product_code == product_code)
    if after is not None:
        ids = ids.where(_policies.c.id < after)
    query = _CURRENT.where(_policies.c.id.in_(ids)).order_by(_policies.c.id.desc(), SegmentRow.number)
    rows_by_policy: dict[UUID, list[Any]] = {}
    for row in session.execute(query):
        rows_by_policy.setdefault(row.id, []).append(row)
    return [policy_from_rows(rows) for rows in rows_by_policy.values()]


def add(session: Session, policy: Policy) -> None:
    """Save a new contract. The constraint `policies_quote_unique` refuses a second one of its quote."""
    session.execute(_ADD, row_from_policy(policy))


def add_term(session: Session, policy: Policy, transaction_id: UUID) -> None:
    """Save the term of a policy, and its segments, as a transaction of it that is saved made them."""
    term = policy.term
    session.execute(
        _ADD_TERM,
        {
            "policy_id": policy.id,
            "number": term.number,
            "transaction_id": transaction_id,
            "starts_on": term.starts_on,
            "ends_on": term.ends_on,
        },
    )
    session.execute(
        _ADD_SEGMENTS,
        [
            {"policy_id": policy.id, "term_number": term.number, "transaction_id": transaction_id}
            | row_from_segment(segment)
            for segment in term.segments
        ],
    )


def save(session: Session, policy: Policy) -> None:
    """Save what a policy derives from its transactions."""
    session.execute(_SAVE, {"key": policy.id, **changes_from_policy(policy)})


def row_from_policy(policy: Policy) -> dict[str, Any]:
    """The row of a contract."""
    return {
        "id": policy.id,
        "number": policy.number,
        "user_id": policy.user_id,
        "quote_id": policy.quote_id,
        "product_code": policy.product_code,
        "product_version": policy.product_version,
        "plan_code": policy.plan_code,
        "time_zone": policy.time_zone,
        "issued_at": policy.issued_at,
        **changes_from_policy(policy),
    }


def changes_from_policy(policy: Policy) -> dict[str, Any]:
    """The part of a contract's row that changes."""
    return {"activated_at": policy.activated_at, "version": policy.version}


def row_from_segment(segment: Segment) -> dict[str, Any]:
    """What the row of a segment says of it alone."""
    return {
        "number": segment.number,
        "starts_on": segment.starts_on,
        "ends_on": segment.ends_on,
        "currency": segment.premium.currency,
        "net": segment.premium.net.minor,
        "tax": segment.premium.tax.minor,
        "fees": segment.premium.fees.minor,
        "coverages": [list(coverage.to_minor()) for coverage in segment.coverages],
    }


def policy_from_rows(rows: Sequence[Any]) -> Policy:
    """The contract of the rows of its current term, one a segment."""
    first = rows[0]
    return Policy(
        id=first.id,
        number=first.number,
        user_id=first.user_id,
        quote_id=first.quote_id,
        product_code=first.product_code,
        product_version=first.product_version,
        plan_code=first.plan_code,
        time_zone=first.time_zone,
        term=Term(
            first.term_number,
            first.term_starts_on,
            first.term_ends_on,
            tuple(segment_from_row(row) for row in rows),
        ),
        issued_at=first.issued_at,
        activated_at=first.activated_at,
        version=first.version,
    )


def segment_from_row(row: Any) -> Segment:
    """The segment of a row."""
    currency = row.currency
    premium = Premium.of_minor(row.net, row.tax, row.fees, currency)
    coverages = tuple(Coverage.of_minor(*value, currency=currency) for value in row.coverages)
    return Segment(row.segment_number, row.starts_on, row.ends_on, coverages, premium)
