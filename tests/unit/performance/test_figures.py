"""Figures, their spread over the rounds, and what comes of their targets."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tests.performance import table
from tests.performance.figures import Figure, NoWorse, Row, Target


def test_ratio_is_taken_round_by_round_because_the_machine_drifts() -> None:
    figure = Figure("read", "µs", [10, 20, 40], [20, 40, 80], "other", Target(0.5))
    assert figure.ratios == [0.5, 0.5, 0.5]
    assert figure.verdict == "met"


@pytest.mark.parametrize(
    ("target", "values", "verdict"),
    [
        (Target(1.2), [0.1, 1.2, 9.0], "met"),
        (Target(1.2), [1.0, 1.21, 1.3], "MISSED"),
        (Target(1.7, at_least=True), [1.7], "met"),
        (Target(1.7, at_least=True), [1.69], "MISSED"),
        (NoWorse(), [0.98, 1.02, 1.04], "met"),
        (NoWorse(), [1.09, 1.10, 1.11], "WORSE"),
        (NoWorse(), [1.00, 1.10, 1.20], "met"),
        (NoWorse(), [0.79, 0.80, 0.81], "better"),
        (NoWorse(), [1.04], "met"),
        (NoWorse(), [1.06], "WORSE"),
    ],
)
def test_verdict_is_on_the_median(target: Target | NoWorse, values: list[float], verdict: str) -> None:
    assert target.verdict(values) == verdict


def test_target_without_another_is_on_the_figure_itself() -> None:
    assert Figure("failed", "requests", [0, 0], target=Target(0)).verdict == "met"
    assert Figure("failed", "requests", [0, 3, 3], target=Target(0)).verdict == "MISSED"


def test_nothing_is_held_against_what_was_measured_on_another_day() -> None:
    figure = Figure("read", "µs", [10, 20], [1], "512f0fa", NoWorse(), remembered=True)
    assert (figure.ratios, figure.verdict) == ([], "")


def test_nothing_is_held_against_nothing() -> None:
    figure = Figure("of it users", "µs", [1, 2], [0, 3], "512f0fa", NoWorse())
    assert (figure.ratios, figure.verdict) == ([], "")


def test_rounds_that_do_not_pair_up_are_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        _ = Figure("read", "µs", [1, 2], [1], "other").ratios


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([], ""),
        ([3.14159], "3.14"),
        ([1, 12.34, 1234.5], r"12.3 [dim]\[1.00 – 1,234][/]"),
    ],
)
def test_spread_is_the_median_with_lowest_and_highest(values: list[float], text: str) -> None:
    assert table.spread(values) == text


def test_table_says_what_a_row_measures_what_it_came_to_and_why_one_is_missing() -> None:
    rows = [
        Row("reading", "the read of [a policy]", [Figure("CPU", "µs", [900], [600], "FastAPI", Target(1.35))]),
        Row("gateway", "the front", not_run="Envoy is missing: make .venv/.bench"),
    ]
    out = io.StringIO()
    table.show(Console(file=out, width=190), rows)
    text = out.getvalue()
    assert "reading the read of [a policy]" in text
    assert [line.split() for line in text.splitlines() if "FastAPI" in line] == [
        ["CPU", "(µs)", "900", "600", "FastAPI", "1.50", "≤", "1.35", "MISSED"]
    ]
    assert "not run: Envoy is missing: make .venv/.bench" in text
    assert "1 MISSED, 1 not run" in text
