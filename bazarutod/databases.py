"""What `bazarutod db` prints: the answers of every service's database, as tables or as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import typer
from psycopg.conninfo import conninfo_to_dict
from rich.console import Console
from rich.table import Table

from bazarutod import reports
from bazarutod.running import SUPERUSER, embedded_urls, use_running, with_role
from bazarutod.stack import SERVICES
from libs.config import Settings, load

_TABLES = (
    ("Connections", "connections", ("service", "application", "state", "connections", "longest_seconds")),
    (
        "Waiting for locks",
        "locks",
        ("service", "pid", "relation", "mode", "seconds", "query", "blocked_by", "blocker", "blocker_query"),
    ),
    ("Replicas", "replicas", ("service", "application", "state", "bytes_behind", "seconds_behind")),
)


def show_slow(folder: Path, login: str, as_json: bool, limit: int) -> None:
    """Print the slowest statements over all services."""
    slow_by_service = _each(_settings(folder), folder, login, lambda connection: reports.slow(connection, limit))
    rows = [{"service": name, **row} for name, listed in slow_by_service.items() for row in listed]
    rows = sorted(rows, key=lambda row: float(row["mean_ms"]), reverse=True)[:limit]
    if as_json:
        _print_json(rows)
    else:
        _print_table("Slowest statements", rows, ("service", "calls", "mean_ms", "max_ms", "total_ms", "rows", "query"))


def show_status(folder: Path, login: str, as_json: bool) -> None:
    """Print how the pools are set, and what each server says of itself."""
    settings = _settings(folder)
    reports_by_service = _each(settings, folder, login, reports.status)
    pool = settings.db.model_dump(mode="json")
    if as_json:
        _print_json({"pool": pool, "services": reports_by_service})
        return
    _print_table("Pool of each process", [pool], tuple(pool))
    _print_table(
        "Servers",
        [{"service": name, **report["server"]} for name, report in reports_by_service.items()],
        ("service", "connections", "max_connections", "ungranted_locks", "deadlocks", "is_replica"),
    )
    for title, key, columns in _TABLES:
        _print_table(
            title, [{"service": n, **row} for n, report in reports_by_service.items() for row in report[key]], columns
        )


def change_logging(folder: Path, login: str, as_json: bool, on: bool, slower_than_ms: int) -> None:
    """Turn the logging of statements on or off, on each server once, and print what changed."""
    changes = _each(
        _settings(folder),
        folder,
        login,
        lambda connection: reports.log_statements(connection, on, slower_than_ms),
        once_a_server=True,
    )
    if as_json:
        _print_json(changes)
    else:
        rows = [
            {"server of": name, "setting": key, "before": change["before"][key], "after": change["after"][key]}
            for name, change in changes.items()
            for key in reports.LOGGING
        ]
        _print_table("Logging of statements", rows, ("server of", "setting", "before", "after"))
    if on:
        Console(stderr=True).print("Statements carry people's data: run `bazarutod db logging off` when you are done.")


def _settings(folder: Path) -> Settings:
    use_running(folder)
    return load()


def _each(
    settings: Settings,
    folder: Path,
    login: str,
    ask: Callable[[psycopg.Connection[dict[str, Any]]], Any],
    *,
    once_a_server: bool = False,
) -> dict[str, Any]:
    """The answer of each service's database. The first that cannot be asked ends the command with the reason."""
    answers: dict[str, Any] = {}
    servers = set()
    for name in SERVICES:
        url = settings.services[name].db_url
        if not url:
            sys.exit(f"services.{name}.db_url: no database is configured, and no platform runs in {folder}")
        options = conninfo_to_dict(url)
        server = (options.get("host"), options.get("port"))
        if once_a_server and server in servers:
            continue
        servers.add(server)
        role = login or (SUPERUSER if url in embedded_urls(folder) else "")
        if role:
            url = with_role(url, role)
        try:
            with reports.connect(url) as connection:
                answers[name] = ask(connection)
        except (psycopg.Error, reports.StatementsUnknown) as error:
            sys.exit(f"{name}: {str(error).strip()}")
    return answers


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, indent=2, default=str))


def _print_table(title: str, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    console = Console()
    if not rows:
        console.print(f"{title}: none")
        return
    table = Table(title=title, title_justify="left")
    for column in columns:
        numeric = isinstance(rows[0].get(column), int | float) and not isinstance(rows[0][column], bool)
        table.add_column(column.replace("_", " "), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(" ".join(str(row.get(column, "")).split())[:200] for column in columns))
    console.print(table)
