"""How a policy is billed, as its holder is shown it: every schedule that there was, and what became of its parts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from libs.premium import Premium
from services.payments.billing.rules.account import Account
from services.payments.billing.rules.plan import Installment


class PartState(StrEnum):
    """How far an installment has come."""

    PLANNED = "planned"
    INVOICED = "invoiced"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class Part:
    """An installment, and what became of it."""

    term_number: int
    installment: Installment
    state: PartState
    invoice_id: UUID | None
    is_settled: bool


@dataclass(frozen=True, slots=True)
class KnownSchedule:
    """The installments of a term from one transaction on, until a later schedule took their place."""

    transaction_id: UUID
    term_number: int
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Billing:
    """How a policy is billed."""

    account: Account
    plan_code: str
    premium: Premium
    """What the policy costs: all that was charged, less what was given back."""
    schedules: tuple[KnownSchedule, ...]
    """In the order they were made."""

    @property
    def user_id(self) -> UUID:
        """The party whose policy it is."""
        return self.account.user_id

    @property
    def partner_id(self) -> UUID | None:
        """The partner who serves the policy."""
        return self.account.partner_id

    @property
    def parts(self) -> list[Part]:
        """What was billed, and the newest schedule of each term."""
        newest = {schedule.term_number: schedule for schedule in self.schedules}
        shown = [
            part
            for schedule in self.schedules
            for part in schedule.parts
            if part.state is PartState.INVOICED or newest[part.term_number] is schedule
        ]
        return sorted(shown, key=lambda part: (part.term_number, part.installment.number))
