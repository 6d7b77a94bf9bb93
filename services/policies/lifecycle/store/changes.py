"""What transactions change, and the prices that they brought along, in the database.

What is not written down with a transaction stands in the timeline that it wrote: the first term with its price, the
start of cover after its payment, and that nothing is covered where it was not taken.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from fractions import Fraction
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from libs.money import Money
from libs.premium import Coverage, InsuredObject
from services.policies.lifecycle.rules.returns import Method, Return
from services.policies.lifecycle.rules.term import EndKind, Item, Risk
from services.policies.lifecycle.rules.transaction import (
    Change,
    CoverStart,
    Delta,
    Ending,
    Opening,
    Price,
    Reopening,
    Transaction,
    TransactionType,
)
from services.policies.lifecycle.store.rows import TimelineRow, TimelineSegmentRow

_FLAT = Return(Method.FLAT)
_WRITTEN = (
    sa.select(
        *TimelineRow.__table__.c,
        *(TimelineSegmentRow.__table__.c[name] for name in ("answers", "objects", "coverages", "lines")),
    )
    .outerjoin(
        TimelineSegmentRow,
        (TimelineSegmentRow.transaction_id == TimelineRow.transaction_id)
        & (TimelineSegmentRow.term_number == TimelineRow.term_number)
        & (TimelineSegmentRow.number == 1),
    )
    .where(TimelineRow.policy_id == sa.bindparam("policy_id"))
)


def find_written(session: Session, policy_id: UUID, ids: Collection[UUID]) -> Mapping[UUID, Any]:
    """The timeline that each of these transactions wrote, with its first segment; one of them wrote one term."""
    if not ids:
        return {}
    query = _WRITTEN.where(TimelineRow.transaction_id.in_(sorted(ids)))
    return {row.transaction_id: row for row in session.execute(query, {"policy_id": policy_id})}


def completed_from_row(transaction: Transaction, row: Any) -> Transaction:
    """A transaction with the change that the timeline it wrote says of it."""
    match transaction.type:
        case TransactionType.NEW_BUSINESS:
            risk = _risk_from_plain((row.answers, row.objects, row.coverages), row.currency)
            opening = Opening(row.term_number, row.starts_on, row.ends_on, row.product_version, risk)
            price = Price(row.term_number, risk, _full_term_from_plain(row.lines, row.currency))
            return replace(transaction, change=opening, prices=(price,))
        case TransactionType.ACTIVATION if row.cover_starts_at is not None:
            return replace(transaction, change=CoverStart(row.term_number, row.cover_starts_at))
        case TransactionType.NOT_TAKEN:
            return replace(transaction, change=Ending(EndKind.NOT_TAKEN, _FLAT))
        case _:
            return transaction


def row_from_change(transaction: Transaction) -> dict[str, Any] | None:
    """What a transaction changes, with its prices, as JSON; None for what the timeline says that it wrote."""
    if transaction.type is TransactionType.NEW_BUSINESS:
        return None
    plain = _change_to_plain(transaction.change)
    if transaction.prices:
        plain["prices"] = [
            [price.term_number, *_risk_to_plain(price.risk), _full_term_to_plain(price.full_term)]
            for price in transaction.prices
        ]
    return plain or None


def change_from_row(row: Any) -> Change | None:
    """What a transaction changes; None where its row does not say."""
    plain = row.change or {}
    match plain.get("kind"):
        case "opening":
            days = date.fromisoformat(plain["starts_on"]), date.fromisoformat(plain["ends_on"])
            risk = _risk_from_plain(plain["risk"], row.currency)
            since, starts_at = plain.get("covered_from"), plain.get("cover_starts_at")
            return Opening(
                plain["term_number"],
                *days,
                plain["product_version"],
                risk,
                date.fromisoformat(since) if since else None,
                datetime.fromisoformat(starts_at) if starts_at else None,
            )
        case "delta":
            return Delta(
                plain["answers"],
                tuple(InsuredObject(*item) for item in plain["objects"]),
                frozenset(plain["removed_objects"]),
                tuple(Coverage.of_minor(*item, currency=row.currency) for item in plain["coverages"]),
                frozenset(plain["removed_coverages"]),
                plain.get("fields", {}),
                plain.get("identifiers", {}),
                plain.get("overrides", False),
            )
        case "ending":
            return Ending(EndKind(plain["as"]), _return_from_plain(plain))
        case "reopening":
            return Reopening(plain.get("statement", ""))
        case "cover_start":
            return CoverStart(plain["term_number"], datetime.fromisoformat(plain["starts_at"]))
        case _:
            return None


def prices_from_row(row: Any) -> tuple[Price, ...]:
    """The prices that a transaction brought along."""
    return tuple(
        Price(number, _risk_from_plain(risk, row.currency), _full_term_from_plain(lines, row.currency))
        for number, *risk, lines in (row.change or {}).get("prices", ())
    )


def _change_to_plain(change: Change | None) -> dict[str, Any]:
    match change:
        case Opening(number, starts_on, ends_on, version, risk, covered_from, cover_starts_at):
            days = {"starts_on": starts_on.isoformat(), "ends_on": ends_on.isoformat()}
            named = {"kind": "opening", "term_number": number, "product_version": version}
            starts = {
                "covered_from": covered_from.isoformat() if covered_from else None,
                "cover_starts_at": cover_starts_at.isoformat() if cover_starts_at else None,
            }
            return {**named, **days, **starts, "risk": _risk_to_plain(risk)}
        case Delta(answers, objects, removed_objects, coverages, removed_coverages, fields, identifiers, overrides):
            return {
                "kind": "delta",
                "answers": dict(answers),
                "objects": [item.to_plain() for item in objects],
                "removed_objects": sorted(removed_objects),
                "coverages": [list(item.to_minor()) for item in coverages],
                "removed_coverages": sorted(removed_coverages),
                "fields": {name: dict(values) for name, values in fields.items()},
                "identifiers": dict(identifiers),
                "overrides": overrides,
            }
        case Ending(kind, how):
            return {"kind": "ending", "as": kind, **_return_to_plain(how)}
        case Reopening(statement):
            return {"kind": "reopening"} | ({"statement": statement} if statement else {})
        case CoverStart(number, starts_at):
            return {"kind": "cover_start", "term_number": number, "starts_at": starts_at.isoformat()}
        case None:
            return {}


def _return_to_plain(how: Return) -> dict[str, Any]:
    """A way in which premium comes back. Shares are fractions as text: exact."""
    return {
        "method": how.method,
        "rate": str(how.rate),
        "table": [[day, str(share)] for day, share in how.table],
        "minimum_earned": str(how.minimum_earned),
    }


def _return_from_plain(plain: Mapping[str, Any]) -> Return:
    table = tuple((day, Fraction(share)) for day, share in plain["table"])
    return Return(Method(plain["method"]), Fraction(plain["rate"]), table, Fraction(plain["minimum_earned"]))


def _risk_to_plain(risk: Risk) -> list[Any]:
    objects, coverages = [item.to_plain() for item in risk.objects], [list(item.to_minor()) for item in risk.coverages]
    return [dict(risk.answers), objects, coverages]


def _risk_from_plain(plain: Sequence[Any], currency: str) -> Risk:
    answers, objects, coverages = plain
    return Risk(
        answers,
        tuple(InsuredObject(*item) for item in objects),
        tuple(Coverage.of_minor(*item, currency=currency) for item in coverages),
    )


def _full_term_to_plain(full_term: Mapping[Item, Money]) -> list[Any]:
    return [[object_id, code, amount.minor] for (object_id, code), amount in full_term.items()]


def _full_term_from_plain(lines: Sequence[Any], currency: str) -> dict[Item, Money]:
    return {(object_id, code): Money(minor, currency) for object_id, code, minor in lines}
