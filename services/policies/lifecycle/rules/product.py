"""What a version of a product says of the policies that have it. It never changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from libs.money import Money
from services.policies.lifecycle.rules.charges import Fee, Tariff, Tax
from services.policies.lifecycle.rules.returns import Return

NEW_BUSINESS, RENEWAL, ENDORSEMENT = "new_business", "renewal", "endorsement"


@dataclass(frozen=True, slots=True)
class TaxRule:
    """A tax, and the first day of terms that it is charged for; None where it always was."""

    tax: Tax
    valid_from: date | None = None


@dataclass(frozen=True, slots=True)
class FeeRule:
    """A fee of the price, and when it is charged; always, where no occasion is named."""

    code: str
    amount: Money
    occasions: frozenset[str] = frozenset()
    is_returned: bool = True
    """Whether a flat cancellation returns it."""


class CoverStartRule(StrEnum):
    """The moment at which cover begins."""

    ON_PAYMENT = "on_payment"
    NEXT_MIDNIGHT = "next_midnight"
    START_OF_DAY = "start_of_day"


@dataclass(frozen=True, slots=True)
class CoverRule:
    """When cover begins, and how many days back a change may take effect, by the role of who issues it."""

    starts: CoverStartRule = CoverStartRule.ON_PAYMENT
    backdating_days: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChangeRule:
    """Who may change what is insured, and how that is settled."""

    roles: frozenset[str]
    charges_at_once: bool = False
    """Whether what it adds is due at once; otherwise it is spread over the installments to come."""
    refunds_credit: bool = False
    """Whether what it gives back is paid out; otherwise it stays on the account."""
    latest_days_before_end: int = 0


@dataclass(frozen=True, slots=True)
class CancellationRule:
    """Who may cancel for a reason, when, and how premium comes back."""

    reason: str
    roles: frozenset[str]
    how: Return
    notice_days: int = 0
    """Calendar days from sending the notice to the end of cover."""
    within_days: int = 0
    """Calendar days from issue in which it may be used; 0 where that is not limited."""


@dataclass(frozen=True, slots=True)
class RenewalRule:
    """When the next term is offered, and whether its cover begins before it is paid."""

    offer_days: int
    is_automatic: bool
    covers_in_grace: bool
    late_days: int = 0


@dataclass(frozen=True, slots=True)
class ReinstatementRule:
    """For how long cover that ended can be put back, with a gap or without, and whether a statement is needed."""

    window_days: int
    with_gap: bool = True
    needs_statement: bool = True


@dataclass(frozen=True, slots=True)
class ProductRules:
    """What a version of a product says of its policies, as far as it is decided here."""

    product_code: str
    version: int
    taxes: tuple[TaxRule, ...] = ()
    fees: tuple[FeeRule, ...] = ()
    cover: CoverRule = CoverRule()
    change: ChangeRule | None = None
    cancellations: tuple[CancellationRule, ...] = ()
    renewal: RenewalRule | None = None
    reinstatement: ReinstatementRule | None = None
    grace_days: int = 0
    """Days of cover after a due date on which nothing is paid."""

    def tariff(self, term_number: int, starts_on: date) -> Tariff:
        """The taxes and fees of a term."""
        opens = NEW_BUSINESS if term_number == 1 else RENEWAL
        fees = (
            Fee(
                rule.code,
                rule.amount,
                not rule.occasions or opens in rule.occasions,
                ENDORSEMENT in rule.occasions,
                rule.is_returned,
            )
            for rule in self.fees
        )
        return Tariff(self._taxes_on(starts_on), tuple(fee for fee in fees if fee.of_term or fee.of_change))

    def cancellation(self, reason: str) -> CancellationRule | None:
        """The rule for a reason; None where nobody may cancel for it."""
        return next((rule for rule in self.cancellations if rule.reason == reason), None)

    def _taxes_on(self, day: date) -> tuple[Tax, ...]:
        """The taxes of a term that begins on a day: of a code with several rates, the one that began last."""
        begun = [rule for rule in self.taxes if (rule.valid_from or date.min) <= day]
        newest = {rule.tax.code: rule for rule in sorted(begun, key=lambda rule: rule.valid_from or date.min)}
        return tuple(rule.tax for rule in begun if newest[rule.tax.code] is rule)
