"""A contract whose next term is to come, for tests: 1200.00 net in 2025, 17 % tax, a fee of 25.00, paid in time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any
from uuid import UUID

from libs import ids
from libs.calendar import start_of
from libs.money import Money
from libs.premium import ChargeLine, Coverage, InsuredObject, LineKind, Premium
from services.policies.lifecycle.rules import renewal
from services.policies.lifecycle.rules.charges import Tax
from services.policies.lifecycle.rules.contract import Contract, draft, put
from services.policies.lifecycle.rules.policy import issue
from services.policies.lifecycle.rules.product import CancellationRule, FeeRule, ProductRules, RenewalRule, TaxRule
from services.policies.lifecycle.rules.quote import RENEWAL, Quote
from services.policies.lifecycle.rules.renewal import Decision, Preference
from services.policies.lifecycle.rules.returns import Method, Return
from services.policies.lifecycle.rules.transaction import CoverStart, Price, TransactionType

EUR = "EUR"
STARTS_ON, ENDS_ON, NEXT_END = date(2025, 1, 1), date(2026, 1, 1), date(2027, 1, 1)
ON_PAYMENT = RenewalRule(offer_days=45, is_automatic=True, covers_in_grace=False, late_days=30)
IN_GRACE = replace(ON_PAYMENT, covers_in_grace=True)
RULES = ProductRules(
    "motor",
    1,
    taxes=(TaxRule(Tax("premium_tax", Fraction(17, 100))),),
    fees=(
        FeeRule("policy_fee", Money(2500, EUR), frozenset({"new_business"})),
        FeeRule("renewal_fee", Money(1000, EUR), frozenset({"renewal"})),
    ),
    cancellations=(CancellationRule("insurer", frozenset({"underwriter"}), Return(Method.PRO_RATA), notice_days=30),),
    renewal=ON_PAYMENT,
)


def at(day: date, hour: int = 12) -> datetime:
    """An hour of a day where the policy is."""
    return start_of(day, "UTC") + timedelta(hours=hour)


def quote(net: int = 130000, fee: tuple[str, int] = ("renewal_fee", 1000), **changes: Any) -> Quote:
    """A quote of a net premium for one coverage of one car, with its tax and a fee; for the next term as a rule."""
    tax = Money(net, EUR).times(Fraction(17, 100))
    starts_on, ends_on = changes.get("starts_on", ENDS_ON), changes.get("ends_on", NEXT_END)
    fields: dict[str, Any] = {
        "id": ids.new(),
        "user_id": UUID(int=1),
        "created_by": UUID(int=1),
        "product_code": "motor",
        "product_version": 2,
        "time_zone": "UTC",
        "state": "accepted",
        "valid_until": at(ENDS_ON + timedelta(days=60)),
        "starts_on": starts_on,
        "ends_on": ends_on,
        "premium": Premium(Money(net, EUR), tax, Money(fee[1], EUR)),
        "coverages": (Coverage("liability"),),
        "plans": {"annual": 1, "quarterly": 4},
        "kind": RENEWAL,
        "answers": {"driver_age": 35},
        "objects": (InsuredObject("vehicle_1", "vehicle", {"plate": "AA-00-AA"}, "AA-00-AA"),),
        "lines": (
            ChargeLine(LineKind.PREMIUM, Money(net, EUR), starts_on, ends_on, "liability", "", "vehicle_1"),
            ChargeLine(LineKind.TAX, tax, starts_on, starts_on, "", "premium_tax"),
            ChargeLine(LineKind.FEE, Money(fee[1], EUR), starts_on, starts_on, "", fee[0]),
        ),
        "timeline_sequence": 2,
        "policy_id": ids.encode("pol", UUID(int=7)),
    }
    return Quote(**fields | changes)


def contract(terms: RenewalRule | None = ON_PAYMENT, *, is_paid: bool = True) -> Contract:
    """The policy with its first term."""
    rules = replace(RULES, renewal=terms)
    new = quote(120000, ("policy_fee", 2500), starts_on=STARTS_ON, ends_on=ENDS_ON, product_version=1)
    policy, opening = issue(
        new,
        "annual",
        at(STARTS_ON, -9),
        policy_id=UUID(int=7),
        transaction_id=ids.new(),
        number="M",
        payer_id=new.user_id,
    )
    full_term = policy.terms[0].segments[0].full_term
    opening = replace(opening, prices=(Price(1, policy.terms[0].segments[0].risk, full_term),))
    made = Contract(policy, (opening,), {1: rules, 2: replace(rules, version=2)})
    return activated(made, 1, at(STARTS_ON, -8)) if is_paid else made


def activated(made: Contract, term_number: int, paid_at: datetime) -> Contract:
    """The contract with the first premium of a term paid."""
    term = made.policy.term_numbered(term_number)
    assert term is not None
    starts_at = max(start_of(term.starts_on, "UTC"), paid_at)
    change = CoverStart(term_number, starts_at)
    transaction = draft(
        made, TransactionType.ACTIVATION, term.starts_on, paid_at, change,
        transaction_id=ids.new(), term_number=term_number,
    )  # fmt: skip
    after = put(made, transaction)
    return Contract(after.after, (*made.stack, after.transaction), made.rules)


def renewed(made: Contract, offer: Quote, now: datetime, decision: Decision | None = None) -> Contract:
    """The contract with its next term."""
    changed = renewal.renew(made, offer, decision, now, transaction_id=ids.new())
    return Contract(changed.after, (*made.stack, changed.transaction), made.rules)


def decided(preference: Preference, *, by_insurer: bool = False) -> Decision:
    """What somebody decided of the next term."""
    return Decision(preference, by_insurer, "reason", "usr_x", datetime(2025, 6, 1, tzinfo=UTC))
