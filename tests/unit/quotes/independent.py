"""Rating once more, straight from the file of a product, in exact fractions and in no hurry.

It knows nothing of the platform: it imports none of its modules, and was written down from the rules of the file.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from datetime import date
from fractions import Fraction
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import yaml

Values = dict[str, Any]
Line = tuple[str, str, str, str, int]
"""Kind, coverage, tax or fee, object, and amount in minor units."""

_MINOR = {"JPY": 1, "BHD": 1000}  # in one unit of a currency; 100 in all others
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "at_least": operator.ge,
    "at_most": operator.le,
    "more_than": operator.gt,
    "less_than": operator.lt,
}
day_of = lru_cache(maxsize=None)(date.fromisoformat)


@cache
def number(text: str | int) -> Any:
    """A number of a file or an answer, exact; a whole one as it is, because that is quicker."""
    exact = Fraction(text)
    return exact.numerator if exact.denominator == 1 else exact


class Refused(Exception):
    """The risk cannot be priced: `check` refuses it; it is empty where a derived value is out of range."""

    def __init__(self, check: str) -> None:
        super().__init__(check)
        self.check = check


def load(path: Path) -> Any:
    """The file of a product. Every value is text."""
    return yaml.load(path.read_text(), yaml.BaseLoader)


def rate(product: Any, answers: Values, objects: list[Any], chosen: dict[str, Any], start: date) -> list[Line]:
    """The lines of a price. `objects` are (name, kind, fields); `chosen` is (limit, deductible) of each coverage."""
    whole, each = _variables(product, answers, objects, start)
    for check in product.get("checks", ()):
        if any(_holds(check["refuse"], values) for values in _candidates(check["refuse"], whole, each)):
            raise Refused(check["code"])
    minor = _MINOR.get(product["currency"], 100)
    parts = _parts(product, whole, each, chosen, minor)
    exact = sum(parts.values(), Fraction(0))
    least = 0
    for step in product["rating"]:
        if step["kind"] == "minimum":
            least = int(number(step["amount"]) * minor)
        elif step["kind"] in ("factor", "discount", "loading") and not step.get("coverages"):
            exact *= _multiplier(step, whole, {})
    net = max(round(exact), least)
    lines = _allotted(product, net, parts)
    return [*lines, *_charges(product, net, lines, start, minor)]


def years(since: date, day: date) -> int:
    """Birthdays that there were. 29 February is kept on 1 March."""
    count = day.year - since.year
    try:
        birthday = since.replace(year=day.year)
    except ValueError:
        birthday = date(day.year, 3, 1)
    return count if birthday <= day else count - 1


def _variables(
    product: Any, answers: Values, objects: list[Any], start: date
) -> tuple[Values, dict[str, list[tuple[str, Values]]]]:
    whole = {asked["code"]: _value(asked, answers[asked["code"]]) for asked in product["questions"]}
    kinds = {kind["code"]: kind for kind in product.get("objects", ())}
    each: dict[str, list[tuple[str, Values]]] = {code: [] for code in kinds}
    for name, code, fields in objects:
        values = {f"{code}.{a['code']}": _value(a, fields[a["code"]]) for a in kinds[code]["fields"]}
        each[code].append((name, values))
    single = {code for code, kind in kinds.items() if kind["minimum"] == kind["maximum"] == "1"}
    for code in single:
        whole |= each[code][0][1]
    for derived in product.get("derive", ()):
        low, high = int(derived.get("minimum", 0)), int(derived.get("maximum", 150))
        source = derived.get("years_since", "")
        kind = source.partition(".")[0] if "." in source else ""
        if derived.get("count"):
            counted = [
                values for _, values in each[derived["count"]] if _holds(derived.get("when", {}), whole | values)
            ]
            found = [len(counted)]
        elif kind:
            found = [years(values[source], start) for _, values in each[kind]]
        else:
            found = [years(whole[source], start)]
        if any(not low <= count <= high for count in found):
            raise Refused("")
        if kind and not derived.get("take") and kind not in single:
            for (_, values), count in zip(each[kind], found, strict=True):
                values[derived["code"]] = count
        else:
            whole[derived["code"]] = max(found) if derived.get("take") == "highest" else min(found)
    return whole, each


def _value(asked: Any, answer: Any) -> Any:
    if asked["type"] in ("integer", "decimal", "money"):
        return number(answer)
    return day_of(answer) if asked["type"] == "date" else answer


def _candidates(condition: Any, whole: Values, each: dict[str, list[tuple[str, Values]]]) -> Iterator[Values]:
    """The risk, or each object that has what a condition looks at."""
    looked_at = {*condition, *(b["question"] for c in condition.values() for b in c.values() if isinstance(b, dict))}
    if looked_at <= whole.keys():
        yield whole
        return
    for objects in each.values():
        for _, values in objects:
            if looked_at <= whole.keys() | values.keys():
                yield whole | values


def _holds(condition: Any, values: Values) -> bool:
    for code, comparison in condition.items():
        value = values[code]
        for name, bound in comparison.items():
            if name == "equals":
                fits = value == _like(value, bound)
            elif name == "one_of":
                fits = value in [_like(value, one) for one in bound]
            elif isinstance(bound, dict):
                shift = int(bound.get("plus", 0)) - int(bound.get("minus", 0))
                fits = (
                    _ORDERS[name](value, values[bound["question"]] + shift)
                    if shift
                    else _ORDERS[name](value, values[bound["question"]])
                )
            else:
                fits = _ORDERS[name](value, _like(value, bound))
            if not fits:
                return False
    return True


def _like(value: Any, text: str) -> Any:
    """The text of a file, as the type of a value."""
    if isinstance(value, bool):
        return text == "true"
    if isinstance(value, int | Fraction):
        return number(text)
    return day_of(text) if isinstance(value, date) else text


def _parts(
    product: Any, whole: Values, each: dict[str, list[tuple[str, Values]]], chosen: dict[str, Any], minor: int
) -> dict[tuple[str, str], Fraction]:
    """What each coverage of each object comes to in minor units, before the steps on the whole premium."""
    own: dict[tuple[str, str], Values] = {}
    terms: dict[str, dict[str, Fraction]] = {}
    for offer in product["coverages"]:
        code = offer["code"]
        if code not in chosen and offer.get("mandatory") != "true":
            continue
        limit, deductible = chosen.get(code, (None, None))
        terms[code] = {}
        for name, picked, offered in (("limit", limit, "limits"), ("deductible", deductible, "deductibles")):
            if offer.get(offered):
                terms[code][name] = number(picked or offer[offered][0])
        covered = each[offer["covers"]] if offer.get("covers") else [("", {})]
        for name, values in covered:
            own[code, name] = whole | values
    parts: dict[tuple[str, str], Fraction] = {}
    for step in product["rating"]:
        for part, values in own.items():
            if part[0] not in step.get("coverages", ()):
                continue
            if step["kind"] == "base":
                parts[part] = _begun(step, values, terms[part[0]]) * minor
            else:
                parts[part] *= _multiplier(step, values, terms[part[0]])
    return {part: parts[part] for part in own}


def _begun(step: Any, values: Values, terms: dict[str, Fraction]) -> Any:
    if "amount" in step:
        each = sum((Fraction(values[code]) for code in step["per"]), Fraction(0)) if "per" in step else 1
        return number(step["amount"]) * each
    return number(step["rate"]) * (terms["limit"] if step["of"] == "limit" else values[step["of"]])


def _multiplier(step: Any, values: Values, terms: dict[str, Fraction]) -> Any:
    if not _holds(step.get("when", {}), values):
        return Fraction(1)
    cell = number(
        step["rate"] if "rate" in step else _row(step["table"], terms.get(step["by"], values.get(step["by"])))
    )
    return {"factor": cell, "discount": 1 - cell, "loading": 1 + cell}[step["kind"]]


def _row(table: Any, value: Any) -> str:
    for row, cell in table.items():
        first, _, last = row.partition("..")
        if isinstance(value, bool):
            fits = row == str(value).lower()
        elif isinstance(value, int | Fraction):
            fits = number(first) <= value <= number(last or first)
        else:
            fits = row == value
        if fits:
            return str(cell)
    raise AssertionError(f"{table} has no row for {value}")


def _allotted(product: Any, net: int, parts: dict[tuple[str, str], Fraction]) -> list[Line]:
    """The net by the shares of the parts: what is left of rounding down goes to the largest remainders."""
    whole = sum(parts.values())
    if not whole:
        mandatory = [offer["code"] for offer in product["coverages"] if offer.get("mandatory") == "true"]
        bearer = next((part for part in parts if part[0] in mandatory), next(iter(parts)))
        return [("premium", *_split(part), net if part == bearer else 0) for part in parts]
    shares = {part: Fraction(net) * value / whole for part, value in parts.items()}
    amounts = {part: share.numerator // share.denominator for part, share in shares.items()}
    by_remainder = sorted(parts, key=lambda part: amounts[part] - shares[part])
    for part in by_remainder[: net - sum(amounts.values())]:
        amounts[part] += 1
    return [("premium", *_split(part), amounts[part]) for part in parts]


def _split(part: tuple[str, str]) -> tuple[str, str, str]:
    return part[0], "", part[1]


def _charges(product: Any, net: int, lines: list[Line], start: date, minor: int) -> Iterator[Line]:
    for step in product["rating"]:
        if step["kind"] == "tax":
            yield "tax", "", step["name"], "", round(net * number(step["rate"]))
        elif step["kind"] == "fee":
            yield "fee", "", step["name"], "", int(number(step["amount"]) * minor)
    for tax in product.get("taxes", ()):
        begun = [
            day_of(other["valid_from"])
            for other in product["taxes"]
            if other["code"] == tax["code"] and day_of(other["valid_from"]) <= start
        ]
        if not begun or day_of(tax["valid_from"]) != max(begun):
            continue
        subject = [line for line in lines if line[1] in tax.get("coverages", [line[1]])]
        if subject:
            yield "tax", "", tax["code"], "", round(sum(line[4] for line in subject) * number(tax["rate"]))
    for fee in product.get("fees", ()):
        if "new_business" in fee["when"]:
            yield "fee", "", fee["code"], "", int(number(fee["amount"]) * minor)
