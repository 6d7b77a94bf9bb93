"""What an underwriter approved of a risk, and at what terms: as long as it stands, these rules refer it no more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from services.quotes.catalogue.rules.product import Product
from services.quotes.catalogue.rules.variables import codes_in
from services.quotes.quoting.rules.underwriting import Decision, Outcome, Reason
from services.quotes.rating.rules.coverage import Deductible
from services.quotes.rating.rules.facts import Facts
from services.quotes.rating.rules.loading import Loading


@dataclass(frozen=True, slots=True)
class Approval:
    """The rules that were approved, with the loadings, conditions and deductibles that it took."""

    rules: tuple[str, ...] = ()
    loadings: tuple[Loading, ...] = ()
    conditions: tuple[str, ...] = ()
    deductibles: tuple[Deductible, ...] = ()
    """In the order in which they were set; the last one of a coverage holds."""

    def open_reasons(self, reasons: tuple[Reason, ...]) -> tuple[Reason, ...]:
        """The reasons that an underwriter has yet to decide on."""
        return tuple(reason for reason in reasons if reason.rule_code not in self.rules)

    def outcome(self, decision: Decision) -> Outcome:
        """What the rules and the approval come to together. What declines is never approved."""
        if decision.outcome is Outcome.REFERRED and not self.open_reasons(decision.reasons):
            return Outcome.APPROVED
        return decision.outcome


NOTHING_APPROVED = Approval()


def kept(approval: Approval, product: Product, before: Facts, after: Facts) -> Approval:
    """What stays approved of a risk that changed: the rules that read nothing of the change.

    Loadings, conditions and deductibles stay as long as any rule does. Both facts are of one version of the product.
    """
    reads = {rule.code: list(codes_in(rule.when)) for rule in product.underwriting}
    rules = tuple(
        rule
        for rule in approval.rules
        if rule in reads and all(_values(before, code) == _values(after, code) for code in reads[rule])
    )
    return replace(approval, rules=rules) if rules else NOTHING_APPROVED


def _values(facts: Facts, code: str) -> list[object]:
    """All values of a variable: the one of the risk, or that of each object."""
    if code in facts.whole:
        return [facts.whole[code]]
    return list(_of_objects(facts, code))


def _of_objects(facts: Facts, code: str) -> Iterator[object]:
    for many in facts.each.values():
        yield from ((name, values[code]) for name, values in many if code in values)
