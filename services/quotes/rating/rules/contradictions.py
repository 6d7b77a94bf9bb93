"""Checks across answers: what each answer may be by itself, and not beside another one."""

from __future__ import annotations

from collections.abc import Callable

from libs.errors import Invalid
from services.quotes.catalogue.rules.product import Condition, Product
from services.quotes.catalogue.rules.variables import codes_in
from services.quotes.rating.rules.facts import Facts, compile_for_risk


class AnswersContradict(Invalid):
    """Two answers cannot both be true."""

    reason = "ANSWERS_CONTRADICT"


def compile_checks(product: Product) -> Callable[[Facts], None]:
    """A function that raises `AnswersContradict` with the text of the first check that refuses a risk."""
    sources = {derived.code: derived.years_since or derived.count for derived in product.derive}
    checks = [
        (compile_for_risk(product, check.refuse), check.code, check.text, _questions(check.refuse, sources))
        for check in product.checks
    ]

    def refuse(facts: Facts) -> None:
        for holds, code, text, questions in checks:
            if holds(facts):
                raise AnswersContradict(text, check=code, questions=questions)

    return refuse


def _questions(condition: Condition, sources: dict[str, str]) -> str:
    """What was asked that a check looks at: of a derived value, what it is derived of."""
    return ", ".join(dict.fromkeys(sources.get(code, code) for code in codes_in(condition)))
