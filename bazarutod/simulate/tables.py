"""The figures of a simulation as tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from bazarutod.simulate.figures import Month
from bazarutod.simulate.money import text

MONEY = ("written", "earned", "unearned", "collected", "refunded", "cash", "arrears")


def of_money(months: Sequence[Month]) -> Table:
    """Money by currency and month."""
    table = Table("currency", "month", title="Money", title_justify="left")
    for name in MONEY:
        table.add_column(name, justify="right", no_wrap=True)
    for currency in sorted({currency for month in months for currency in month.money}):
        for month in months:
            if amounts := month.money.get(currency):
                table.add_row(currency, month.month, *(text(getattr(amounts, name)) for name in MONEY))
        table.add_section()
    return table


def of_policies(months: Sequence[Month]) -> Table:
    """Policies by state, and how many were lost and kept, by month."""
    states = sorted({state for month in months for state in month.states})
    table = Table("month", title="Policies at the end of the month", title_justify="left")
    for name in (*(state.replace("_", " ") for state in states), "lapse rate", "due", "renewed", "retention"):
        table.add_column(name, justify="right")
    for month in months:
        counts = [str(month.states.get(state, 0)) for state in states]
        rates = [share(month.lapses, month.covered_before), str(month.due), str(month.renewed)]
        table.add_row(month.month, *counts, *rates, share(month.renewed, month.due))
    return table


def of_transactions(months: Sequence[Month]) -> Table:
    """Transactions by type and month."""
    types = sorted({name for month in months for name in month.transactions})
    table = Table("month", title="Transactions", title_justify="left")
    for name in types:
        table.add_column(name.replace("_", " "), justify="right")
    for month in months:
        table.add_row(month.month, *(str(month.transactions.get(name, 0)) for name in types))
    return table


def of_deeds(done: Mapping[str, int], refused: Mapping[tuple[str, str], int]) -> Table:
    """What was done, and what the platform refused by its rules."""
    table = Table("what", "times", title="Done by people, and refused", title_justify="left")
    table.columns[1].justify = "right"
    for name, count in sorted(done.items()):
        table.add_row(name, str(count))
    table.add_section()
    for (deed, reason), count in sorted(refused.items()):
        table.add_row(f"{deed} refused: {reason}", str(count))
    return table


def share(part: int, whole: int) -> str:
    """A part in percent; a dash where there is no whole."""
    return f"{100 * part / whole:.1f} %" if whole else "–"


def all_of(months: Sequence[Month]) -> list[Any]:
    """The tables of the months."""
    return [of_money(months), of_policies(months), of_transactions(months)] if months else []
