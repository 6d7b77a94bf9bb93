"""Policies in the database: tables, converters, and functions that take a session and never commit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, aliased, mapped_column

from libs.db import Database, Query
from libs.db.scoping import scoped
from libs.identity.scopes import Scope
from libs.money import Money
from libs.premium import Coverage, Premium
from services.policies.lifecycle.rules.policy import Policy, Segment, Term, Transaction, TransactionType


class Row(DeclarativeBase):
    """The tables of this service."""

    type_annotation_map = {datetime: sa.DateTime(timezone=True), list[Any]: JSONB, int: sa.BigInteger}  # noqa: RUF012


class PolicyRow(Row):
    """One contract; what changes in it is only derived from its transactions."""

    __tablename__ = "policies"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[str]
    user_id: Mapped[UUID]
    quote_id: Mapped[UUID]
    product_code: Mapped[str]
    product_version: Mapped[int]
    plan_code: Mapped[str]
    time_zone: Mapped[str]
    issued_at: Mapped[datetime]
    activated_at: Mapped[datetime | None]
    version: Mapped[int]


class NumberRow(Row):
    """The last policy number of a prefix and a year."""

    __tablename__ = "policy_numbers"

    prefix: Mapped[str] = mapped_column("product_code", primary_key=True)  # the column keeps its first name
    year: Mapped[int] = mapped_column(primary_key=True)
    last: Mapped[int]


class PaymentMethodRow(Row):
    """The token with which a first premium is to be collected. It is not kept among the arguments of the job that needs
    it: they are shown to operators and written to the log.
    """

    __tablename__ = "payment_methods"

    policy_id: Mapped[UUID] = mapped_column(primary_key=True)
    token: Mapped[str]


class TransactionRow(Row):
    """One issued change; append-only."""

    __tablename__ = "policy_transactions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    policy_id: Mapped[UUID]
    sequence: Mapped[int]
    type: Mapped[str]
    effective_on: Mapped[date]
    issued_at: Mapped[datetime]
    premium_change: Mapped[int]
    currency: Mapped[str]
    source_id: Mapped[str]


class TermRow(Row):
    """One agreed period; append-only."""

    __tablename__ = "terms"

    policy_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    transaction_id: Mapped[UUID]
    starts_on: Mapped[date]
    ends_on: Mapped[date]


class SegmentRow(Row):
    """One stretch of a term; append-only."""

    __tablename__ = "segments"

    policy_id: Mapped[UUID] = mapped_column(primary_key=True)
    term_number: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    transaction_id: Mapped[UUID]
    starts_on: Mapped[date]
    ends_on: Mapped[date]
    currency: Mapped[str]
    net: Mapped[int]
    tax: Mapped[int]
    fees: Mapped[int]
    coverages: Mapped[list[Any]]


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


def read_policy(database: Database, policy_id: UUID) -> Policy | None:
    """The policy as it stands, outside of any transaction and as fast as can be."""
    rows = database.read(_READ_BY_ID, id=policy_id)
    return policy_from_rows(rows) if rows else None


def find_policy(session: Session, policy_id: UUID) -> Policy | None:
    """The policy as the transaction sees it."""
    rows = session.execute(_BY_ID, {"id": policy_id}).all()
    return policy_from_rows(rows) if rows else None


def find_policy_of_quote(session: Session, quote_id: UUID) -> UUID | None:
    """The policy that was issued from a quote."""
    return session.scalar(sa.select(_policies.c.id).where(_policies.c.quote_id == quote_id))


def lock_policy(session: Session, policy_id: UUID) -> Policy | None:
    """The policy as it stands, kept from other changes until the transaction ends."""
    session.execute(sa.select(_policies.c.id).where(_policies.c.id == policy_id).with_for_update())
    return find_policy(session, policy_id)


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


def list_transactions(session: Session, policy_id: UUID, after: int, limit: int) -> Sequence[Transaction]:
    """The stack of a policy, oldest first, behind the sequence `after`."""
    query = (
        sa.select(*TransactionRow.__table__.c)
        .where(TransactionRow.policy_id == policy_id, TransactionRow.sequence > after)
        .order_by(TransactionRow.sequence)
        .limit(limit)
    )
    return [transaction_from_row(row) for row in session.execute(query)]


def next_number(session: Session, prefix: str, year: int) -> int:
    """Take the next policy number. The row stays locked until the transaction ends, so that none is skipped."""
    statement = insert(NumberRow).values(product_code=prefix, year=year, last=1)
    statement = statement.on_conflict_do_update(
        index_elements=["product_code", "year"], set_={"last": NumberRow.last + 1}
    )
    return session.execute(statement.returning(NumberRow.last)).scalar_one()


def add_policy(session: Session, policy: Policy, transaction: Transaction) -> None:
    """Save a new contract with its first transaction, term and segment."""
    premium = policy.term.premium
    session.add(row_from_policy(policy))
    session.flush()
    session.add(row_from_transaction(policy.id, transaction))
    session.flush()
    session.add(
        TermRow(
            policy_id=policy.id,
            number=policy.term.number,
            transaction_id=transaction.id,
            starts_on=policy.term.starts_on,
            ends_on=policy.term.ends_on,
        )
    )
    session.flush()
    for segment in policy.term.segments:
        session.add(
            SegmentRow(
                policy_id=policy.id,
                term_number=policy.term.number,
                number=segment.number,
                transaction_id=transaction.id,
                starts_on=segment.starts_on,
                ends_on=segment.ends_on,
                currency=premium.net.currency,
                net=segment.premium.net.minor,
                tax=segment.premium.tax.minor,
                fees=segment.premium.fees.minor,
                coverages=[list(coverage.to_minor()) for coverage in segment.coverages],
            )
        )
    session.flush()


def keep_payment_method(session: Session, policy_id: UUID, token: str) -> None:
    """Remember with what a first premium is to be collected."""
    session.add(PaymentMethodRow(policy_id=policy_id, token=token))
    session.flush()


def find_payment_method(session: Session, policy_id: UUID) -> str:
    """The token for a first premium; empty where the policyholder pays it, and once it is forgotten."""
    query = sa.select(PaymentMethodRow.token).where(PaymentMethodRow.policy_id == policy_id)
    return session.scalar(query) or ""


def forget_payment_method(session: Session, policy_id: UUID) -> None:
    """Forget the token for a first premium."""
    session.execute(sa.delete(PaymentMethodRow).where(PaymentMethodRow.policy_id == policy_id))


def add_transaction(session: Session, policy: Policy, transaction: Transaction) -> None:
    """Put a transaction on a policy's stack, and what the policy derives from it beside."""
    session.add(row_from_transaction(policy.id, transaction))
    session.execute(
        sa.update(PolicyRow)
        .where(PolicyRow.id == policy.id)
        .values(activated_at=policy.activated_at, version=policy.version)
    )


def row_from_policy(policy: Policy) -> PolicyRow:
    """The row of a contract."""
    return PolicyRow(
        id=policy.id,
        number=policy.number,
        user_id=policy.user_id,
        quote_id=policy.quote_id,
        product_code=policy.product_code,
        product_version=policy.product_version,
        plan_code=policy.plan_code,
        time_zone=policy.time_zone,
        issued_at=policy.issued_at,
        activated_at=policy.activated_at,
        version=policy.version,
    )


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
            tuple(_segment_from_row(row) for row in rows),
        ),
        issued_at=first.issued_at,
        activated_at=first.activated_at,
        version=first.version,
    )


def row_from_transaction(policy_id: UUID, transaction: Transaction) -> TransactionRow:
    """The row of a transaction."""
    return TransactionRow(
        id=transaction.id,
        policy_id=policy_id,
        sequence=transaction.sequence,
        type=transaction.type,
        effective_on=transaction.effective_on,
        issued_at=transaction.issued_at,
        premium_change=transaction.premium_change.minor,
        currency=transaction.premium_change.currency,
        source_id=transaction.source_id,
    )


def transaction_from_row(row: Any) -> Transaction:
    """The transaction of a row."""
    return Transaction(
        row.id,
        row.sequence,
        TransactionType(row.type),
        row.effective_on,
        row.issued_at,
        Money(row.premium_change, row.currency),
        row.source_id,
    )


def _segment_from_row(row: Any) -> Segment:
    currency = row.currency
    premium = Premium.of_minor(row.net, row.tax, row.fees, currency)
    coverages = tuple(Coverage.of_minor(*value, currency=currency) for value in row.coverages)
    return Segment(row.segment_number, row.starts_on, row.ends_on, coverages, premium)
