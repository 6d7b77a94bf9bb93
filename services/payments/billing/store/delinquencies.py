"""Delinquencies of policies, and the steps of dunning that were done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from libs.db.scoping import scoped
from libs.identity.scopes import Scope
from libs.money import Money
from services.payments.billing.rules.delinquency import Delinquency, Ending, Known, State, Suspension
from services.payments.billing.rules.dunning import Action, Done
from services.payments.billing.store.rows import AccountRow, Row


class DelinquencyRow(Row):
    """An episode in which premium of a policy is past due. At its end it no longer changes."""

    __tablename__ = "delinquencies"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID]
    version: Mapped[int]
    state: Mapped[str]
    due_on: Mapped[date]
    currency: Mapped[str]
    amount: Mapped[int]
    term_number: Mapped[int]
    opened_at: Mapped[datetime]
    grace_ends_on: Mapped[date | None]
    held_days: Mapped[int]
    steps_done: Mapped[int]
    next_on: Mapped[date | None]
    suspended_on: Mapped[date | None]
    suspended_until: Mapped[date | None]
    suspension_reason: Mapped[str]
    ending: Mapped[str | None]
    ended_at: Mapped[datetime | None]


class StepRow(Row):
    """A step that was done; append-only."""

    __tablename__ = "dunning_steps"

    delinquency_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    action: Mapped[str]
    day: Mapped[int]
    amount: Mapped[int]
    grace_ends_on: Mapped[date]
    done_at: Mapped[datetime]


_rows = DelinquencyRow.__table__
_accounts = AccountRow.__table__
_steps = StepRow.__table__
_ALL = sa.select(*_rows.c)
# Written out, so that the index of just these is seen to fit.
_IS_OPEN = _rows.c.state != sa.literal(State.SETTLED.value, literal_execute=True)
_OPEN = _ALL.where(_rows.c.account_id == sa.bindparam("account_id"), _IS_OPEN)
_IDS = sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid)))
_LOCK_OPEN_OF_ALL = (
    _ALL.where(_rows.c.account_id == _IDS, _IS_OPEN).order_by(_rows.c.account_id).with_for_update(of=_rows)
)
_KNOWN = sa.select(*_rows.c, _accounts.c.customer_id, _accounts.c.partner_id, _accounts.c.time_zone).join(
    _accounts, _accounts.c.id == _rows.c.account_id
)
_LAST_VERSIONS = (
    sa.select(_rows.c.account_id, sa.func.max(_rows.c.version).label("last"))
    .where(_rows.c.account_id == _IDS)
    .group_by(_rows.c.account_id)
)
_ADD = sa.insert(_rows)
_SAVE = sa.update(_rows).where(_rows.c.id == sa.bindparam("key"))
_ADD_STEP = sa.insert(_steps)


def find(session: Session, delinquency_id: UUID) -> Known | None:
    """The delinquency as it stands."""
    row = session.execute(_KNOWN.where(_rows.c.id == delinquency_id)).one_or_none()
    return known_from_row(row) if row else None


def lock(session: Session, delinquency_id: UUID) -> Known | None:
    """The delinquency as it stands, kept from other changes until the transaction ends.

    Whoever changes invoices of its account as well locks them before it.
    """
    query = _KNOWN.where(_rows.c.id == delinquency_id).with_for_update(of=_rows)
    row = session.execute(query).one_or_none()
    return known_from_row(row) if row else None


def lock_open(session: Session, account_id: UUID) -> Delinquency | None:
    """The delinquency of an account that is not settled, kept from other changes."""
    row = session.execute(_OPEN.with_for_update(), {"account_id": account_id}).one_or_none()
    return delinquency_from_row(row) if row else None


def lock_open_of_all(session: Session, account_ids: Sequence[UUID]) -> Mapping[UUID, Delinquency]:
    """As `lock_open`, for many accounts; without those that have none."""
    rows = session.execute(_LOCK_OPEN_OF_ALL, {"ids": list(account_ids)})
    return {row.account_id: delinquency_from_row(row) for row in rows}


def find_is_lapsing(session: Session, account_id: UUID) -> bool:
    """Whether the policy of an account is just lapsing."""
    row = session.execute(_OPEN, {"account_id": account_id}).one_or_none()
    return row is not None and row.state == State.LAPSING


def find_last_versions(session: Session, account_ids: Sequence[UUID]) -> Mapping[UUID, int]:
    """The versions that the last step of a delinquency of accounts got; without those that never had one."""
    return {row.account_id: row.last for row in session.execute(_LAST_VERSIONS, {"ids": list(account_ids)})}


def list_of(
    session: Session, scope: Scope, policy_id: UUID | None, after: UUID | None, limit: int, *, is_open: bool
) -> Sequence[Known]:
    """The delinquencies of a scope, newest first, behind the one whose id is `after`; all, or only open ones."""
    query = scoped(_KNOWN, scope, owner=_accounts.c.customer_id, partner=_accounts.c.partner_id)
    if policy_id is not None:
        query = query.where(_rows.c.account_id == policy_id)
    if is_open:
        query = query.where(_IS_OPEN)
    if after is not None:
        query = query.where(_rows.c.id < after)
    return [known_from_row(row) for row in session.execute(query.order_by(_rows.c.id.desc()).limit(limit))]


def add(session: Session, delinquency: Delinquency) -> None:
    """Save a new delinquency. The index `delinquencies_one_open` refuses a second open one of an account."""
    row = {
        "id": delinquency.id,
        "account_id": delinquency.account_id,
        "due_on": delinquency.due_on,
        "currency": delinquency.amount.currency,
        "term_number": delinquency.term_number,
        "opened_at": delinquency.opened_at,
    }
    session.execute(_ADD, {**row, **changes_from_delinquency(delinquency)})


def save(session: Session, delinquency: Delinquency) -> None:
    """Save what changed in a delinquency. The database refuses to change one that came to its end."""
    session.execute(_SAVE, {"key": delinquency.id, **changes_from_delinquency(delinquency)})


def add_steps(session: Session, delinquency_id: UUID, steps: Iterable[Done]) -> None:
    """Save that steps were done, once: the primary key refuses a second time."""
    rows = [
        {
            "delinquency_id": delinquency_id,
            "number": step.number,
            "action": step.action,
            "day": step.day,
            "amount": step.amount,
            "grace_ends_on": step.grace_ends_on,
            "done_at": step.done_at,
        }
        for step in steps
    ]
    if rows:
        session.execute(_ADD_STEP, rows)


def find_steps(session: Session, delinquency_id: UUID) -> Sequence[Done]:
    """The steps of a delinquency that were done, in their order."""
    query = sa.select(*_steps.c).where(_steps.c.delinquency_id == delinquency_id).order_by(_steps.c.number)
    return [
        Done(row.number, Action(row.action), row.day, row.amount, row.grace_ends_on, row.done_at)
        for row in session.execute(query)
    ]


def changes_from_delinquency(delinquency: Delinquency) -> dict[str, Any]:
    """The part of a delinquency's row that changes."""
    suspension = delinquency.suspension
    return {
        "version": delinquency.version,
        "state": delinquency.state,
        "amount": delinquency.amount.minor,
        "grace_ends_on": delinquency.grace_ends_on,
        "held_days": delinquency.held_days,
        "steps_done": delinquency.steps_done,
        "next_on": delinquency.next_on,
        "suspended_on": suspension.began_on if suspension else None,
        "suspended_until": suspension.until if suspension else None,
        "suspension_reason": suspension.reason if suspension else "",
        "ending": delinquency.ending,
        "ended_at": delinquency.ended_at,
    }


def delinquency_from_row(row: Any) -> Delinquency:
    """The delinquency of a row."""
    is_suspended = row.suspended_on is not None
    return Delinquency(
        id=row.id,
        account_id=row.account_id,
        version=row.version,
        due_on=row.due_on,
        amount=Money(row.amount, row.currency),
        term_number=row.term_number,
        opened_at=row.opened_at,
        state=State(row.state),
        grace_ends_on=row.grace_ends_on,
        held_days=row.held_days,
        steps_done=row.steps_done,
        next_on=row.next_on,
        suspension=Suspension(row.suspended_on, row.suspended_until, row.suspension_reason) if is_suspended else None,
        ending=Ending(row.ending) if row.ending else None,
        ended_at=row.ended_at,
    )


def known_from_row(row: Any) -> Known:
    """The delinquency of a row, with whose policy it is about."""
    return Known(delinquency_from_row(row), row.customer_id, row.partner_id, row.time_zone)
