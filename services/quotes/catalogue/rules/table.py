"""Tables of factors: rows by the value of an answer, or by an amount that was chosen.

Rows for numbers are bands such as `18..20`, or single numbers; decimal ones have the places of their variable.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from libs.money import PLAIN_DECIMAL
from services.quotes.catalogue.rules.variables import to_places

Cell = TypeVar("Cell")


class Band(NamedTuple):
    """Whole numbers from `first` to `last`, both included: the numbers of the row times ten to its places."""

    first: int
    last: int
    row: str


def bands(rows: Mapping[str, object], places: int = 0) -> list[Band]:
    """The bands that the rows stand for, lowest first. `ValueError` when a row is no band."""
    ordered = []
    for row in rows:
        first, _, last = row.partition("..")
        if not all(PLAIN_DECIMAL.fullmatch(number) for number in (first, last or first)):
            raise ValueError(f"the row {row!r} is not a band such as 18..20")
        try:
            ordered.append(Band(to_places(first, places), to_places(last or first, places), row))
        except ValueError:
            raise ValueError(f"the row {row!r} has more than {places} decimal places") from None
    return sorted(ordered)


def hole(ordered: Sequence[Band], minimum: int, maximum: int) -> str:
    """What is wrong with bands that should hold each number from `minimum` to `maximum` once; empty if nothing."""
    expected = minimum
    for first, last, row in ordered:
        if first > expected:
            return f"has no row for {expected}..{first - 1}"
        if first < expected or last < first:
            return f"the row {row!r} overlaps another one, ends before it begins, or lies outside {minimum}..{maximum}"
        expected = last + 1
    if expected <= maximum:
        return f"has no row for {expected}..{maximum}"
    return "" if expected == maximum + 1 else f"goes beyond {maximum}"


def by_band(cells: Mapping[str, Cell], places: int = 0) -> Callable[[int], Cell]:
    """A look-up of whole numbers in a table that has no holes."""
    ordered = bands(cells, places)
    firsts = [band.first for band in ordered]
    values = [cells[band.row] for band in ordered]
    return lambda number: values[bisect_right(firsts, number) - 1]
