# ruff: noqa: N815 - fields are named as they are answered
"""The monolith as it is usually written: mapped classes with relationships, a session for each request, a model of
the answer.

The target is against the fastest form, in `monolith.py`; this one tells how much of the distance is that form.
Joined loading is faster here than one query for each relationship (1,560 against 1,900 µs of CPU), and granian is
as fast as uvicorn.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from fastapi import Depends, HTTPException, Request
from pydantic import BaseModel
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, joinedload, mapped_column, relationship, sessionmaker

from tests.performance.contenders.monolith import ROUTE, Observed, PolicyId, Signed, begin
from tests.performance.contenders.monolith_answer import Term, policy_of
from tests.performance.contenders.platform_code import ids, may_read, spans


class Row(DeclarativeBase):
    """The tables of the read."""

    type_annotation_map = {datetime: sa.DateTime(timezone=True), list[Any]: JSONB, dict[str, Any]: JSONB}  # noqa: RUF012


class Policy(Row):
    """A contract."""

    __tablename__ = "policies"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[str]
    user_id: Mapped[UUID]
    created_by: Mapped[UUID]
    payer_id: Mapped[UUID]
    quote_id: Mapped[UUID]
    product_code: Mapped[str]
    plan_code: Mapped[str]
    time_zone: Mapped[str]
    issued_at: Mapped[datetime]
    activated_at: Mapped[datetime | None]
    version: Mapped[int]
    timelines: Mapped[list[Timeline]] = relationship(order_by="Timeline.sequence")


class Timeline(Row):
    """A term as a transaction left it."""

    __tablename__ = "timelines"

    transaction_id: Mapped[UUID] = mapped_column(primary_key=True)
    term_number: Mapped[int] = mapped_column(primary_key=True)
    policy_id: Mapped[UUID] = mapped_column(sa.ForeignKey("policies.id"))
    sequence: Mapped[int]
    segments_of: Mapped[UUID]
    starts_on: Mapped[date]
    ends_on: Mapped[date]
    cover_starts_at: Mapped[datetime | None]
    product_version: Mapped[int]
    currency: Mapped[str]
    charges: Mapped[list[Any]]
    segments: Mapped[list[Segment]] = relationship(
        order_by="Segment.starts_on",
        primaryjoin="and_(foreign(Segment.transaction_id) == Timeline.segments_of,"
        " foreign(Segment.term_number) == Timeline.term_number)",
        viewonly=True,
    )


class Segment(Row):
    """A stretch of a term."""

    __tablename__ = "timeline_segments"

    transaction_id: Mapped[UUID] = mapped_column(primary_key=True)
    term_number: Mapped[int] = mapped_column(primary_key=True)
    segment_number: Mapped[int] = mapped_column("number", primary_key=True)
    starts_on: Mapped[date]
    ends_on: Mapped[date]
    answers: Mapped[dict[str, Any]]
    objects: Mapped[list[Any]]
    coverages: Mapped[list[Any]]
    lines: Mapped[list[Any]]


class Day(BaseModel):
    """A date."""

    year: int
    month: int
    day: int


class Amount(BaseModel):
    """An amount of money."""

    currencyCode: str
    units: str
    nanos: int


class Line(BaseModel):
    """One amount of a price."""

    kind: str
    coverageCode: str
    chargeCode: str
    startDate: Day
    endDate: Day
    amount: Amount
    commissionable: bool
    objectId: str
    termNumber: int


class Premium(BaseModel):
    """What cover costs."""

    net: Amount
    tax: Amount
    fees: Amount
    total: Amount
    lines: list[Line]


class Coverage(BaseModel):
    """One coverage."""

    coverageCode: str
    limit: Amount | None = None
    deductible: Amount | None = None


class ObjectShown(BaseModel):
    """A thing or a person that is insured."""

    objectId: str
    objectCode: str
    identifier: str
    fields: dict[str, Any]


class SegmentLine(BaseModel):
    """What one coverage costs in a segment."""

    coverageCode: str
    objectId: str
    fullTermAmount: Amount
    amount: Amount


class SegmentShown(BaseModel):
    """A stretch of a term, as it is answered."""

    segmentNumber: int
    startDate: Day
    endDate: Day
    coverages: list[Coverage]
    net: Amount
    answers: dict[str, Any]
    objects: list[ObjectShown]
    lines: list[SegmentLine]


class TermShown(BaseModel):
    """A term, as it is answered."""

    termNumber: int
    startDate: Day
    endDate: Day
    premium: Premium
    segments: list[SegmentShown]


class PolicyShown(BaseModel):
    """The answer."""

    policyId: str
    policyNumber: str
    userId: str
    quoteId: str
    productCode: str
    productVersion: int
    state: str
    term: TermShown
    coverages: list[Coverage]
    planCode: str
    issueTime: str
    activateTime: str | None = None
    etag: str
    customerId: str
    payerId: str
    partnerId: str
    timeZone: str
    objects: list[ObjectShown]
    coverStartTime: str | None = None
    coverEndTime: str


def _session(request: Request) -> Iterator[Session]:
    with request.app.state.sessions() as session:
        yield session


InRequest = Annotated[Session, Depends(_session)]


def _term(row: Timeline) -> Term:
    return Term(
        row.term_number,
        row.starts_on,
        row.ends_on,
        row.cover_starts_at,
        row.product_version,
        row.currency,
        row.charges,
        row.segments,
    )


def application() -> Any:
    """Make the application; granian calls it in its worker."""
    app, settings = begin("monolith-orm")
    engine = sa.create_engine(
        settings.services["policies"].db_url.replace("postgresql://", "postgresql+psycopg://"),
        pool_size=settings.db.max_connections,
        max_overflow=0,
    )
    spans.trace_queries(engine, settings.db.slow_query.total_seconds())
    app.state.sessions = sessionmaker(engine)
    whole = joinedload(Policy.timelines).joinedload(Timeline.segments)

    @app.get(ROUTE, response_model_exclude_none=True)
    def read_policy(policy_id: PolicyId, caller: Signed, session: InRequest) -> PolicyShown:
        policy = session.get(Policy, ids.decode("pol", policy_id), options=[whole])
        if policy is None or not may_read(caller, policy.user_id):
            raise HTTPException(404)
        newest = {version.term_number: version for version in policy.timelines}  # in the order of their transactions
        terms = [_term(newest[number]) for number in sorted(newest)]
        return PolicyShown.model_validate(policy_of(policy, terms, datetime.now(UTC)))

    return Observed(app)
