"""What an underwriter approved of a policy before, as far as it stands in a change of it or in its next term."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from libs.errors import Invalid
from libs.premium import InsuredObject
from services.quotes.catalogue.rules.product import Product, Rule
from services.quotes.quoting.rules.approval import NOTHING_APPROVED, Approval, kept
from services.quotes.quoting.rules.quote import Quote
from services.quotes.rating.rules import answers, objects
from services.quotes.rating.rules.facts import Facts
from services.quotes.rating.rules.pricing import Tariff


@dataclass(frozen=True, slots=True)
class Earlier:
    """A quote that a policy took, with the version that it was priced with."""

    quote: Quote
    product: Product


def carried(
    earlier: Earlier | None,
    tariff: Tariff,
    after: Facts,
    starts_on: date,
    day: date,
    added: Mapping[str, date],
    holding: Collection[str] | None = None,
) -> Approval:
    """What stays approved of `earlier` from a day on, in a term that begins on `starts_on` and asks `after`.

    A rule stays that reads nothing of what is asked otherwise than before, and that refers the same in the version of
    `tariff`, to no higher level. Ages are those of the new term on both sides: that time passed is no other answer. Of
    a next term, only the rules that are `holding` stay. Loadings and conditions stay as long as any rule does.
    """
    if earlier is None or not earlier.quote.approval.rules:
        return NOTHING_APPROVED
    before = _facts_before(earlier.quote, tariff, starts_on, day, added)
    if before is None:
        return NOTHING_APPROVED
    approval = kept(earlier.quote.approval, tariff.product, before, after)
    known = {rule.code: rule for rule in earlier.product.underwriting}
    same = {rule.code for rule in tariff.product.underwriting if rule.code in known and _asks(known[rule.code], rule)}
    rules = tuple(code for code in approval.rules if code in same and (holding is None or code in holding))
    return replace(approval, rules=rules) if rules else NOTHING_APPROVED


def together(approvals: Sequence[Approval], opened: Collection[str]) -> Approval:
    """What is approved of all that a quote changes: the rules that nothing of it has opened anew.

    Its loadings and conditions are those of its last days, as are its price and its answers.
    """
    rules = dict.fromkeys(code for approval in approvals for code in approval.rules if code not in opened)
    return replace(approvals[-1], rules=tuple(rules)) if rules else NOTHING_APPROVED


def _asks(before: Rule, after: Rule) -> bool:
    """Whether who decided by a rule before has decided by it as it is now."""
    return (before.decision, before.when) == (after.decision, after.when) and before.level >= after.level


def _facts_before(quote: Quote, tariff: Tariff, starts_on: date, day: date, added: Mapping[str, date]) -> Facts | None:
    """What a quote asked of a day, as another version reads it; None where that asks what was not answered then."""
    product = tariff.product
    segment = next((each for each in quote.segments if each.starts_on <= day < each.ends_on), None)
    known = segment or quote
    asked, insured = as_asked(product, known.answers, known.objects)
    if answers.missing(product, asked) or objects.missing(product, insured):
        return None
    try:
        return tariff.make_facts(tariff.check_answers(asked), tariff.check_objects(insured), starts_on, added)
    except Invalid:
        return None


def as_asked(
    product: Product, given: Mapping[str, object], insured: Sequence[InsuredObject]
) -> tuple[dict[str, object], list[InsuredObject]]:
    """What a version asks, of all that is known."""
    questions = {question.code for question in product.questions}
    fields = {kind.code: {field.code for field in kind.fields} for kind in product.objects}
    return (
        {code: answer for code, answer in given.items() if code in questions},
        [
            replace(item, fields={code: value for code, value in item.fields.items() if code in fields[item.code]})
            for item in insured
            if item.code in fields
        ],
    )
