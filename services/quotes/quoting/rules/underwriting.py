"""Underwriting: whether a risk is taken, needs a person's decision, or is not taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from services.quotes.catalogue.rules.product import Product
from services.quotes.rating.rules.facts import Facts, compile_for_risk


class Outcome(StrEnum):
    """What the rules say of a risk."""

    APPROVED = "approved"
    REFERRED = "referred"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class Reason:
    """A rule that referred or declined the risk."""

    rule_code: str
    text: str
    level: int = 0
    """What an underwriter's authority must reach to approve it: 0 to 9."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome, and the rules that led to it; none where the risk is taken."""

    outcome: Outcome
    reasons: tuple[Reason, ...] = ()


Decide = Callable[[Facts], Decision]

_APPROVED = Decision(Outcome.APPROVED)


def compile_rules(product: Product) -> Decide:
    """A function that decides by the rules of a product.

    A rule on objects holds if it holds of any of them. One rule that declines is final. A rule that refers counts
    unless a rule that approves waives it. What no rule speaks of is approved.
    """
    declining, referring = (
        [
            (compile_for_risk(product, r.when), Reason(r.code, r.text, r.level))
            for r in product.underwriting
            if r.decision == decision
        ]
        for decision in ("decline", "refer")
    )
    approving = [(compile_for_risk(product, r.when), r.waives) for r in product.underwriting if r.decision == "approve"]

    def decide(facts: Facts) -> Decision:
        declined = tuple(reason for holds, reason in declining if holds(facts))
        if declined:
            return Decision(Outcome.DECLINED, declined)
        referred = [reason for holds, reason in referring if holds(facts)]
        if referred:
            waived = {code for holds, codes in approving if holds(facts) for code in codes}
            referred = [reason for reason in referred if reason.rule_code not in waived]
        return Decision(Outcome.REFERRED, tuple(referred)) if referred else _APPROVED

    return decide
