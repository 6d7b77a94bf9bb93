"""`bazarutod products check`: the faults of product files."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from services.quotes.catalogue.flows.publishing import read_file
from services.quotes.catalogue.rules.definition import DefinitionError
from services.quotes.rating.rules import golden
from services.quotes.rating.rules.pricing import compile_tariff


def run(files: Sequence[Path], as_json: bool) -> None:
    """Print what is wrong with each file; ends with 1 when something is."""
    reports = [report(path) for path in files]
    if as_json:
        sys.stdout.write(json.dumps(reports, indent=2) + "\n")
    else:
        console = Console(soft_wrap=True, highlight=False)
        for one in reports:
            _print(console, one)
    sys.exit(1 if any(one["faults"] or one["golden_risks"] for one in reports) else 0)


def report(path: Path) -> dict[str, Any]:
    """What a file is, and what is wrong with it: its faults, and its golden risks with another price."""
    empty: dict[str, Any] = {"file": str(path), "product": "", "version": 0, "faults": [], "golden_risks": []}
    try:
        product, _ = read_file(path)
    except DefinitionError as error:
        faults = [{"line": fault.line, "key": fault.key, "reason": fault.problem} for fault in error.faults]
        return {**empty, "faults": faults}
    differing = [difference._asdict() for difference in golden.differences(compile_tariff(product))]
    return {**empty, "product": product.code, "version": product.version, "golden_risks": differing}


def _print(console: Console, one: dict[str, Any]) -> None:
    file = escape(one["file"])
    for fault in one["faults"]:
        key = f" [bold]{escape(fault['key'])}[/]:" if fault["key"] else ""
        console.print(f"{file}:{fault['line']}:{key} {escape(fault['reason'])}")
    for difference in one["golden_risks"]:
        risk, expected, actual = (escape(difference[name]) for name in ("risk", "expected", "actual"))
        console.print(f"{file}: the golden risk [bold]{risk}[/] costs {actual}, not {expected}")
    if not one["faults"] and not one["golden_risks"]:
        console.print(f"{file}: [green]in order[/]: {one['product']} version {one['version']}")
