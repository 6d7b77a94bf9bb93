"""Checking what a price is made of: coverages, steps, taxes and fees."""

from __future__ import annotations

from datetime import date

from services.quotes.catalogue.rules import table
from services.quotes.catalogue.rules.checking import conditions
from services.quotes.catalogue.rules.checking.problems import CODE, TOO_LARGE, Problems, codes, is_amount, is_too_large
from services.quotes.catalogue.rules.product import CHOSEN, DEDUCTIBLE, LIMIT, Product, Step
from services.quotes.catalogue.rules.variables import Variable, variables_of

MOST_TIMES = 1000
"""The largest rate, factor or loading: what it makes of the largest amount is still rated exactly."""
_KEYS = {
    "base": {"coverages", "amount", "per", "rate", "of"},
    "factor": {"coverages", "rate", "by", "table", "when"},
    "discount": {"coverages", "rate", "by", "table", "when"},
    "loading": {"coverages", "rate", "by", "table", "when"},
    "minimum": {"amount"},
    "tax": {"rate"},
    "fee": {"amount"},
}
_PHASES = ("coverages", "the whole premium", "the minimum", "tax and fees")


def problems_of(product: Product) -> Problems:
    """What is wrong with coverages, steps, taxes and fees."""
    yield from _coverages(product)
    yield from _steps(product)
    yield from _taxes(product)
    yield from _fees(product)


def _coverages(product: Product) -> Problems:
    yield from codes("coverages", [offer.code for offer in product.coverages])
    always = {kind.code for kind in product.objects if kind.minimum > 0}
    for index, offer in enumerate(product.coverages):
        if offer.covers and offer.covers not in always:
            yield f"coverages[{index}].covers", f"{offer.covers!r} is not a kind of object of which there is always one"
        for name, amounts in (("limits", offer.limits), ("deductibles", offer.deductibles)):
            if len(set(amounts)) < len(amounts):
                yield f"coverages[{index}].{name}", "must differ"
            for amount in amounts:
                if not is_amount(amount, product):
                    yield f"coverages[{index}].{name}", f"{amount} is not an amount in {product.currency}"


def _steps(product: Product) -> Problems:
    yield from codes("rating", [step.name for step in product.rating], "name")
    covers = {offer.code: offer.covers for offer in product.coverages}
    started: list[str] = []
    phase = 0
    for index, step in enumerate(product.rating):
        key = f"rating[{index}]"
        kinds = {covers.get(code, "") for code in step.coverages}
        kind = min(kinds) if len(kinds) == 1 else ""  # a step on coverages of several kinds goes by the risk alone
        yield from ((f"{key}.{name}", text) for name, text in _step(product, step, kind))
        for code in step.coverages:
            if code not in covers:
                yield f"{key}.coverages", f"{code!r} is not a coverage of the product"
            elif (code in started) == (step.kind == "base"):
                yield f"{key}.coverages", f"{code!r} must begin with one base step, before its other steps"
        if step.kind == "base":
            started += step.coverages
        own = 0 if step.coverages else {"minimum": 2, "tax": 3, "fee": 3}.get(step.kind, 1)
        if own < phase or (own == 2 == phase):
            yield key, f"steps on {_PHASES[own]} stand before those on {_PHASES[phase]}, with one minimum at most"
        phase = max(phase, own)
    for code in sorted(covers.keys() - set(started)):
        yield "rating", f"the coverage {code!r} has no base step"


def _step(product: Product, step: Step, kind: str) -> Problems:
    """What is wrong with one step, by its own keys. It goes by the risk, and by the object that its coverage is for."""
    given = {name for name in _KEYS["base"] | _KEYS["factor"] if getattr(step, name) not in (None, (), "", {})}
    for name in given - _KEYS[step.kind]:
        yield name, f"means nothing for a step of kind {step.kind}"
    if step.kind == "base":
        yield from _base(product, step, kind)
    elif step.kind in ("minimum", "fee"):
        if not is_amount(step.amount, product):
            yield "amount", f"must be an amount in {product.currency}"
    elif step.kind == "tax":
        if step.rate is None or not 0 <= step.rate < 1:
            yield "rate", "must be from 0 to below 1"
    elif (step.rate is None) == (not step.by) or bool(step.by) != bool(step.table):
        yield "rate", "takes either a rate, or a table with what it goes by"
    else:
        for value in [step.rate] if step.rate is not None else step.table.values():
            is_wrong = value < 0 or (value == 0 and step.kind == "factor") or (value >= 1 and step.kind == "discount")
            if is_wrong or value > MOST_TIMES:
                yield "rate" if step.rate is not None else "table", f"{value} is out of range for a {step.kind}"
        if step.by:
            yield from _table(product, step, kind)
        yield from conditions.problems_of(product, step.when, "when", kind)


def _base(product: Product, step: Step, kind: str) -> Problems:
    if len(step.coverages) != 1:
        yield "coverages", "must name the one coverage that begins"
    if (step.amount is None) == (step.rate is None) or bool(step.of) != (step.rate is not None):
        yield "amount", "takes either an amount, or a rate with the sum it is of"
    if step.per and step.amount is None:
        yield "per", "goes with an amount"
    for name in ("amount", "rate"):
        if (value := getattr(step, name)) is not None and value < 0:
            yield name, "must be 0 or more"
    if step.amount is not None and is_too_large(step.amount, product):
        yield "amount", TOO_LARGE
    if step.rate is not None and step.rate > MOST_TIMES:
        yield "rate", f"is more than {MOST_TIMES}"
    if step.of == LIMIT:
        yield from _chosen(product, step, "of")
    variables = variables_of(product)
    for key, names in (("per", step.per), ("of", (step.of,) if step.of not in ("", LIMIT) else ())):
        for code in names:
            variable = variables.get(code)
            if variable is None or not variable.is_number or variable.minimum < 0:
                yield key, f"{code!r} is not a number without negative numbers that is asked or derived"
            elif key == "per" and variable.type != "integer":
                yield key, f"{code!r} is not a whole number"
            else:
                yield from _of_its_kind(variable, key, kind)


def _table(product: Product, step: Step, kind: str) -> Problems:
    """Whether the table has a row for each value that can come, and no other."""
    rows = set(step.table)
    if step.by in CHOSEN:
        yield from _chosen(product, step, "by")
        for offer in product.coverages:
            if offer.code in step.coverages:
                amounts = {str(amount) for amount in (offer.limits if step.by == LIMIT else offer.deductibles)}
                yield from _rows(rows, amounts)
        return
    variable = variables_of(product).get(step.by)
    if variable is None or variable.type in ("text", "date"):
        yield "by", f"{step.by!r} is not a question, a field of an object or a derived value that has a table"
        return
    yield from _of_its_kind(variable, "by", kind)
    if variable.type == "boolean":
        yield from _rows(rows, {"true", "false"})
    elif variable.type == "choice":
        yield from _rows(rows, set(variable.choices))
    else:
        try:
            wrong = table.hole(table.bands(step.table, variable.places), variable.minimum, variable.maximum)
        except ValueError as error:
            wrong = str(error)
        if wrong:
            yield "table", wrong


def _of_its_kind(variable: Variable, key: str, kind: str) -> Problems:
    """A step on a coverage sees the object that the coverage is for, and no other one of which there are several."""
    if variable.kind not in ("", kind):
        yield key, f"{variable.code!r} is of each {variable.kind}, where there can be several: derive a value of all"


def _rows(rows: set[str], expected: set[str]) -> Problems:
    for row in sorted(expected - rows):
        yield "table", f"has no row for {row}"
    for row in sorted(rows - expected):
        yield "table", f"the row {row!r} is for nothing that can come"


def _chosen(product: Product, step: Step, key: str) -> Problems:
    """A step by limit or deductible needs coverages that offer one."""
    name = getattr(step, key)
    offers = [offer for offer in product.coverages if offer.code in step.coverages]
    if not offers or not all(offer.deductibles if name == DEDUCTIBLE else offer.limits for offer in offers):
        yield key, f"needs coverages that offer a {name}"


def _taxes(product: Product) -> Problems:
    """One rate of a code on any day, and the same net for all of its rates."""
    if product.taxes and any(step.kind == "tax" for step in product.rating):
        yield "taxes", "stand there, or among the steps, not both"
    offered = {offer.code for offer in product.coverages}
    first_days: set[tuple[str, date | None]] = set()
    for index, tax in enumerate(product.taxes):
        key = f"taxes[{index}]"
        if not CODE.fullmatch(tax.code):
            yield f"{key}.code", f"{tax.code!r} is not a code of lower-case letters, digits and underscores"
        if (tax.code, tax.valid_from) in first_days:
            yield f"{key}.valid_from", f"{tax.code!r} has another rate from the same day"
        first_days.add((tax.code, tax.valid_from))
        if not 0 <= tax.rate < 1:
            yield f"{key}.rate", "must be from 0 to below 1"
        for code in tax.coverages:
            if code not in offered:
                yield f"{key}.coverages", f"{code!r} is not a coverage of the product"
        if any(other.code == tax.code and set(other.coverages) != set(tax.coverages) for other in product.taxes):
            yield f"{key}.coverages", f"differ from those of another rate of {tax.code!r}"


def _fees(product: Product) -> Problems:
    if product.fees and any(step.kind == "fee" for step in product.rating):
        yield "fees", "stand there, or among the steps, not both"
    yield from codes("fees", [fee.code for fee in product.fees])
    taxes = {tax.code for tax in product.taxes}
    for index, fee in enumerate(product.fees):
        key = f"fees[{index}]"
        if fee.code in taxes:
            yield f"{key}.code", f"{fee.code!r} is a tax"
        if not is_amount(fee.amount, product):
            yield f"{key}.amount", f"must be an amount in {product.currency}"
        if not fee.when or len(set(fee.when)) < len(fee.when):
            yield f"{key}.when", "names each occasion once, and one at least"
        if len(set(fee.when) & {"installment", "returned_debit"}) not in (0, len(fee.when)):
            yield f"{key}.when", "is in the price, or charged by billing, not both"
