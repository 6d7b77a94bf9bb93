"""Offers of next terms, what was decided of them, and which policies are due for either, in the database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.policies.lifecycle.rules.renewal import LONGEST_LATE_DAYS, Decision, Offered, Preference
from services.policies.lifecycle.store.rows import PolicyRow, RenewalDecisionRow, RenewalRow, TimelineRow

_policies = PolicyRow.__table__
_renewals = RenewalRow.__table__
_decisions = RenewalDecisionRow.__table__
_timelines = TimelineRow.__table__
_ADD_DECISION = sa.insert(_decisions)
_DECISION = (
    sa.select(_decisions)
    .where(_decisions.c.policy_id == sa.bindparam("policy_id"))
    .order_by(_decisions.c.version.desc())
    .limit(1)
)
_OFFER_OF_TERM = sa.select(_renewals).where(
    _renewals.c.policy_id == sa.bindparam("policy_id"), _renewals.c.term_number == sa.bindparam("term_number")
)
_OFFER = insert(_renewals)
_SAVE_OFFER = _OFFER.on_conflict_do_update(
    index_elements=["policy_id", "term_number"],
    set_={name: _OFFER.excluded[name] for name in ("quote_id", "timeline_sequence", "starts_on", "offered_at")},
)
_WRITTEN = sa.select(sa.func.max(_timelines.c.sequence)).where(
    _timelines.c.policy_id == sa.bindparam("policy_id"), _timelines.c.term_number == sa.bindparam("term_number")
)


def find_decision(session: Session, policy_id: UUID) -> Decision | None:
    """What was decided last of the next term; None where nobody decided anything."""
    row = session.execute(_DECISION, {"policy_id": policy_id}).one_or_none()
    return decision_from_row(row) if row else None


def add_decision(session: Session, policy_id: UUID, decision: Decision) -> None:
    """Save what was decided of the next term."""
    session.execute(_ADD_DECISION, {"policy_id": policy_id, **row_from_decision(decision)})


def find_sequence(session: Session, policy_id: UUID, term_number: int) -> int:
    """The newest transaction that wrote the timeline of a term."""
    sequence: int = session.execute(_WRITTEN, {"policy_id": policy_id, "term_number": term_number}).scalar_one()
    return sequence


def find_offer(session: Session, policy_id: UUID, term_number: int) -> Offered | None:
    """The offer of a term that was made without being asked for."""
    row = session.execute(_OFFER_OF_TERM, {"policy_id": policy_id, "term_number": term_number}).one_or_none()
    return offer_from_row(row) if row else None


def save_offer(session: Session, policy_id: UUID, offer: Offered) -> None:
    """Save an offer; it takes the place of the one before of the same term."""
    session.execute(_SAVE_OFFER, {"policy_id": policy_id, **row_from_offer(offer)})


def list_versions(session: Session, at: datetime) -> Sequence[tuple[str, int]]:
    """The products, with their versions, of terms that end behind a moment."""
    query = (
        sa.select(_policies.c.product_code, _timelines.c.product_version)
        .join(_policies, _policies.c.id == _timelines.c.policy_id)
        .where(_timelines.c.ends_on >= at.date())
        .distinct()
    )
    return [(code, version) for code, version in session.execute(query)]


def list_to_offer(
    session: Session, offer_days: Iterable[tuple[str, int, int]], at: datetime, after: UUID, limit: int
) -> Sequence[UUID]:
    """Policies whose next term is due to be offered, or to be offered anew, by id, behind `after`.

    `offer_days` says, of each version of a product, how many days before the end of a term that is.
    """
    policies, last = _due_for_offer(offer_days, at)
    query = policies.where(_policies.c.id > after).order_by(_policies.c.id).limit(limit)
    return session.scalars(query.select_from(last)).all()


def find_number_to_offer(session: Session, offer_days: Iterable[tuple[str, int, int]], at: datetime) -> int:
    """How many these are."""
    policies, last = _due_for_offer(offer_days, at)
    return session.scalar(sa.select(sa.func.count()).select_from(policies.select_from(last).subquery())) or 0


def _due_for_offer(offer_days: Iterable[tuple[str, int, int]], at: datetime) -> tuple[sa.Select[Any], sa.FromClause]:
    last = (
        sa.select(_timelines)
        .where(_timelines.c.policy_id == _policies.c.id)
        .order_by(_timelines.c.term_number.desc(), _timelines.c.sequence.desc())
        .limit(1)
        .lateral("last")
    )
    today = sa.cast(sa.func.timezone(_policies.c.time_zone, at), sa.Date)
    is_offered = (
        sa.select(_renewals.c.policy_id)
        .where(
            _renewals.c.policy_id == _policies.c.id,
            _renewals.c.term_number == last.c.term_number + 1,
            _renewals.c.timeline_sequence == last.c.sequence,
        )
        .exists()
    )
    versions = [
        sa.and_(
            _policies.c.product_code == code,
            last.c.product_version == version,
            last.c.ends_on <= today + days,
        )
        for code, version, days in offer_days
    ]
    rows = _policies.join(last, sa.true())
    query = sa.select(_policies.c.id).where(
        ~_policies.c.is_not_renewed,
        last.c.ended_as.is_(None),
        last.c.cover_starts_at.is_not(None),
        last.c.ends_on > today,
        sa.or_(sa.false(), *versions),
        ~is_offered,
    )
    return query, rows


def list_to_renew(session: Session, until: date, after: UUID, limit: int) -> Sequence[UUID]:
    """Policies with an offer of a term that begins by a day and was not taken yet, by id, behind `after`."""
    query = _due_for_renewal(until).where(_renewals.c.policy_id > after).order_by(_renewals.c.policy_id).limit(limit)
    return session.scalars(query).all()


def find_number_to_renew(session: Session, until: date) -> int:
    """How many these are."""
    return session.scalar(sa.select(sa.func.count()).select_from(_due_for_renewal(until).subquery())) or 0


def _due_for_renewal(until: date) -> sa.Select[Any]:
    is_taken = (
        sa.select(_timelines.c.policy_id)
        .where(
            _timelines.c.policy_id == _renewals.c.policy_id,
            _timelines.c.term_number == _renewals.c.term_number,
        )
        .exists()
    )
    return (
        sa.select(_renewals.c.policy_id)
        .join(_policies, _policies.c.id == _renewals.c.policy_id)
        .where(
            _renewals.c.starts_on <= until,
            _renewals.c.starts_on > until - timedelta(days=LONGEST_LATE_DAYS),
            ~_policies.c.is_not_renewed,
            ~is_taken,
        )
        .distinct()
    )


def row_from_decision(decision: Decision) -> dict[str, Any]:
    """What the row of a decision says of it alone."""
    return {
        "version": decision.version,
        "preference": decision.preference,
        "is_insurers": decision.is_insurers,
        "reason": decision.reason,
        "actor": decision.actor,
        "decided_at": decision.decided_at,
    }


def decision_from_row(row: Any) -> Decision:
    """The decision of a row."""
    return Decision(
        Preference(row.preference), row.is_insurers, row.reason, row.actor, row.decided_at, version=row.version
    )


def row_from_offer(offer: Offered) -> dict[str, Any]:
    """What the row of an offer says of it alone."""
    return {
        "term_number": offer.term_number,
        "quote_id": offer.quote_id,
        "timeline_sequence": offer.timeline_sequence,
        "starts_on": offer.starts_on,
        "offered_at": offer.offered_at,
    }


def offer_from_row(row: Any) -> Offered:
    """The offer of a row."""
    return Offered(row.term_number, row.quote_id, row.timeline_sequence, row.starts_on, row.offered_at)
