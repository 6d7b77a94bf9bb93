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
    return _table("Policies at the end of the month", *rows_of_policies(months))


def rows_of_policies(months: Sequence[Month]) -> tuple[list[str], list[list[str]]]:
    """The head and the rows of that table."""
    states = sorted({state for month in months for state in month.states})
    head = ["month", *(state.replace("_", " ") for state in states), "lapse rate", "due", "renewed", "retention"]
    rows = []
    for month in months:
        counts = [str(month.states.get(state, 0)) for state in states]
        rates = [share(month.lapses, month.covered_before), str(month.due), str(month.renewed)]
        rows.append([month.month, *counts, *rates, share(month.renewed, month.due)])
    return head, rows


def of_transactions(months: Sequence[Month]) -> Table:
    """Transactions by type and month."""
    return _table("Transactions", *rows_of_transactions(months))


def rows_of_transactions(months: Sequence[Month]) -> tuple[list[str], list[list[str]]]:
    """The head and the rows of that table."""
    types = sorted({name for month in months for name in month.transactions})
    rows = [[month.month, *(str(month.transactions.get(name, 0)) for name in types)] for month in months]
    return ["month", *(name.replace("_", " ") for name in types)], rows


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


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(head[0], title=title, title_justify="left")
    for name in head[1:]:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*row)
    return table


def all_of(months: Sequence[Month]) -> list[Any]:
    """The tables of the months."""
    return [of_money(months), of_policies(months), of_transactions(months)] if months else []
