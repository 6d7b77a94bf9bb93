"""Quotes in the database: converters, and functions that take a session and never commit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from libs.db.scoping import scoped
from libs.identity.scopes import Scope
from libs.money import Money
from libs.premium import Coverage, InsuredObject, LineKind
from services.quotes.quoting.rules.approval import NOTHING_APPROVED, Approval
from services.quotes.quoting.rules.filter import Filter
from services.quotes.quoting.rules.quote import OPEN, Kind, Quote, State
from services.quotes.quoting.rules.underwriting import Reason
from services.quotes.quoting.store.rows import QuoteRow
from services.quotes.rating.rules.coverage import Deductible
from services.quotes.rating.rules.loading import Loading
from services.quotes.rating.rules.price import Line, Price, PriceStep

_quotes = QuoteRow.__table__
_numbers = sa.Sequence("quote_numbers")
_ALL = sa.select(*_quotes.c)
_BY_ID = _ALL.where(_quotes.c.id == sa.bindparam("id"))
_LOCKED = _BY_ID.with_for_update()
_GROUP = _ALL.where(sa.or_(_quotes.c.id == sa.bindparam("group"), _quotes.c.group_id == sa.bindparam("group")))
_LOCKED_GROUP = _GROUP.order_by(_quotes.c.id).with_for_update()  # in one order, so that two calls do not deadlock
_ADD = sa.insert(_quotes)
_SAVE = sa.update(_quotes).where(_quotes.c.id == sa.bindparam("key"))
_SAVE_LINES = _SAVE.where(_quotes.c.lines.is_(None))


def find(session: Session, quote_id: UUID) -> Quote | None:
    """A quote."""
    row = session.execute(_BY_ID, {"id": quote_id}).one_or_none()
    return quote_from_row(row) if row else None


def lock(session: Session, quote_id: UUID) -> Quote | None:
    """A quote, kept from other changes until the transaction ends."""
    row = session.execute(_LOCKED, {"id": quote_id}).one_or_none()
    return quote_from_row(row) if row else None


def lock_group(session: Session, group_id: UUID) -> list[Quote]:
    """The quotes of a group, kept from other changes until the transaction ends."""
    return [quote_from_row(row) for row in session.execute(_LOCKED_GROUP, {"group": group_id})]


def list_of(
    session: Session, scope: Scope, criteria: Filter, now: datetime, after: UUID | None, limit: int
) -> Sequence[Quote]:
    """The quotes of a scope, newest first, behind the one whose id is `after`."""
    query = scoped(_ALL, scope, owner=_quotes.c.user_id, partner=_quotes.c.partner_id)
    query = query.order_by(_quotes.c.id.desc()).limit(limit)
    for column, value in (
        (_quotes.c.kind, criteria.kind), (_quotes.c.product_code, criteria.product_code),
        (_quotes.c.user_id, criteria.user_id), (_quotes.c.policy_id, criteria.policy_id),
        (_quotes.c.number, criteria.number),
    ):  # fmt: skip
        if value:
            query = query.where(column == value)
    if criteria.state is not None:
        query = query.where(_is_in(criteria.state, now))
    if criteria.group_id is not None:
        query = query.where(sa.or_(_quotes.c.id == criteria.group_id, _quotes.c.group_id == criteria.group_id))
    if criteria.since is not None:
        query = query.where(_quotes.c.created_at >= criteria.since)
    if criteria.until is not None:
        query = query.where(_quotes.c.created_at < criteria.until)
    if after is not None:
        query = query.where(_quotes.c.id < after)
    return [quote_from_row(row) for row in session.execute(query)]


def lock_without_lines(session: Session, after: UUID | None, limit: int) -> list[Quote]:
    """Priced quotes of programs that knew no lines, oldest first, behind the one whose id is `after`."""
    query = _ALL.where(_quotes.c.lines.is_(None)).order_by(_quotes.c.id).limit(limit)
    if after is not None:
        query = query.where(_quotes.c.id > after)
    return [quote_from_row(row) for row in session.execute(query.with_for_update(skip_locked=True))]


def save_lines(session: Session, quote: Quote) -> None:
    """Save the lines of a price that was stored without; what the quote says does not change by it."""
    session.execute(_SAVE_LINES, {"key": quote.id, "lines": _lines(quote.price)})


def add_number(session: Session) -> int:
    """Take the next quote number."""
    return session.execute(sa.select(_numbers.next_value())).scalar_one()


def add(session: Session, quote: Quote) -> None:
    """Save a new quote."""
    session.execute(_ADD, row_from_quote(quote))


def save(session: Session, quote: Quote, *, revised: bool = False) -> None:
    """Save what became of a quote; where it was `revised`, also what it asks and offers now."""
    terms = _terms_from_quote(quote) if revised else {}
    session.execute(_SAVE, {"key": quote.id, **terms, **changes_from_quote(quote)})


def save_expired(session: Session, now: datetime, limit: int) -> int:
    """Write down of at most `limit` quotes that their validity has ended; returns of how many.

    Their `version` stays: whoever reads them has seen them as expired since it ended. Quotes that are being changed
    are left for the next time.
    """
    ended = (
        sa.select(QuoteRow.id)
        .where(QuoteRow.state.in_(OPEN), QuoteRow.valid_until < now)
        .order_by(QuoteRow.valid_until)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    statement = sa.update(QuoteRow).where(QuoteRow.id.in_(ended)).values(state=State.EXPIRED).returning(QuoteRow.id)
    return len(session.execute(statement.execution_options(synchronize_session=False)).all())


def _is_in(state: State, now: datetime) -> sa.ColumnElement[bool]:
    """The condition that `Quote.state` is `state` at a moment."""
    recorded = _quotes.c.state == state
    if state is State.EXPIRED:
        return recorded | (_quotes.c.state.in_(OPEN) & (_quotes.c.valid_until < now))
    return recorded & (_quotes.c.valid_until >= now) if state in OPEN else recorded


def row_from_quote(quote: Quote) -> dict[str, Any]:
    """The row of a quote."""
    return {
        "id": quote.id,
        "number": quote.number,
        "user_id": quote.user_id,
        "created_by": quote.created_by,
        "partner_id": quote.partner_id,
        "group_id": quote.group_id,
        "kind": quote.kind,
        "timeline_sequence": quote.timeline_sequence or None,
        "product_code": quote.product_code,
        "time_zone": quote.time_zone,
        "currency": quote.currency,
        "created_at": quote.created_at,
        **_terms_from_quote(quote),
        **changes_from_quote(quote),
    }


def _terms_from_quote(quote: Quote) -> dict[str, Any]:
    """The part of a quote's row that a revision fixes."""
    price = quote.price
    return {
        "product_version": quote.product_version,
        "starts_on": quote.starts_on,
        "ends_on": quote.ends_on,
        "answers": dict(quote.answers),
        "coverages": [list(coverage.to_minor()) for coverage in quote.coverages],
        "objects": [insured.to_plain() for insured in quote.objects],
        "net": price.net if price else None,
        "tax": price.tax if price else None,
        "fees": price.fees if price else None,
        "steps": [list(step) for step in price.steps] if price else [],
        "lines": _lines(price),
        "reasons": [[reason.rule_code, reason.text, reason.level] for reason in quote.reasons],
        "plans": [list(plan) for plan in quote.plans.items()],  # a list, because they have an order
        "valid_until": quote.valid_until,
        "revision": quote.revision,
        "revised_by": quote.revised_by,
        "approved_rules": list(quote.approval.rules),
        "loadings": [[loading.coverage_code, str(loading.rate)] for loading in quote.approval.loadings],
        "conditions": list(quote.approval.conditions),
        "deductibles": [[code, amount.minor] for code, amount in quote.approval.deductibles],
    }


def changes_from_quote(quote: Quote) -> dict[str, Any]:
    """The part of a quote's row that changes without a revision."""
    return {
        "state": quote.recorded_state,
        "accepted_at": quote.accepted_at,
        "policy_id": quote.policy_id,
        "bound_transaction_id": quote.transaction_id,
        "withdraw_reason": quote.withdraw_reason or None,
        "question": quote.question or None,
        "answer_due_at": quote.answer_due_at,
        "version": quote.version,
    }


def quote_from_row(row: Any) -> Quote:
    """The quote of a row."""
    currency = row.currency
    return Quote(
        id=row.id,
        number=row.number,
        user_id=row.user_id,
        created_by=row.created_by or row.user_id,
        group_id=row.group_id or row.id,
        partner_id=row.partner_id,
        kind=Kind(row.kind),
        withdraw_reason=row.withdraw_reason or "",
        approval=_approval_from_row(row),
        revised_by=row.revised_by,
        question=row.question or "",
        answer_due_at=row.answer_due_at,
        timeline_sequence=row.timeline_sequence or 0,
        product_code=row.product_code,
        product_version=row.product_version,
        time_zone=row.time_zone,
        currency=currency,
        recorded_state=State(row.state),
        starts_on=row.starts_on,
        ends_on=row.ends_on,
        answers=row.answers,
        coverages=tuple(Coverage.of_minor(*value, currency=currency) for value in row.coverages),
        objects=tuple(InsuredObject(*value) for value in row.objects or ()),
        price=_price_from_row(row),
        reasons=tuple(Reason(*reason) for reason in row.reasons),
        plans=dict(row.plans),
        valid_until=row.valid_until,
        created_at=row.created_at,
        accepted_at=row.accepted_at,
        policy_id=row.policy_id,
        transaction_id=row.bound_transaction_id,
        revision=row.revision,
        version=row.version,
    )


def _approval_from_row(row: Any) -> Approval:
    if not row.approved_rules:
        return NOTHING_APPROVED
    loadings = tuple(Loading(code, Decimal(rate)) for code, rate in row.loadings or ())
    deductibles = tuple(Deductible(code, Money(minor, row.currency)) for code, minor in row.deductibles or ())
    return Approval(tuple(row.approved_rules), loadings, tuple(row.conditions or ()), deductibles)


def _lines(price: Price | None) -> list[list[Any]]:
    return [list(line) for line in price.lines] if price else []


def lines_from_row(row: Any) -> tuple[Line, ...]:
    """The lines of the price of a row; none of a program that knew none."""
    return tuple(Line(LineKind(kind), *rest) for kind, *rest in row.lines or ())


def _price_from_row(row: Any) -> Price | None:
    if row.net is None:
        return None
    steps = tuple(PriceStep(*step) for step in row.steps)
    return Price(row.currency, row.net, row.tax, row.fees, steps, lines_from_row(row))
