"""Tables for people, on a terminal as narrow as terminals are."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from bazarutod import tables

NAMES = ("payments.reconcile_services", "payments.run_dunning", "policies.offer_renewals")


def run(name: str, **changes: Any) -> dict[str, Any]:
    ended = {"run": name, "for": "2026-11-30", "done": 123_456, "parked": 3, "expected": 200_000, "rate": 612.3}
    return {**ended, "started_at": "2026-11-30T03:40:00", "ended_at": "2026-11-30T03:44:00", **changes}


def printed(table: Any) -> str:
    console = Console(width=80)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


@pytest.mark.parametrize("name", NAMES)
def test_a_nightly_run_is_whole_on_80_columns(name: str) -> None:
    line = next(line for line in printed(tables.runs([run(name)])).splitlines() if name in line)
    assert line.split() == [name, "11-30", "ended", "123456", "3", "612/s"]


def test_a_run_that_goes_on_says_how_far_it_is() -> None:
    assert "61 % 123456" in printed(tables.runs([run(NAMES[0], ended_at=None)]))


def test_a_run_with_more_than_was_due_is_not_through_before_it_ends() -> None:
    assert "99 % 123456" in printed(tables.runs([run(NAMES[0], ended_at=None, expected=1_000)]))
