"""Prices of random risks equal those of an independent computation, line by line."""

from __future__ import annotations

import random
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from libs.errors import Invalid
from libs.money import Money
from libs.premium import Coverage, InsuredObject
from services.quotes.catalogue.flows import publishing
from services.quotes.rating.rules.pricing import Risk, Tariff
from tests.unit.quotes import independent, sold

FILES = sorted(publishing.FOLDER.glob("*.yaml"))
START = date(2026, 12, 1)
_A_LOT = 2_000  # risks of a product that is sold
_SOME = 300  # of a version that was sold before, and of those that are refused


class Drawn:
    """Random risks of a product, made from its file. Many are at the edges of what is accepted."""

    def __init__(self, product: Any, seed: int) -> None:
        self.product = product
        self.random = random.Random(seed)
        self.ages = {d["years_since"]: d for d in product.get("derive", ()) if "years_since" in d}

    def risk(self) -> tuple[dict[str, Any], list[tuple[str, str, dict[str, Any]]], dict[str, Any], date]:
        start = START + timedelta(days=self.random.randrange(400))
        answers = {asked["code"]: self._answer(asked, asked["code"], start, 0) for asked in self.product["questions"]}
        objects = []
        for kind in self.product.get("objects", ()):
            for place in range(self._count(int(kind["minimum"]), int(kind["maximum"]))):
                fields = {
                    asked["code"]: self._answer(asked, f"{kind['code']}.{asked['code']}", start, place)
                    for asked in kind["fields"]
                }
                if "identifier" in kind:
                    fields[kind["identifier"]] = _unlike(fields[kind["identifier"]], place)
                objects.append((f"{kind['code']}_{place + 1}", kind["code"], fields))
        chosen = {
            offer["code"]: (self._one(offer, "limits"), self._one(offer, "deductibles"))
            for offer in self.product["coverages"]
            if self.random.random() < 0.6
        }
        return answers, objects, chosen or {self.product["coverages"][0]["code"]: (None, None)}, start

    def _count(self, least: int, most: int) -> int:
        return min(most, least + int(self.random.expovariate(0.7)))

    def _one(self, offer: Any, name: str) -> str | None:
        amounts: list[str | None] = [None, *offer.get(name, ())]
        return self.random.choice(amounts)

    def _answer(self, asked: Any, code: str, start: date, place: int) -> Any:
        draw = self.random
        match asked["type"]:
            case "boolean":
                return draw.random() < 0.5
            case "choice":
                # The objects of a kind are often of different sorts, such as the holder and children.
                usual = min(place, len(asked["choices"]) - 1)
                return asked["choices"][usual] if draw.random() < 0.5 else draw.choice(asked["choices"])
            case "date":
                bounds = self.ages.get(code, {})
                years = self._number(int(bounds.get("minimum", 0)), int(bounds.get("maximum", 90)))
                return str(
                    date(start.year - years, start.month, min(start.day, 28)) - timedelta(days=draw.randrange(360))
                )
            case "text":
                return _text(asked.get("pattern", "Some text"))
            case "integer":
                return self._number(int(asked["minimum"]), int(asked["maximum"]))
            case "decimal" | "money":
                places = int(asked.get("places", 2))
                scale = 10**places
                least, most = (int(float(asked[bound]) * scale) for bound in ("minimum", "maximum"))
                return f"{self._number(least, most) / scale:.{places}f}"
        raise AssertionError(asked["type"])

    def _number(self, least: int, most: int) -> int:
        kind = self.random.random()
        if kind < 0.3:
            return least if kind < 0.25 else most
        return self.random.randint(least, min(most, least + 12)) if kind < 0.7 else self.random.randint(least, most)


def _text(pattern: str) -> str:
    """A text that fits one of the patterns of the files: the shortest, of digits where they fit."""
    text, rest = "", pattern
    while rest:
        if rest[0] == "[":
            kind, _, rest = rest[1:].partition("]")
            count = 1
            if rest[:1] == "{":
                counts, _, rest = rest[1:].partition("}")
                count = int(counts.partition(",")[0])
            text += ("0" if "0-9" in kind else kind[0]) * count
        else:
            text, rest = text + rest[0], rest[1:]
    return text


def _unlike(identifier: str, place: int) -> str:
    """The identifier of another object of the kind."""
    return identifier[:-1] + "0123456789ABCDEFGHIJ"[place] if place < 10 else identifier[:-2] + str(place)


def priced(tariff: Tariff, drawn: Any) -> list[independent.Line]:
    """The lines of the platform's price."""
    answers, objects, chosen, start = drawn
    currency = tariff.product.currency

    def amount(text: str | None) -> Money | None:
        return None if text is None else Money.parse(text, currency)

    coverages = [Coverage(code, amount(limit), amount(deductible)) for code, (limit, deductible) in chosen.items()]
    insured = [InsuredObject(name, kind, fields) for name, kind, fields in objects]
    price = tariff.price_from(Risk(answers, coverages, objects=insured), start).price
    lines = [(str(kind), coverage, charge, name, cents) for kind, coverage, charge, name, cents in price.lines]
    assert sum(line[4] for line in lines) == price.total == sum(step.amount for step in price.steps)
    assert price.net == sum(line[4] for line in lines if line[0] == "premium")
    assert price.tax == sum(line[4] for line in lines if line[0] == "tax")
    return lines


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_price_is_that_of_an_independent_computation(path: Path) -> None:
    product = independent.load(path)
    code, version = product["code"], int(product["version"])
    tariff = sold.calculator(code, version).tariff
    drawn = Drawn(product, seed=len(code) * version)
    wanted = _A_LOT if sold.newest(code).version == version else _SOME
    compared = refused = 0
    while compared < wanted:
        risk = drawn.risk()
        try:
            expected = independent.rate(product, *risk)
        except independent.Refused as error:
            refused += 1
            if refused <= _SOME:
                compare_refusal(tariff, risk, error.check)
            continue
        assert priced(tariff, risk) == expected, risk
        compared += 1


def compare_refusal(tariff: Tariff, risk: Any, check: str) -> None:
    """The platform refuses the risk by the same check, or because of a derived value that is out of range."""
    with pytest.raises(Invalid) as caught:
        priced(tariff, risk)
    assert caught.value.metadata.get("check", "") == check
