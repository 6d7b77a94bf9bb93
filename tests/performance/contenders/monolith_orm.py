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
from tests.performance.contenders.monolith_answer import policy_of
from tests.performance.contenders.platform_code import ids, may_read, spans


class Row(DeclarativeBase):
    """The tables of the read."""

    type_annotation_map = {datetime: sa.DateTime(timezone=True), list[Any]: JSONB}  # noqa: RUF012


class Policy(Row):
    """A contract."""

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
    terms: Mapped[list[Term]] = relationship(order_by="Term.number")


class Term(Row):
    """An agreed period."""

    __tablename__ = "terms"

    policy_id: Mapped[UUID] = mapped_column(sa.ForeignKey("policies.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    starts_on: Mapped[date]
    ends_on: Mapped[date]
    segments: Mapped[list[Segment]] = relationship(order_by="Segment.segment_number")


class Segment(Row):
    """A stretch of a term."""

    __tablename__ = "segments"
    __table_args__ = (sa.ForeignKeyConstraint(["policy_id", "term_number"], ["terms.policy_id", "terms.number"]),)

    policy_id: Mapped[UUID] = mapped_column(primary_key=True)
    term_number: Mapped[int] = mapped_column(primary_key=True)
    segment_number: Mapped[int] = mapped_column("number", primary_key=True)
    starts_on: Mapped[date]
    ends_on: Mapped[date]
    currency: Mapped[str]
    net: Mapped[int]
    tax: Mapped[int]
    fees: Mapped[int]
    coverages: Mapped[list[Any]]


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


class Premium(BaseModel):
    """What cover costs."""

    net: Amount
    tax: Amount
    fees: Amount
    total: Amount


class Coverage(BaseModel):
    """One coverage."""

    coverageCode: str
    limit: Amount | None = None
    deductible: Amount | None = None


class SegmentShown(BaseModel):
    """A stretch of a term, as it is answered."""

    segmentNumber: int
    startDate: Day
    endDate: Day
    coverages: list[Coverage]
    premium: Premium


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


def _session(request: Request) -> Iterator[Session]:
    with request.app.state.sessions() as session:
        yield session


InRequest = Annotated[Session, Depends(_session)]


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
    current_term = joinedload(Policy.terms).joinedload(Term.segments)

    @app.get(ROUTE, response_model_exclude_none=True)
    def read_policy(policy_id: PolicyId, caller: Signed, session: InRequest) -> PolicyShown:
        policy = session.get(Policy, ids.decode("pol", policy_id), options=[current_term])
        if policy is None or not may_read(caller, policy.user_id):
            raise HTTPException(404)
        term = policy.terms[-1]
        shown = policy_of(policy, (term.number, term.starts_on, term.ends_on), term.segments, datetime.now(UTC))
        return PolicyShown.model_validate(shown)

    return Observed(app)
