"""What the nightly run of dunning goes through, and what it notes on invoices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.payments.billing.rules.arrears import Change
from services.payments.billing.rules.invoice import UNSETTLED
from services.payments.billing.rules.transaction import Kind
from services.payments.billing.store.delinquencies import DelinquencyRow
from services.payments.billing.store.rows import InvoiceRow, TransactionRow

_invoices = InvoiceRow.__table__
# Written out, so that the index of just these is seen to fit.
_IS_UNSETTLED = _invoices.c.status.in_([sa.literal(state.value, literal_execute=True) for state in UNSETTLED])

_CHANGES = (
    sa.select(
        TransactionRow.account_id,
        TransactionRow.transaction_id,
        TransactionRow.kind,
        TransactionRow.term_number,
        TransactionRow.term_ends_on,
        TransactionRow.effective_on,
        TransactionRow.reverses,
        TransactionRow.term_starts_on,
    )
    .where(TransactionRow.account_id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))))
    .order_by(TransactionRow.account_id, TransactionRow.sequence)
)


def list_due(session: Session, latest: date, after: UUID, limit: int) -> Sequence[UUID]:
    """Accounts that the run looks after, in the order of their identifiers, behind `after`.

    Those with unsettled invoices that no run has seen past due yet, and those of whose delinquency something is to be
    done. `latest` is the day that it is where days begin first.
    """
    late = (
        sa.select(_invoices.c.policy_id.label("account_id"))
        .where(*_fell_due(latest), _invoices.c.policy_id > after)
        .order_by(_invoices.c.policy_id)
        .distinct()
        .limit(limit)
    )
    going_on = (
        sa.select(DelinquencyRow.account_id)
        .where(_is_due(latest), DelinquencyRow.account_id > after)
        .order_by(DelinquencyRow.account_id)
        .limit(limit)
    )
    both = sa.union(sa.select(late.subquery()), sa.select(going_on.subquery())).subquery()
    return list(session.scalars(sa.select(both.c.account_id).order_by(both.c.account_id).limit(limit)))


def find_due_count(session: Session, latest: date) -> int:
    """About how many that are: an account may be counted twice."""
    late = sa.select(sa.func.count(_invoices.c.policy_id.distinct())).where(*_fell_due(latest))
    going_on = sa.select(sa.func.count()).select_from(DelinquencyRow).where(_is_due(latest))
    return int(session.execute(late).scalar_one()) + int(session.execute(going_on).scalar_one())


def save_seen(session: Session, invoice_ids: Collection[UUID], now: datetime) -> Collection[UUID]:
    """Save that invoices were seen past due; gives those that were not before."""
    query = (
        sa.update(_invoices)
        .where(_invoices.c.id.in_(invoice_ids), _invoices.c.past_due_at.is_(None))
        .values(past_due_at=now)
        .returning(_invoices.c.id)
    )
    return list(session.scalars(query))


def save_due_date(session: Session, invoice_ids: Collection[UUID], due_on: date) -> None:
    """Save another due date of invoices, from which on they are past due anew."""
    changes = {"due_on": due_on, "past_due_at": None, "version": _invoices.c.version + 1}
    session.execute(sa.update(_invoices).where(_invoices.c.id.in_(invoice_ids)).values(changes))


def save_not_seen(session: Session, account_id: UUID) -> None:
    """Have the run look again at the unsettled invoices of an account, whose policy is back."""
    query = sa.update(_invoices).where(_invoices.c.policy_id == account_id, _IS_UNSETTLED)
    session.execute(query.values(past_due_at=None))


def find_changes(session: Session, account_ids: Collection[UUID]) -> Mapping[UUID, Sequence[Change]]:
    """What the transactions of policies did to the days of their cover, in their order."""
    changes: dict[UUID, list[Change]] = defaultdict(list)
    for row in session.execute(_CHANGES, {"ids": list(account_ids)}):
        changes[row.account_id].append(Change(row[1], Kind(row[2]), *row[3:]))
    return changes


def _fell_due(latest: date) -> tuple[sa.ColumnElement[bool], ...]:
    return _IS_UNSETTLED, _invoices.c.past_due_at.is_(None), _invoices.c.due_on < latest


def _is_due(latest: date) -> sa.ColumnElement[bool]:
    return DelinquencyRow.next_on <= latest
