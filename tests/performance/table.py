"""The table: what each row measures, its figures with their spread over the rounds, and what came of the targets."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.performance.figures import Figure, Row

_COLOURS = {"met": "green", "better": "green", "MISSED": "bold red", "WORSE": "bold red"}
_WIDTHS = {"": 42, "ours": 26, "other": 50, "ratio": 20, "target": 8, " ": 7, "a second": 17}


def show(console: Console, rows: Sequence[Row]) -> None:
    """Print every row, and how many targets were met and missed."""
    console.print(
        "\nmedian [lowest – highest] of the rounds; held against a target is the ratio, or else the figure itself",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    verdicts: Counter[str] = Counter()
    for row in rows:
        console.print(f"\n[bold]{row.name}[/] [dim]{escape(row.measures)}[/]", soft_wrap=True, highlight=False)
        if row.not_run:
            verdicts["not run"] += 1
            console.print(f"  [yellow]not run:[/] {escape(row.not_run)}", soft_wrap=True, highlight=False)
        if row.figures:
            console.print(_table(row.figures))
            verdicts.update(figure.verdict for figure in row.figures if figure.verdict)
    summary = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
    console.print(f"\n{summary or 'no targets'}", highlight=False)


def _table(figures: Sequence[Figure]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title, width in _WIDTHS.items():
        table.add_column(title, min_width=width, overflow="fold")
    for figure in figures:
        verdict = figure.verdict
        table.add_row(
            f"  {escape(figure.name)} [dim]({escape(figure.unit)})[/]",
            spread(figure.ours),
            f"{spread(figure.other)} [dim]{escape(figure.against)}[/]" if figure.other else "",
            spread(figure.ratios),
            str(figure.target or ""),
            f"[{_COLOURS.get(verdict, 'default')}]{verdict}[/]",
            _rates(figure),
        )
    return table


def _rates(figure: Figure) -> str:
    if not figure.rates:
        return ""
    ours = number(statistics.median(figure.rates))
    return f"{ours} / {number(statistics.median(figure.other_rates))}" if figure.other_rates else ours


def spread(values: Sequence[float]) -> str:
    """The median of the rounds, with the lowest and the highest."""
    if not values:
        return ""
    middle = number(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} [dim]\\[{number(min(values))} – {number(max(values))}][/]"


def number(value: float) -> str:
    """With as many places as say something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
