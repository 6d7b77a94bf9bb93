"""Schedules: the installments of a term from one transaction to the next."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from libs import ids
from libs.premium import LineKind
from services.payments.billing.rules.amounts import Amounts, Column
from services.payments.billing.rules.applying import Planned, Schedule
from services.payments.billing.rules.billing import KnownSchedule, Part, PartState
from services.payments.billing.rules.plan import Installment
from services.payments.billing.rules.transaction import ENDINGS
from services.payments.billing.store.rows import (
    AccountRow,
    InstallmentRow,
    InvoiceRow,
    ScheduleRow,
    TransactionRow,
)

_schedules = ScheduleRow.__table__
_installments = InstallmentRow.__table__
_ADD = sa.insert(_schedules)
_ADD_INSTALLMENTS = sa.insert(_installments)
_PLANNED = (
    sa.select(_schedules.c.transaction_id, _schedules.c.term_number, *_installments.c, AccountRow.currency)
    .join(_schedules, _schedules.c.id == _installments.c.schedule_id)
    .join(AccountRow, AccountRow.id == _schedules.c.account_id)
    .where(_schedules.c.account_id == sa.bindparam("account_id"), _installments.c.state == "planned")
    .order_by(_installments.c.due_on, _schedules.c.term_number, _installments.c.number)
)

_ALL = (
    sa.select(
        _schedules.c.transaction_id,
        _schedules.c.term_number,
        *_installments.c,
        AccountRow.currency,
        InvoiceRow.id.label("invoice_id"),
        (InvoiceRow.status == "paid").label("is_settled"),
    )
    .join(_schedules, _schedules.c.id == _installments.c.schedule_id)
    .join(TransactionRow, TransactionRow.transaction_id == _schedules.c.transaction_id)
    .join(AccountRow, AccountRow.id == _schedules.c.account_id)
    .outerjoin(
        InvoiceRow,
        (_installments.c.state == "invoiced")
        & (InvoiceRow.policy_id == _schedules.c.account_id)
        & (InvoiceRow.term_number == _schedules.c.term_number)
        & (InvoiceRow.installment_number == _installments.c.number),
    )
    .where(_schedules.c.account_id == sa.bindparam("account_id"))
    .order_by(TransactionRow.sequence, _schedules.c.term_number, _schedules.c.id, _installments.c.number)
)

_BILLED = (
    sa.select(sa.func.coalesce(sa.func.max(InvoiceRow.installment_number), 0))
    .where(InvoiceRow.policy_id == _schedules.c.account_id, InvoiceRow.term_number == _schedules.c.term_number)
    .scalar_subquery()
)
_FALLEN = (
    sa.select(_schedules.c.term_number, *_installments.c, AccountRow.currency)
    .join(_schedules, _schedules.c.id == _installments.c.schedule_id)
    .join(TransactionRow, TransactionRow.transaction_id == _schedules.c.transaction_id)
    .join(AccountRow, AccountRow.id == _schedules.c.account_id)
    .where(
        _schedules.c.account_id == sa.bindparam("account_id"),
        TransactionRow.kind.not_in(sorted(ENDINGS)),
        _installments.c.number > _BILLED,
    )
    # One that takes the place of another is made later, whichever transaction it is of.
    .order_by(_schedules.c.term_number, _installments.c.number, _schedules.c.id)
)
_BEFORE = (
    sa.select(_schedules.c.id)
    .join(TransactionRow, TransactionRow.transaction_id == _schedules.c.transaction_id)
    .where(
        _schedules.c.account_id == sa.bindparam("account_id"),
        TransactionRow.sequence
        < sa.select(TransactionRow.sequence)
        .where(TransactionRow.transaction_id == sa.bindparam("transaction_id"))
        .scalar_subquery(),
    )
    .ext(distinct_on(_schedules.c.term_number))
    .order_by(_schedules.c.term_number, _schedules.c.id.desc())
)
_PLANNED_BEFORE = (
    sa.select(_schedules.c.term_number, *_installments.c, AccountRow.currency)
    .join(_schedules, _schedules.c.id == _installments.c.schedule_id)
    .join(AccountRow, AccountRow.id == _schedules.c.account_id)
    .where(_schedules.c.id.in_(_BEFORE), _installments.c.number > _BILLED)
    .order_by(_schedules.c.term_number, _installments.c.number)
)


def list_all(session: Session, account_id: UUID) -> Sequence[KnownSchedule]:
    """Every schedule of an account, in the order they were made. One that plans nothing is not among them."""
    made: dict[UUID, KnownSchedule] = {}
    for row in session.execute(_ALL, {"account_id": account_id}):
        installment = installment_from_row(row, row.currency)
        part = Part(row.term_number, installment, PartState(row.state), row.invoice_id, bool(row.is_settled))
        before = made.get(row.schedule_id) or KnownSchedule(row.transaction_id, row.term_number, ())
        made[row.schedule_id] = replace(before, parts=(*before.parts, part))
    return list(made.values())


def list_planned(session: Session, account_id: UUID) -> Sequence[Planned]:
    """What is planned for an account, in the order it falls due."""
    rows = session.execute(_PLANNED, {"account_id": account_id})
    return [
        Planned(row.schedule_id, row.transaction_id, row.term_number, installment_from_row(row, row.currency))
        for row in rows
    ]


def find_fallen(session: Session, account_id: UUID) -> dict[int, tuple[Installment, ...]]:
    """By term, the installments behind those that are billed as they would be planned if no cover had ended.

    An ending has what is left fall due earlier, also in what is planned behind it: the latest day is that of before.
    """
    fallen: dict[int, dict[int, Installment]] = {}
    for row in session.execute(_FALLEN, {"account_id": account_id}):
        part, parts = installment_from_row(row, row.currency), fallen.setdefault(row.term_number, {})
        due_on = max(part.due_on, parts[part.number].due_on) if part.number in parts else part.due_on
        parts[part.number] = replace(part, due_on=due_on)
    return {term_number: tuple(parts.values()) for term_number, parts in fallen.items()}


def find_before(session: Session, account_id: UUID, transaction_id: UUID) -> dict[int, tuple[Installment, ...]]:
    """By term, what was planned when a transaction came, as far as it is not billed since."""
    planned: dict[int, tuple[Installment, ...]] = {}
    for row in session.execute(_PLANNED_BEFORE, {"account_id": account_id, "transaction_id": transaction_id}):
        planned[row.term_number] = (*planned.get(row.term_number, ()), installment_from_row(row, row.currency))
    return planned


def list_due(session: Session, due_until: date, limit: int) -> Sequence[UUID]:
    """Accounts of which planned installments fall due until a day, earliest first.

    Only those of terms whose first premium is paid: nobody owes for a term that has not begun to count.
    """
    unpaid = sa.select(InvoiceRow.id).where(
        InvoiceRow.policy_id == _schedules.c.account_id,
        InvoiceRow.term_number == _schedules.c.term_number,
        InvoiceRow.payable_until.is_not(None),
        InvoiceRow.status != "paid",
    )
    query = (
        sa.select(_schedules.c.account_id)
        .select_from(_installments)
        .join(_schedules, _schedules.c.id == _installments.c.schedule_id)
        # Written out, so that the index of just these is seen to fit.
        .where(
            _installments.c.state == sa.literal("planned", literal_execute=True),
            _installments.c.due_on <= due_until,
            ~unpaid.exists(),
        )
        .group_by(_schedules.c.account_id)
        .order_by(sa.func.min(_installments.c.due_on), _schedules.c.account_id)
        .limit(limit)
    )
    return list(session.scalars(query))


def add(session: Session, account_id: UUID, transaction_id: UUID, schedule: Schedule, billed: Collection[int]) -> None:
    """Save the schedule that a transaction made, with the numbers of the installments that are billed at once."""
    schedule_id = ids.new()
    row = {"id": schedule_id, "account_id": account_id, "transaction_id": transaction_id}
    session.execute(_ADD, {**row, "term_number": schedule.term_number})
    if schedule.installments:
        session.execute(
            _ADD_INSTALLMENTS,
            [
                {
                    "schedule_id": schedule_id,
                    "state": "invoiced" if part.number in billed else "planned",
                    **row_from_installment(part),
                }
                for part in schedule.installments
            ],
        )


def save_superseded(session: Session, schedule_ids: Collection[UUID]) -> None:
    """Save that what is planned by some schedules will not be billed."""
    planned = _installments.c.schedule_id.in_(schedule_ids) & (_installments.c.state == "planned")
    session.execute(sa.update(_installments).where(planned).values(state="superseded"))


def save_invoiced(session: Session, schedule_id: UUID, number: int) -> None:
    """Save that a planned installment is billed."""
    part = (_installments.c.schedule_id == schedule_id) & (_installments.c.number == number)
    session.execute(sa.update(_installments).where(part).values(state="invoiced"))


def row_from_installment(part: Installment) -> dict[str, Any]:
    """What the row of an installment says of it alone."""
    columns = {f"{kind}:{code}": minor for (kind, code), minor in part.amounts.columns.items()}
    return {"number": part.number, "due_on": part.due_on, "columns": columns, "total": part.amounts.total.minor}


def installment_from_row(row: Any, currency: str) -> Installment:
    """The installment of a row."""
    columns: Mapping[str, int] = row.columns
    amounts: dict[Column, int] = {}
    for name, minor in columns.items():
        kind, _, code = name.partition(":")
        amounts[LineKind(kind), code] = minor
    return Installment(row.number, row.due_on, Amounts(currency, amounts))
