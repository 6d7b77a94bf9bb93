"""What a product says of a policy once it is sold: its taxes and fees, and how it changes, ends, renews and pays.

The quotes service reads and checks these rules and keeps them with the version; policies and payments go by them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Literal

from services.quotes.catalogue.rules.part import Part

Role = Literal["customer", "agent", "underwriter", "adjuster", "finance", "admin", "system"]
FeeOccasion = Literal["new_business", "renewal", "endorsement", "installment", "returned_debit"]


@dataclass(frozen=True, slots=True)
class Tax(Part):
    """A tax on the net premium of `coverages` (all of them where none is named), once for each code and term.

    It is charged for terms that begin on `valid_from` or later; of one code with several rates, the latest begun.
    """

    code: str
    rate: Decimal
    on: Literal["net"] = "net"
    coverages: tuple[str, ...] = ()
    valid_from: date | None = None
    authority: str = ""


@dataclass(frozen=True, slots=True)
class Fee(Part):
    """A fixed amount, free of tax and commission.

    Fees `when` an installment falls due or a debit is returned are charged by billing; the others are in the price.
    `installment`: in the first one, or spread over all. `returned`: with a flat cancellation, or never.
    """

    code: str
    amount: Decimal
    when: tuple[FeeOccasion, ...] = ("new_business",)
    installment: Literal["first", "spread"] = "first"
    returned: Literal["flat", "never"] = "flat"


@dataclass(frozen=True, slots=True)
class Cover(Part):
    """The moment at which cover begins, and how far ahead or back a first day may lie, back by the caller's role."""

    starts: Literal["on_payment", "next_midnight", "start_of_day"] = "on_payment"
    latest_days: int = 60
    backdating_days: dict[Role, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change(Part):
    """Who may change a policy, and how a charge and a credit are settled."""

    by: tuple[Role, ...]
    charge: Literal["spread", "at_once"] = "spread"
    credit: Literal["account", "refund"] = "account"
    latest_days_before_end: int = 0


@dataclass(frozen=True, slots=True)
class Cancellation(Part):
    """How much premium is returned for a reason, who may cancel for it, and with what notice.

    `short_rate` returns `rate` of the pro-rata premium. `table` keeps what its last row up to the days used (of 365)
    says. `minimum_earned` is the share of the written premium that is kept in any case.
    """

    reason: str
    by: tuple[Role, ...]
    method: Literal["pro_rata", "short_rate", "table", "flat", "none"]
    rate: Decimal | None = None
    table: dict[str, Decimal] = field(default_factory=dict)
    notice_days: int = 0
    within_days: int | None = None
    minimum_earned: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Renewal(Part):
    """When the next term is offered, and whether its cover begins before it is paid."""

    offer_days: int
    auto: bool
    cover: Literal["in_grace", "on_payment"]
    late_days: int = 0


@dataclass(frozen=True, slots=True)
class Reinstatement(Part):
    """For how long a lapsed policy can be put back, with a gap in its cover or without."""

    window_days: int
    with_gap: bool = True
    no_loss_statement: bool = True


@dataclass(frozen=True, slots=True)
class DunningStep(Part):
    """What happens so many days after the due date."""

    day: int
    do: Literal["retry", "remind", "notice", "lapse"]


@dataclass(frozen=True, slots=True)
class Dunning(Part):
    """What happens when an invoice is not paid, day by day after its due date."""

    grace_days: int
    steps: tuple[DunningStep, ...]
    lapse_on: Literal["grace_end"] = "grace_end"


@dataclass(frozen=True, slots=True)
class BillingPlan(Part):
    """A plan as it is billed: the share that is due at issue, and the fee of each later installment."""

    code: str
    installments: int
    down_payment: Decimal = Decimal(0)
    fee: str = ""


@dataclass(frozen=True, slots=True)
class Billing(Part):
    """How installments are billed and paid."""

    partial: bool = False
    billed_ahead_days: int = 7
    plans: tuple[BillingPlan, ...] = ()


@dataclass(frozen=True, slots=True)
class ClaimCoverage(Part):
    """How a loss under a coverage is settled."""

    deductible: Literal["off_loss", "off_limit"] = "off_loss"
    insurer_share: Decimal = Decimal(1)
    aggregate: Literal["term", "none"] = "none"
    initial_reserve: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Underinsurance(Part):
    """The share of its value for which a thing must be insured for a loss to be paid in full."""

    clause: Decimal


@dataclass(frozen=True, slots=True)
class Approval(Part):
    """The amount above which a second person approves."""

    second_above: Decimal


@dataclass(frozen=True, slots=True)
class Claims(Part):
    """Causes of loss, and how losses are reported and settled."""

    causes: tuple[str, ...]
    coverages: dict[str, ClaimCoverage] = field(default_factory=dict)
    underinsurance: dict[str, Underinsurance] = field(default_factory=dict)
    report_within_days: int | None = None
    appeal_days: int = 0
    approval: Approval | None = None
