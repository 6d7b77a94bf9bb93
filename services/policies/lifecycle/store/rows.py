"""The tables of policies."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Row(DeclarativeBase):
    """The tables of this module."""

    __table__: ClassVar[sa.Table]

    type_annotation_map = {  # noqa: RUF012
        datetime: sa.DateTime(timezone=True),
        list[Any]: JSONB,
        dict[str, Any]: JSONB,
        int: sa.BigInteger,
    }


class PolicyRow(Row):
    """One contract; what changes in it is only derived from its transactions."""

    __tablename__ = "policies"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[str]
    user_id: Mapped[UUID]
    created_by: Mapped[UUID | None]
    payer_id: Mapped[UUID | None]
    partner_id: Mapped[UUID | None]
    quote_id: Mapped[UUID]
    product_code: Mapped[str]
    product_version: Mapped[int]
    plan_code: Mapped[str]
    time_zone: Mapped[str]
    issued_at: Mapped[datetime]
    activated_at: Mapped[datetime | None]
    version: Mapped[int]
    has_timeline: Mapped[bool]
    is_not_renewed: Mapped[bool]
    offered_term: Mapped[int | None]


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
    term_number: Mapped[int]
    change: Mapped[dict[str, Any] | None]
    reason: Mapped[str]
    actor: Mapped[str]
    reverses: Mapped[UUID | None]
    quote_id: Mapped[UUID | None]
    billing_sequence: Mapped[int | None]
    lines: Mapped[list[Any] | None]
    note: Mapped[str]


class TimelineRow(Row):
    """A term as one transaction left it; append-only."""

    __tablename__ = "timelines"

    transaction_id: Mapped[UUID] = mapped_column(primary_key=True)
    term_number: Mapped[int] = mapped_column(primary_key=True)
    policy_id: Mapped[UUID]
    sequence: Mapped[int]
    issued_at: Mapped[datetime]
    segments_of: Mapped[UUID]
    starts_on: Mapped[date]
    ends_on: Mapped[date]
    cover_starts_at: Mapped[datetime | None]
    ended_as: Mapped[str | None]
    ended_on: Mapped[date | None]
    product_version: Mapped[int]
    currency: Mapped[str]
    charges: Mapped[list[Any]]


class TimelineSegmentRow(Row):
    """One stretch of a term in one version of its timeline; append-only."""

    __tablename__ = "timeline_segments"

    transaction_id: Mapped[UUID] = mapped_column(primary_key=True)
    term_number: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    starts_on: Mapped[date]
    ends_on: Mapped[date]
    answers: Mapped[dict[str, Any]]
    objects: Mapped[list[Any]]
    coverages: Mapped[list[Any]]
    lines: Mapped[list[Any]]


class ObjectRow(Row):
    """One thing that is insured, by what it is told by; it follows the newest timeline of its policy."""

    __tablename__ = "policy_objects"

    policy_id: Mapped[UUID] = mapped_column(primary_key=True)
    object_id: Mapped[str] = mapped_column(primary_key=True)
    starts_on: Mapped[date] = mapped_column(primary_key=True)
    ends_on: Mapped[date]
    object_code: Mapped[str]
    product_code: Mapped[str]
    identifier: Mapped[str]


class HandoverRow(Row):
    """A transaction gave a policy to other parties; append-only."""

    __tablename__ = "policy_parties"

    transaction_id: Mapped[UUID] = mapped_column(primary_key=True)
    policy_id: Mapped[UUID]
    sequence: Mapped[int]
    issued_at: Mapped[datetime]
    effective_on: Mapped[date]
    reason: Mapped[str]
    old_holder_id: Mapped[UUID]
    old_payer_id: Mapped[UUID]
    old_partner_id: Mapped[UUID | None]
    holder_id: Mapped[UUID]
    payer_id: Mapped[UUID]
    partner_id: Mapped[UUID | None]
    consent: Mapped[str]


class PartyVersionRow(Row):
    """The newest that users said of a customer."""

    __tablename__ = "party_versions"

    customer_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int]
    partner_id: Mapped[UUID | None]
    since: Mapped[date]


class LossMarkRow(Row):
    """What is claimed under a policy, as far as its changes have to know."""

    __tablename__ = "loss_marks"

    policy_id: Mapped[UUID] = mapped_column(primary_key=True)
    claim_id: Mapped[UUID] = mapped_column(primary_key=True)
    object_id: Mapped[str] = mapped_column(primary_key=True)
    coverage_code: Mapped[str] = mapped_column(primary_key=True)
    loss_at: Mapped[datetime]
    state: Mapped[str]
    is_paid: Mapped[bool]


class BeneficiarySetRow(Row):
    """The beneficiaries of a policy were set; append-only."""

    __tablename__ = "beneficiary_sets"

    policy_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    set_at: Mapped[datetime]
    actor: Mapped[str]


class BeneficiaryRow(Row):
    """One beneficiary of such a set, with a share in hundredths of a percent; append-only."""

    __tablename__ = "beneficiaries"

    policy_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    relationship: Mapped[str]
    share: Mapped[int]


class DelinquencyRow(Row):
    """What payments said last of a policy on which something is past due."""

    __tablename__ = "delinquencies"

    policy_id: Mapped[UUID] = mapped_column(primary_key=True)
    delinquency_id: Mapped[UUID]
    version: Mapped[int]
    state: Mapped[str]
    past_due: Mapped[int]
    currency: Mapped[str]
    since_on: Mapped[date | None]
    grace_ends_on: Mapped[date | None]
    recorded_at: Mapped[datetime]


class ApprovalRow(Row):
    """What somebody asked for, and how somebody else decided it, once."""

    __tablename__ = "approvals"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    policy_id: Mapped[UUID]
    action: Mapped[str]
    transaction_id: Mapped[UUID | None]
    with_gap: Mapped[bool]
    ask_reason: Mapped[str]
    asked_by: Mapped[str]
    asked_at: Mapped[datetime]
    needed: Mapped[str]
    until: Mapped[datetime]
    decided_as: Mapped[str | None]
    decided_by: Mapped[str]
    decided_at: Mapped[datetime | None]
    decision_reason: Mapped[str]


class RenewalRow(Row):
    """The offer of a next term that was made without being asked for."""

    __tablename__ = "renewals"

    policy_id: Mapped[UUID] = mapped_column(primary_key=True)
    term_number: Mapped[int] = mapped_column(primary_key=True)
    quote_id: Mapped[UUID]
    timeline_sequence: Mapped[int]
    starts_on: Mapped[date]
    offered_at: Mapped[datetime]


class RenewalDecisionRow(Row):
    """What somebody decided of the next term of a policy; append-only."""

    __tablename__ = "renewal_decisions"

    policy_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    preference: Mapped[str]
    is_insurers: Mapped[bool]
    reason: Mapped[str]
    actor: Mapped[str]
    decided_at: Mapped[datetime]


class TermRow(Row):
    """The term of a policy of before; append-only."""

    __tablename__ = "terms"

    policy_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    transaction_id: Mapped[UUID]
    starts_on: Mapped[date]
    ends_on: Mapped[date]


class SegmentRow(Row):
    """The one segment of a policy of before; append-only."""

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
