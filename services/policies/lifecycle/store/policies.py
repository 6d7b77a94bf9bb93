"""Policies with their terms and segments in the database: converters, and functions that never commit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session, aliased

from libs.db import Database, Query
from libs.db.scoping import scoped
from libs.identity.scopes import Scope
from services.policies.lifecycle.rules.parties import with_parties
from services.policies.lifecycle.rules.policy import Policy
from services.policies.lifecycle.rules.term import EndKind, Term
from services.policies.lifecycle.store import parties, segments, timelines
from services.policies.lifecycle.store.rows import ObjectRow, PolicyRow, TimelineRow, TimelineSegmentRow
from services.policies.lifecycle.store.standing import IS_DELINQUENT

_policies = PolicyRow.__table__
_segments = TimelineSegmentRow.__table__


def _columns_of(version: Any) -> list[sa.ColumnElement[Any]]:
    """What `timelines.terms_from_rows` reads of a version of a term and of its segments, one row a segment."""
    return [
        version.c.term_number,
        version.c.starts_on.label("term_starts_on"),
        version.c.ends_on.label("term_ends_on"),
        version.c.cover_starts_at,
        version.c.ended_as,
        version.c.ended_on,
        version.c.product_version.label("term_product_version"),
        version.c.currency,
        version.c.charges,
        TimelineSegmentRow.starts_on.label("starts_on"),
        TimelineSegmentRow.ends_on.label("ends_on"),
        TimelineSegmentRow.answers,
        TimelineSegmentRow.objects,
        TimelineSegmentRow.coverages,
        TimelineSegmentRow.lines,
    ]


def _newest(policy_id: sa.ColumnElement[UUID], *limits: sa.ColumnElement[bool]) -> sa.FromClause:
    """The newest version of each term of a policy, within limits."""
    return (
        sa.select(TimelineRow.__table__)
        .where(TimelineRow.policy_id == policy_id, *limits)
        .ext(distinct_on(TimelineRow.term_number))
        .order_by(TimelineRow.term_number, TimelineRow.sequence.desc())
        .lateral("version")
    )


def _have_segments(version: Any) -> sa.ColumnElement[bool]:
    """The condition that joins the segments that hold in a version of a term."""
    return sa.and_(
        TimelineSegmentRow.transaction_id == version.c.segments_of,
        TimelineSegmentRow.term_number == version.c.term_number,
    )


def _with_terms(*limits: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Policies with the newest version of each term within limits: one statement, one row a segment."""
    version = _newest(_policies.c.id, *limits)
    rows = _policies.outerjoin(version, sa.true()).outerjoin(_segments, _have_segments(version))
    return sa.select(*_policies.c, IS_DELINQUENT.label("is_delinquent"), *_columns_of(version)).select_from(rows)


_IN_ORDER: Final[tuple[sa.ColumnElement[Any], ...]] = (
    sa.literal_column("term_number"),
    sa.literal_column("starts_on"),
)
_CURRENT = _with_terms()
_IS_ASKED = _policies.c.id == sa.bindparam("id")
_BY_ID = _CURRENT.where(_IS_ASKED).order_by(*_IN_ORDER)
_BY_ID_AS_KNOWN = _with_terms(TimelineRow.issued_at <= sa.bindparam("known_at")).where(_IS_ASKED).order_by(*_IN_ORDER)
_BY_ID_AT_SEQUENCE = _with_terms(TimelineRow.sequence <= sa.bindparam("sequence")).where(_IS_ASKED).order_by(*_IN_ORDER)
_READ_BY_ID = Query(_BY_ID)
_READ_BY_ID_AS_KNOWN = Query(_BY_ID_AS_KNOWN)
_ADD = sa.insert(_policies)
_SAVE = sa.update(_policies).where(_policies.c.id == sa.bindparam("key"))
_LOCK = sa.select(_policies.c.id).where(_IS_ASKED).with_for_update()


def find_committed(database: Database, policy_id: UUID) -> Policy | None:
    """The policy as it stands, outside of any transaction and as fast as can be."""
    return _found(database, database.read(_READ_BY_ID, id=policy_id))


def find_as_known(database: Database, policy_id: UUID, known_at: datetime) -> Policy | None:
    """The policy as it was known at a moment; None where it was not issued yet."""
    rows = database.read(_READ_BY_ID_AS_KNOWN, id=policy_id, known_at=known_at)
    if not rows or rows[0].issued_at > known_at:
        return None
    policy = _found(database, rows)
    if policy is None:
        return None
    with database.reading() as session:
        then = parties.find_as_known(session, policy_id, known_at)
    return (with_parties(policy, then) if then else policy).before_payment(known_at)


def _found(database: Database, rows: Sequence[Any]) -> Policy | None:
    if rows and not rows[0].has_timeline:
        with database.reading() as session:
            return policy_from_rows(session, rows)
    return policy_from_row(rows[0], timelines.terms_from_rows(rows)) if rows else None


def find(session: Session, policy_id: UUID) -> Policy | None:
    """The policy as the transaction sees it."""
    rows = session.execute(_BY_ID, {"id": policy_id}).all()
    return policy_from_rows(session, rows) if rows else None


def find_at_sequence(session: Session, policy_id: UUID, sequence: int) -> Policy | None:
    """The policy with the terms that its stack came to with the transaction of that sequence, maybe with none, and with
    the parties that it had then.
    """
    rows = session.execute(_BY_ID_AT_SEQUENCE, {"id": policy_id, "sequence": sequence}).all()
    if not rows:
        return None
    policy, then = policy_from_rows(session, rows), parties.find_before_next(session, policy_id, sequence)
    return with_parties(policy, then) if then else policy


def find_of_quote(session: Session, quote_id: UUID) -> UUID | None:
    """The policy that was issued from a quote."""
    return session.scalar(sa.select(_policies.c.id).where(_policies.c.quote_id == quote_id))


def lock(session: Session, policy_id: UUID) -> Policy | None:
    """The policy as it stands, kept from other changes until the transaction ends."""
    session.execute(_LOCK, {"id": policy_id})
    return find(session, policy_id)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which policies of a scope are listed: those of which everything holds that is not empty."""

    product_code: str = ""
    number: str = ""
    user_id: UUID | None = None
    """The party that holds it."""
    partner_id: UUID | None = None
    identifier: str = ""
    """Of an object that is insured, as `identifier_key` makes it."""
    starts_from: date | None = None
    """Of a term, as the three below: from when on its first day is, …"""
    starts_before: date | None = None
    """… before when its first day is, …"""
    ends_from: date | None = None
    """… from when on the first day behind it is, …"""
    ends_before: date | None = None
    """… and before when."""


def list_of(
    session: Session,
    scope: Scope,
    criteria: Filter,
    condition: sa.ColumnElement[bool],
    after: UUID | None,
    limit: int,
) -> Sequence[Policy]:
    """The policies of a scope that meet a condition, newest first, behind the one whose id is `after`."""
    ids = scoped(sa.select(_policies.c.id), scope, owner=_policies.c.user_id, partner=_policies.c.partner_id)
    ids = ids.where(condition, *_conditions(criteria)).order_by(_policies.c.id.desc()).limit(limit)
    if after is not None:
        ids = ids.where(_policies.c.id < after)
    query = _CURRENT.where(_policies.c.id.in_(ids)).order_by(_policies.c.id.desc(), *_IN_ORDER)
    rows = session.execute(query).all()
    return [policy_from_rows(session, list(group)) for _, group in groupby(rows, key=lambda row: row.id)]


def _conditions(criteria: Filter) -> Iterator[sa.ColumnElement[bool]]:
    if criteria.product_code:
        yield _policies.c.product_code == criteria.product_code
    if criteria.number:
        yield _policies.c.number == criteria.number
    if criteria.user_id is not None:
        yield _policies.c.user_id == criteria.user_id
    if criteria.partner_id is not None:
        yield _policies.c.partner_id == criteria.partner_id
    if criteria.identifier:
        insured = sa.select(ObjectRow.policy_id).where(ObjectRow.identifier == criteria.identifier)
        yield _policies.c.id.in_(insured)
    days = [
        *([TimelineRow.starts_on >= criteria.starts_from] if criteria.starts_from else []),
        *([TimelineRow.starts_on < criteria.starts_before] if criteria.starts_before else []),
        *([TimelineRow.ends_on >= criteria.ends_from] if criteria.ends_from else []),
        *([TimelineRow.ends_on < criteria.ends_before] if criteria.ends_before else []),
    ]
    if days:
        never_was = aliased(TimelineRow)
        is_void = sa.exists().where(
            never_was.policy_id == TimelineRow.policy_id,
            never_was.term_number == TimelineRow.term_number,
            never_was.term_number > 1,
            never_was.ended_as == EndKind.NOT_TAKEN,
        )
        yield sa.exists().where(TimelineRow.policy_id == _policies.c.id, ~is_void, *days)


def find_terms_behind(session: Session, after: UUID, limit: int) -> dict[UUID, tuple[Term, ...]]:
    """The terms of policies, in the order of their ids behind `after`; none where a timeline is not written yet."""
    page = sa.select(_policies.c.id).where(_policies.c.id > after).order_by(_policies.c.id).limit(limit)
    rows = session.execute(_CURRENT.where(_policies.c.id.in_(page)).order_by(_policies.c.id, *_IN_ORDER)).all()
    groups = {policy_id: list(group) for policy_id, group in groupby(rows, key=lambda row: row.id)}
    return {
        policy_id: timelines.terms_from_rows(group) if group[0].term_number is not None else ()
        for policy_id, group in groups.items()
    }


def list_without_timeline(session: Session, after: UUID, limit: int) -> Sequence[UUID]:
    """Policies of before whose timeline is not written yet, by id, behind `after`."""
    query = sa.select(_policies.c.id).where(~_policies.c.has_timeline, _policies.c.id > after)
    return session.scalars(query.order_by(_policies.c.id).limit(limit)).all()


def add(session: Session, policy: Policy) -> None:
    """Save a new contract. The constraint `policies_quote_unique` refuses a second one of its quote."""
    session.execute(_ADD, row_from_policy(policy))


def save(session: Session, policy: Policy) -> None:
    """Save what a policy derives from its transactions."""
    session.execute(_SAVE, {"key": policy.id, **changes_from_policy(policy)})


def save_parties(session: Session, policy: Policy) -> None:
    """Save who holds a policy, owes for it and serves it, and what else it derives from its transactions."""
    named = {"user_id": policy.user_id, "payer_id": policy.payer_id, "partner_id": policy.partner_id}
    session.execute(_SAVE, {"key": policy.id, "created_by": policy.created_by, **named, **changes_from_policy(policy)})


def save_origin(session: Session, policy: Policy) -> None:
    """Save where a policy of before came from, with its timeline."""
    origin = {"created_by": policy.created_by, "payer_id": policy.payer_id, "partner_id": policy.partner_id}
    session.execute(_SAVE, {"key": policy.id, "has_timeline": True, **origin})


def row_from_policy(policy: Policy) -> dict[str, Any]:
    """The row of a contract."""
    return {
        "id": policy.id,
        "number": policy.number,
        "user_id": policy.user_id,
        "created_by": policy.created_by,
        "payer_id": policy.payer_id,
        "partner_id": policy.partner_id,
        "quote_id": policy.quote_id,
        "product_code": policy.product_code,
        "product_version": policy.product_version,
        "plan_code": policy.plan_code,
        "time_zone": policy.time_zone,
        "issued_at": policy.issued_at,
        "has_timeline": policy.has_timeline,
        **changes_from_policy(policy),
    }


def changes_from_policy(policy: Policy) -> dict[str, Any]:
    """The part of a contract's row that changes."""
    return {
        "activated_at": policy.activated_at,
        "version": policy.version,
        "is_not_renewed": policy.is_not_renewed,
        "offered_term": policy.offered_term,
    }


def policy_from_rows(session: Session, rows: Sequence[Any]) -> Policy:
    """The contract of its rows, one a segment; of one of before, with what is known of its one term."""
    first = rows[0]
    if not first.has_timeline:
        return policy_from_row(first, (segments.find(session, first.id),))
    return policy_from_row(first, timelines.terms_from_rows(rows) if first.term_number is not None else ())


def policy_from_row(row: Any, terms: tuple[Term, ...]) -> Policy:
    """The contract of a row, with its terms."""
    return Policy(
        id=row.id,
        number=row.number,
        user_id=row.user_id,
        created_by=row.created_by or row.user_id,
        payer_id=row.payer_id or row.user_id,
        partner_id=row.partner_id,
        quote_id=row.quote_id,
        product_code=row.product_code,
        product_version=row.product_version,
        plan_code=row.plan_code,
        time_zone=row.time_zone,
        issued_at=row.issued_at,
        terms=terms,
        activated_at=row.activated_at,
        version=row.version,
        has_timeline=row.has_timeline,
        is_delinquent=row.is_delinquent,
        is_not_renewed=row.is_not_renewed,
        offered_term=row.offered_term,
    )
