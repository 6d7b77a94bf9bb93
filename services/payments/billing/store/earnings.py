"""How far the premium of each policy is earned, and what earning needs to know of policies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from libs.db import bulk
from libs.money import Money
from services.payments.billing.rules.earning import Earnable, Part
from services.payments.billing.rules.transaction import TimelineLine
from services.payments.billing.store.rows import AccountRow, EarningRow

_accounts = AccountRow.__table__
_earnings = EarningRow.__table__
# There is nothing to earn where all of the newest timeline was.
_UNEARNED = sa.or_(
    _earnings.c.policy_id.is_(None),
    sa.and_(
        _earnings.c.earned_until < sa.bindparam("day"),
        sa.or_(_earnings.c.sequence < _accounts.c.last_sequence, _earnings.c.earned_until < _earnings.c.ends_on),
    ),
)
_FROM = _accounts.outerjoin(_earnings, _earnings.c.policy_id == _accounts.c.id)
_UNEARNED_IDS = (
    sa.select(_accounts.c.id)
    .select_from(_FROM)
    .where(_accounts.c.id > sa.bindparam("after"), _UNEARNED)
    .order_by(_accounts.c.id)
    .limit(sa.bindparam("limit"))
)
_COUNT = sa.select(sa.func.count()).select_from(_FROM).where(_UNEARNED)
_LOCK = sa.text("SELECT policy_id FROM earnings WHERE policy_id = ANY(:ids) ORDER BY policy_id FOR UPDATE")
_ACCOUNTS = sa.text("""
    SELECT id, currency, partner_id, last_sequence, withdrawn_at IS NOT NULL AND NOT EXISTS (
        SELECT FROM applied_transactions WHERE account_id = account.id AND kind = 'not_taken'
    ) AS is_withdrawn, earned_until, earnings.sequence AS earned_sequence
    FROM billing_accounts AS account LEFT JOIN earnings ON policy_id = account.id
    WHERE id = ANY(:ids)
""")
# Of each term, the newest transaction counts that wrote its timeline, or took the term's premium back and left none.
_TIMELINES = sa.text("""
    SELECT account_id, written.term_number, object_id, coverage_code, starts_on, ends_on, full_term_amount, term_days
    FROM (
        SELECT DISTINCT ON (account_id, terms.term_number) account_id, terms.term_number, transaction_id
        FROM unnest(cast(:ids AS uuid[]), cast(:sequences AS bigint[])) AS picture (account_id, last_sequence)
        JOIN applied_transactions AS applied USING (account_id)
        CROSS JOIN LATERAL (
            SELECT term_number FROM timeline_lines AS line WHERE line.transaction_id = applied.transaction_id
            UNION
            SELECT term_number FROM charge_lines AS line
            WHERE line.transaction_id = applied.transaction_id AND kind = 'premium'
        ) AS terms (term_number)
        WHERE sequence <= last_sequence
        ORDER BY account_id, terms.term_number, sequence DESC
    ) AS written
    JOIN timeline_lines AS line
        ON line.transaction_id = written.transaction_id AND line.term_number = written.term_number
""")
_WRITTEN = sa.text("""
    SELECT account_id, coverage_code, term_number_of_line AS term_number, sum(amount)::bigint AS amount
    FROM unnest(cast(:ids AS uuid[]), cast(:sequences AS bigint[])) AS picture (account_id, last_sequence)
    JOIN applied_transactions AS applied USING (account_id)
    JOIN (
        SELECT transaction_id, coverage_code, term_number AS term_number_of_line, amount FROM charge_lines
        WHERE kind = 'premium'
    ) AS line USING (transaction_id)
    WHERE sequence <= last_sequence GROUP BY 1, 2, 3
""")
_SAVE = bulk.adding(
    _earnings,
    ("policy_id", "sequence", "earned_until", "ends_on"),
    """ON CONFLICT (policy_id) DO UPDATE
        SET sequence = excluded.sequence, earned_until = excluded.earned_until, ends_on = excluded.ends_on
        WHERE (earnings.earned_until, earnings.sequence) < (excluded.earned_until, excluded.sequence)""",
)


@dataclass(frozen=True, slots=True)
class Earned:
    """A policy, and how far it is earned: until which day, in the picture of which transaction."""

    policy: Earnable
    until: date | None
    sequence: int


def list_unearned(session: Session, day: date, after: UUID, limit: int) -> Sequence[UUID]:
    """Policies that are not earned up to a day, in the order of their ids behind `after`."""
    return session.scalars(_UNEARNED_IDS, {"day": day, "after": after, "limit": limit}).all()


def find_unearned_count(session: Session, day: date) -> int:
    """How many policies are not earned up to a day."""
    return session.scalar(_COUNT, {"day": day}) or 0


def lock_all(session: Session, policy_ids: Sequence[UUID]) -> Collection[UUID]:
    """Keep how far policies are earned from other changes until the transaction ends; gives those that were earned.

    Whoever earns locks before it reads: what it does not see then is not there when it books. An account is locked
    before it, if at all.
    """
    return session.scalars(_LOCK, {"ids": list(policy_ids)}).all()


def find_all(session: Session, policy_ids: Sequence[UUID]) -> dict[UUID, Earned]:
    """Policies as they stand."""
    rows = session.execute(_ACCOUNTS, {"ids": list(policy_ids)}).all()
    return _with_pictures(session, rows, {row.id: row.last_sequence for row in rows})


def find_as_earned(session: Session, policy_ids: Sequence[UUID]) -> dict[UUID, Earned]:
    """Policies as they stood when they were earned last; those that never were are left out."""
    rows = session.execute(_ACCOUNTS, {"ids": list(policy_ids)}).all()
    rows = [row for row in rows if row.earned_until is not None]
    return _with_pictures(session, rows, {row.id: row.earned_sequence for row in rows})


def save(session: Session, policies: Sequence[Earnable], until: date) -> None:
    """Note until which day policies are earned."""
    rows = [
        {"policy_id": policy.policy_id, "sequence": policy.sequence, "earned_until": until, "ends_on": policy.ends_on}
        for policy in policies
    ]
    if rows:
        session.execute(_SAVE, bulk.columns(rows))


def _with_pictures(session: Session, rows: Iterable[Any], sequences: Mapping[UUID, int]) -> dict[UUID, Earned]:
    """The policies of rows, each as the transaction of its sequence left it."""
    if not sequences:
        return {}
    values = {"ids": list(sequences), "sequences": list(sequences.values())}
    written: dict[UUID, dict[Part, int]] = defaultdict(dict)
    for line in session.execute(_WRITTEN, values):
        written[line.account_id][line.coverage_code, line.term_number] = line.amount
    currencies = {row.id: row.currency for row in rows}
    stretches: dict[UUID, list[TimelineLine]] = defaultdict(list)
    for line in session.execute(_TIMELINES, values):
        stretches[line.account_id].append(_stretch_from_row(line, currencies[line.account_id]))
    return {
        row.id: Earned(
            Earnable(
                row.id,
                row.currency,
                row.partner_id,
                sequences[row.id],
                row.is_withdrawn,
                written[row.id],
                stretches[row.id],
            ),
            row.earned_until,
            row.earned_sequence or 0,
        )
        for row in rows
    }


def _stretch_from_row(row: Any, currency: str) -> TimelineLine:
    return TimelineLine(
        row.term_number,
        row.object_id,
        row.coverage_code,
        row.starts_on,
        row.ends_on,
        Money(row.full_term_amount, currency),
        row.term_days,
    )
