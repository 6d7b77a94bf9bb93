"""Charts as SVG: bars and lines over months, drawn with the colours of the page around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import floor, log10

_WIDTH, _HEIGHT = 400, 230  # so that words of 12 can be read on the narrowest telephone, too
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 6, 12, 26
_STEPS = 4  # lines across a chart, at most
_SHOWN = 7  # labels of months, at most


@dataclass(frozen=True, slots=True)
class Series:
    """Values over the months under one name; None where there is none."""

    name: str
    values: Sequence[float | None]


def stacks(months: Sequence[str], series: Sequence[Series], unit: str = "") -> str:
    """A bar for each month, made of the values of all series from the foot up; none of them is negative."""
    totals = [sum(one.values[month] or 0 for one in series) for month in range(len(months))]
    scale = _Scale.of([Series("", totals)])
    width = _width(months)
    foot = [0.0] * len(months)
    parts = []
    for place, one in enumerate(series):
        for month, value in enumerate(one.values):
            if not value:
                continue
            low, foot[month] = foot[month], foot[month] + value
            left, title = _LEFT + width * (month + 0.12), _title(one.name, months[month], value, unit)
            parts.append(_bar(scale, f"s{place}", (left, width * 0.76), (low, foot[month]), title))
    return _frame(months, series, scale, "".join(parts), unit)


def bars(months: Sequence[str], series: Sequence[Series], unit: str = "") -> str:
    """Bars of all series beside each other, month by month."""
    scale = _Scale.of(series)
    width = _width(months)
    bar = width * 0.76 / max(len(series), 1)
    parts = []
    for place, one in enumerate(series):
        for month, value in enumerate(one.values):
            if value is not None:
                left, title = _LEFT + width * (month + 0.12) + bar * place, _title(one.name, months[month], value, unit)
                parts.append(_bar(scale, f"s{place}", (left, bar), (0, value), title))
    return _frame(months, series, scale, "".join(parts), unit)


def lines(months: Sequence[str], series: Sequence[Series], unit: str = "") -> str:
    """A line for each series, with a point for each month."""
    scale = _Scale.of(series)
    width = _width(months)
    parts = []
    for place, one in enumerate(series):
        points = [
            (_LEFT + width * (month + 0.5), scale.y(value), month, value)
            for month, value in enumerate(one.values)
            if value is not None
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _, _ in points)
        parts.append(f'<polyline class="l{place}" points="{path}"/>')
        parts += [
            f'<circle class="s{place}" cx="{x:.1f}" cy="{y:.1f}" r="3">'
            f"{_title(one.name, months[month], value, unit)}</circle>"
            for x, y, month, value in points
        ]
    return _frame(months, series, scale, "".join(parts), unit)


@dataclass(frozen=True, slots=True)
class _Scale:
    """From values to heights, between round numbers."""

    low: float
    high: float
    step: float

    @classmethod
    def of(cls, series: Sequence[Series]) -> _Scale:
        values = [value for one in series for value in one.values if value is not None]
        low, high = min([0.0, *values]), max([0.0, *values])
        rough = (high - low) / _STEPS or 1.0
        power = 10 ** floor(log10(rough))
        step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999)
        low = -step * -(low // step) if low < 0 else 0.0
        high = step * max(1, -(-high // step))
        return cls(low, high, step)

    def y(self, value: float) -> float:
        """How far below the upper edge a value is."""
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (self.high - value) / (self.high - self.low)


def _width(months: Sequence[str]) -> float:
    """The room of one month."""
    return (_WIDTH - _LEFT - _RIGHT) / max(len(months), 1)


def _bar(scale: _Scale, kind: str, across: tuple[float, float], between: tuple[float, float], title: str) -> str:
    """A bar from its left edge and by its width, between two values."""
    (left, width), (top, bottom) = across, sorted(map(scale.y, between))
    shape = f'<rect class="{kind}" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{bottom - top:.1f}">'
    return f"{shape}{title}</rect>"


def _frame(months: Sequence[str], series: Sequence[Series], scale: _Scale, inside: str, unit: str) -> str:
    grid = []
    for number in range(round((scale.high - scale.low) / scale.step) + 1):
        value = scale.low + number * scale.step
        y = scale.y(value)
        kind = "axis" if abs(value) < scale.step / 1000 else "grid"
        grid.append(f'<line class="{kind}" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        grid.append(f'<text class="value" x="{_LEFT - 6}" y="{y + 4:.1f}">{_short(value)}{unit}</text>')
    width = _width(months)
    every = -(-len(months) // _SHOWN)
    labels = [
        f'<text class="month" x="{_LEFT + width * (place + 0.5):.1f}" y="{_HEIGHT - 8}">{escape(month[2:])}</text>'
        for place, month in enumerate(months)
        if place % every == 0
    ]
    about = escape(", ".join(one.name for one in series))
    svg = f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{about}">'
    keys = "".join(f'<span><i class="k{place}"></i>{escape(one.name)}</span>' for place, one in enumerate(series))
    key = f'<p class="key">{keys}</p>' if len(series) > 1 else ""  # one alone is named by the title
    return f"{svg}{''.join(grid)}{inside}{''.join(labels)}</svg>{key}"


def _title(name: str, month: str, value: float, unit: str) -> str:
    return f"<title>{escape(f'{name}, {month}: {value:,.2f}'.removesuffix('.00'))}{unit}</title>"


def _short(value: float) -> str:
    """A number of few characters: 12.5k, 3M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.6g}{letter}"
    return f"{value:.6g}"
