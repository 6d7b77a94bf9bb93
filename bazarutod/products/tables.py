"""What a product file does to prices, for people: a histogram and tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

_WIDEST = 40  # columns of the longest bar


def impact(found: dict[str, Any]) -> RenderableType:
    """All that was found."""
    product = f"{found['product']} version {found['version']}"
    if not found["quotes"]:
        return f"No quote of {found['product']} has a price."
    totals = f"{found['old_total']} → {found['new_total']} {found['currency']}"
    parts: list[RenderableType] = [
        f"[bold]{product}[/]: {found['quotes']:,} quotes, {found['rated']:,} of them rated, {totals}"
    ]
    parts += [table for table in _tables(found) if table.row_count]
    return Group(*parts)


def _tables(found: dict[str, Any]) -> Iterator[Table]:
    yield _histogram(found["buckets"], found["rated"])
    changed = [one for one in found["factors"] if one["change"].strip("0.")]
    steps = (("step", "name"), ("quotes", "quotes"), ("before", "old_amount"), ("with it", "new_amount"))
    yield _table("steps of the price", changed, *steps, ("change", "change"))
    totals = (("quote", "number"), ("before", "old_total"), ("with it", "new_total"))
    yield _table("largest increases", found["largest_increases"], *totals)
    yield _table("largest decreases", found["largest_decreases"], *totals)
    moved = [one for one in found["decisions"] if one["before"] != one["after"]]
    yield _table("other decisions", moved, ("before", "before"), ("with it", "after"), ("quotes", "quotes"))
    yield _table(
        "rules that did not meet them before",
        found["rules"],
        *((name, name) for name in ("rule", "decision", "quotes")),
    )
    yield _table("cannot be rated", found["unrated"], *((name, name) for name in ("reason", "about", "quotes")))


def _histogram(buckets: list[dict[str, Any]], rated: int) -> Table:
    """A bar for each bucket, as long as its share of the largest."""
    table = Table(box=None, title="change of the total", title_justify="left", title_style="dim", show_header=False)
    table.add_column(justify="right")
    table.add_column()
    table.add_column(justify="right")
    most = max((bucket["quotes"] for bucket in buckets), default=0)
    for bucket in buckets:
        near, far, count = bucket["from_percent"], bucket["to_percent"], bucket["quotes"]
        colour = "dim" if near == far else "red" if (far or near) > 0 else "green"
        bar = "█" * max(round(_WIDEST * count / most), 1)
        table.add_row(_span(near, far), f"[{colour}]{bar}[/]", f"{count:,} ({count / rated:.1%})")
    return table


def _span(near: int, far: int | None) -> str:
    """`+5 to +10 %`; the end that is nearer to no change comes first."""
    if near == far:
        return "no change"
    if not near:
        return f"0 to {far:+d} %"
    return f"more than {near:+d} %" if far is None else f"{near:+d} to {far:+d} %"


def _table(title: str, rows: list[dict[str, Any]], *columns: tuple[str, str]) -> Table:
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", title_style="dim")
    for heading, _ in columns:
        table.add_column(heading, justify="left" if heading in _TEXTS else "right")
    for row in rows:
        table.add_row(*(escape(str(row[key])) for _, key in columns))
    return table


_TEXTS = {"step", "quote", "rule", "decision", "reason", "about"}
