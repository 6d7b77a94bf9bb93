"""Segments of quotes for policies in the database: converters, and functions that take a session and never commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from libs.premium import Coverage, InsuredObject
from services.quotes.quoting.rules.quote import Kind, Quote, Segment
from services.quotes.quoting.store.quotes import lines_from_row
from services.quotes.quoting.store.rows import SegmentRow
from services.quotes.rating.rules.price import Price

_segments = SegmentRow.__table__
_ADD = sa.insert(_segments)
_OF_QUOTE = (
    sa.select(*_segments.c)
    .where(_segments.c.quote_id == sa.bindparam("id"), _segments.c.revision == sa.bindparam("revision"))
    .order_by(_segments.c.number)
)


def add(session: Session, quote: Quote) -> None:
    """Save what a revision of a quote says of the segments of its policy; most quotes have none."""
    if quote.segments:
        session.execute(_ADD, [row_from_segment(quote, n, s) for n, s in enumerate(quote.segments, start=1)])


def find(session: Session, quote: Quote) -> Quote:
    """The quote with its segments. Only a quote for a policy has any, so that others cost no query."""
    if quote.kind is Kind.NEW_BUSINESS:
        return quote
    rows: Sequence[Any] = session.execute(_OF_QUOTE, {"id": quote.id, "revision": quote.revision}).all()
    return replace(quote, segments=tuple(segment_from_row(quote.currency, row) for row in rows))


def row_from_segment(quote: Quote, number: int, segment: Segment) -> dict[str, Any]:
    """The row of a segment."""
    return {
        "quote_id": quote.id,
        "revision": quote.revision,
        "number": number,
        "starts_on": segment.starts_on,
        "ends_on": segment.ends_on,
        "answers": dict(segment.answers),
        "coverages": [list(coverage.to_minor()) for coverage in segment.coverages],
        "objects": [insured.to_plain() for insured in segment.objects],
        "is_changed": segment.is_changed,
        "net": segment.price.net,
        "tax": segment.price.tax,
        "fees": segment.price.fees,
        "lines": [list(line) for line in segment.price.lines],
    }


def segment_from_row(currency: str, row: Any) -> Segment:
    """The segment of a row."""
    return Segment(
        starts_on=row.starts_on,
        ends_on=row.ends_on,
        answers=row.answers,
        coverages=tuple(Coverage.of_minor(*value, currency=currency) for value in row.coverages),
        objects=tuple(InsuredObject(*value) for value in row.objects),
        is_changed=row.is_changed,
        price=Price(currency, row.net, row.tax, row.fees, (), lines_from_row(row)),
    )
