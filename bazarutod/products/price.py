"""`bazarutod products price`: what risks cost with a product file."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from libs import clock
from libs.errors import DomainError
from libs.money import Money
from services.quotes.catalogue.flows.publishing import read_file
from services.quotes.catalogue.rules.definition import DefinitionError
from services.quotes.catalogue.rules.product import GoldenRisk, Product
from services.quotes.quoting.rules.calculation import Calculator, compile_calculator
from services.quotes.rating.rules import golden

_risks: TypeAdapter[list[GoldenRisk]] = TypeAdapter(list[GoldenRisk])


@dataclass(frozen=True, slots=True)
class _Asked:
    """A risk that is priced, and what its file says that it costs; nothing where it says nothing."""

    risk: GoldenRisk
    expected: Money | None


def run(file: Path, risks: Path | None, as_json: bool) -> None:
    """Print the price of each risk; ends with 1 when one has none, or another one than expected."""
    try:
        product, _ = read_file(file)
        asked = _golden(product) if risks is None else _of_file(risks, product)
    except (DefinitionError, ValueError) as error:
        sys.exit(str(error))
    if not asked:
        sys.exit(f"{file} has no golden risks: name a file of risks to price")
    calculator = compile_calculator(product)
    prices = [_priced(calculator, one) for one in asked]
    if as_json:
        sys.stdout.write(json.dumps(prices, indent=2) + "\n")
    else:
        console = Console(soft_wrap=True, highlight=False)
        for price in prices:
            _print(console, price)
    sys.exit(1 if any(price["error"] or price["expected"] not in ("", price["total"]) for price in prices) else 0)


def _golden(product: Product) -> list[_Asked]:
    currency = product.currency
    return [_Asked(risk, Money.parse(str(risk.expected_total), currency)) for risk in product.golden_risks]


def _of_file(path: Path, product: Product) -> list[_Asked]:
    """The risks of a file. `ValueError` names what is wrong with it."""
    today = product.today(clock.now()).isoformat()
    try:
        read = json.loads(path.read_bytes(), parse_float=str)  # amounts never pass through a float
        listed = read if isinstance(read, list) else [read]
        complete = [
            {"name": f"risk {number}", "start_date": today, **one, "expected_total": "0"}
            for number, one in enumerate(listed, 1)
        ]
        risks = _risks.validate_json(json.dumps(complete), strict=True)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise ValueError(f"{path}: {wrong}") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{path}: is not a risk, or a list of risks, as JSON: {error}") from error
    return [_Asked(risk, None) for risk in risks]


def _priced(calculator: Calculator, asked: _Asked) -> dict[str, Any]:
    currency = calculator.tariff.product.currency
    price: dict[str, Any] = {
        "name": asked.risk.name,
        "start_date": asked.risk.start_date.isoformat(),
        "currency": currency,
        "error": "",
        "total": "",
        "expected": _amount(asked.expected),
    }
    try:
        risk = golden.risk_of(asked.risk, currency)
        priced = calculator.tariff.price_from(risk, asked.risk.start_date)
    except DomainError as error:
        return {**price, "error": error.reason, "message": error.message}
    decision, premium = calculator.decide(priced.facts), priced.price
    amounts = {name: _amount(Money(getattr(premium, name), currency)) for name in ("net", "tax", "fees", "total")}
    return {
        **price,
        "end_date": priced.ends_on.isoformat(),
        **amounts,
        "decision": decision.outcome.value,
        "rules": [{"rule": rule.rule_code, "text": rule.text, "level": rule.level} for rule in decision.reasons],
        "steps": [
            {
                "name": step.name,
                "kind": step.kind,
                "coverage": step.coverage_code,
                "object": step.object_id,
                "factor": step.factor,
                "amount": _amount(Money(step.amount, currency)),
            }
            for step in premium.steps
        ],
        "lines": [
            {
                "kind": line.kind.value,
                "coverage": line.coverage_code,
                "object": line.object_id,
                "code": line.charge_code,
                "amount": _amount(Money(line.amount, currency)),
            }
            for line in premium.lines
        ],
    }


def _amount(money: Money | None) -> str:
    """Without its currency, which stands beside."""
    return "" if money is None else str(money).split()[0]


def _print(console: Console, price: dict[str, Any]) -> None:
    console.print(f"[bold]{escape(price['name'])}[/] from {date.fromisoformat(price['start_date'])}")
    if price["error"]:
        console.print(f"  [red]no price[/]: {escape(price['message'])} ({price['error']})\n")
        return
    table = Table(box=SIMPLE_HEAD)
    for column in ("step", "kind", "coverage", "object", "factor"):
        table.add_column(column)
    table.add_column(f"amount in {price['currency']}", justify="right")
    for step in price["steps"]:
        table.add_row(*(escape(str(value)) for value in step.values()))
    table.add_section()
    for name in ("net", "tax", "fees"):
        table.add_row(name, "", "", "", "", price[name])
    table.add_row("[bold]total[/]", "", "", "", "", f"[bold]{price['total']}[/]")
    console.print(table)
    for rule in price["rules"]:
        level = f" (level {rule['level']})" if rule["level"] else ""
        console.print(f"  {escape(rule['rule'])}{level}: {escape(rule['text'])}")
    colour = {"approved": "green", "referred": "yellow", "declined": "red"}[price["decision"]]
    console.print(f"  [{colour}]{price['decision']}[/]")
    if price["expected"] not in ("", price["total"]):
        console.print(f"  [red]its file says {price['expected']}[/]")
    console.print()
