"""The nightly runs of all services together, as tables for people or as JSON for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console

from bazarutod import tables
from bazarutod.connections import connected
from libs.config import Settings
from libs.jobs import runs
from libs.jobs.runs import ParkedRow, RunRow


class Nights:
    """The nightly runs of some services, for one command."""

    def __init__(self, settings: Settings, services: Sequence[str], as_json: bool) -> None:
        self._settings = settings
        self._services = services
        self._as_json = as_json
        self._console = Console(highlight=False)

    def show(self) -> None:
        """Print how far the last run of each kind is, and those that have not ended."""
        with connected(self._settings, self._services) as databases:
            rows = [_run(row) for connection in databases.values() for row in runs.list_runs(connection)]
        self._print(rows, lambda: tables.runs(rows))

    def list_parked(self, name: str, limit: int) -> None:
        """Print what runs could not do."""
        with connected(self._settings, self._services) as databases:
            rows = [
                _parked(row) for connection in databases.values() for row in runs.list_parked(connection, name, limit)
            ]
        self._print(rows, lambda: tables.parked(rows))

    def retry(self, name: str) -> None:
        """Have what a kind of run has parked tried again."""
        with connected(self._settings, self._services) as databases:
            count = sum(runs.retry_parked(connection, name) for connection in databases.values())
        if not count:
            sys.exit(f"nothing of {name} is parked")
        self._print({"run": name, "items": count}, lambda: f"{count} items of {name} are tried again.")

    def _print(self, document: Any, table: Callable[[], Any]) -> None:
        if self._as_json:
            print(json.dumps(document, indent=2))
        else:
            self._console.print(table(), soft_wrap=True)


def _run(row: RunRow) -> dict[str, Any]:
    return {
        "run": row.name,
        "for": row.occasion,
        "done": row.done,
        "parked": row.parked,
        "expected": row.expected,
        "rate": round(row.rate, 1),
        "started_at": row.started_at.isoformat(timespec="seconds"),
        "ended_at": row.ended_at.isoformat(timespec="seconds") if row.ended_at else None,
    }


def _parked(row: ParkedRow) -> dict[str, Any]:
    return {
        "run": row.name,
        "item": str(row.item_id),
        "reason": row.reason,
        "tries": row.tries,
        "parked_at": row.parked_at.isoformat(timespec="seconds"),
        "tried_at": row.tried_at.isoformat(timespec="seconds"),
    }
