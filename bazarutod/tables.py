"""Tables of jobs, queues, workers and the clock, for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from libs import clock

_COLOURS = {"pending": "yellow", "processing": "cyan", "completed": "green", "failed": "red", "cancelled": "dim"}
Row = dict[str, Any]


def jobs(rows: Sequence[Row]) -> Table | str:
    """One line for each job."""
    if not rows:
        return "No jobs."
    table = _table("id", "queue", "job", "status", "tries", "deferred", "due")
    for row in rows:
        status = f"[{_COLOURS[row['status']]}]{row['status']}[/]"
        since, until = _seconds_since(row["deferred_at"]), -_seconds_since(row["scheduled_at"])
        due = f"in {_age(until)}" if until > 0 and row["status"] == "pending" else ""
        cells = [row["id"], row["queue"], escape(row["job"]), status, str(row["attempts"])]
        table.add_row(*cells, f"{_age(since)} ago" if row["deferred_at"] else "", due)
    return table


def job(row: Row) -> Group:
    """Everything about one job."""
    table = Table(box=None, show_header=False)
    for key in ("id", "job", "queue", "status", "attempts", "priority", "scheduled_at", "lock", "trace_id"):
        if row[key] not in (None, ""):
            table.add_row(f"[dim]{key}[/]", escape(str(row[key])))
    if row["cancel_requested"]:
        table.add_row("[dim]cancelled[/]", "asked for; the job ends its run first")
    for key, value in row["arguments"].items():
        table.add_row(f"[dim]argument {escape(key)}[/]", escape(str(value)))
    events = _table("event", "at")
    for event in row["events"]:
        events.add_row(event["event"], _moment(event["at"]))
    return Group(table, events)


def stats(rows: Sequence[Row], total: Row, duration: str) -> Group:
    """What waits, and below it what ended; a service stands where it has something to say."""
    now = ("pending", "processing", "failed")
    past = ("completed", "retried", "failed_for_good", "cancelled")
    waiting = _table("queue", "service", *now, "oldest due", "state")
    ended = _table("queue", "service", "completed", "retried", "failed", "cancelled", "mean", "p95")
    waiting.title, ended.title = "now", f"in the last {duration}"
    for row in rows:
        names = (row["queue"], row["service"])
        if any(row[key] for key in now) or row["paused"]:
            state = "[yellow]paused[/]" if row["paused"] else "open"
            waiting.add_row(*names, *(_count(key, row[key]) for key in now), _age(row["oldest_due_seconds"]), state)
        if any(row[key] for key in past):
            seconds = (_seconds(row[key]) for key in ("mean_seconds", "p95_seconds"))
            ended.add_row(*names, *(_count(key, row[key]) for key in past), *seconds)
    for table, keys in ((waiting, now), (ended, past)):
        table.add_section()
        table.add_row("total", "", *(_count(key, total[key]) for key in keys))
    return Group(waiting, ended)


def queues(seen: Row) -> Group:
    """Queues, and below them the workers."""
    statuses = tuple(_COLOURS)
    table = _table("queue", *statuses, "oldest due", "state")
    for row in seen["queues"]:
        paused = row["paused_in"]
        everywhere = len(paused) == len(seen["services"])
        state = "[yellow]paused[/]" + ("" if everywhere else f" in {', '.join(paused)}") if paused else "open"
        counts = (_count(status, row[status]) for status in statuses)
        table.add_row(row["queue"], *counts, _age(row["oldest_due_seconds"]), state)
    workers = _table("service", "worker", "processing", "heartbeat", "state")
    for row in seen["workers"]:
        state = "[green]alive[/]" if row["alive"] else "[red]silent[/]"
        workers.add_row(
            row["service"], str(row["id"]), str(row["processing"]), f"{_age(row['heartbeat_seconds'])} ago", state
        )
    idle = [service for service in seen["services"] if service not in {row["service"] for row in seen["workers"]}]
    for service in idle:
        workers.add_row(service, "", "", "", "[red]no worker[/]")
    return Group(table, workers)


def runs(rows: Sequence[Row]) -> Table | str:
    """One line for each nightly run."""
    if not rows:
        return "No nightly runs yet."
    table = _table("run", "for", "state", "done", "parked", "rate")
    for row in rows:
        state = "[green]ended[/]" if row["ended_at"] else "[cyan]running[/]"
        share = min(100 * row["done"] // max(row["expected"], 1), 99)
        done = str(row["done"]) if row["ended_at"] else f"{share} % {row['done']}"
        parked = f"[red]{row['parked']}[/]" if row["parked"] else "0"
        table.add_row(escape(row["run"]), row["for"][5:], state, done, parked, f"{row['rate']:.0f}/s")
    return table


def parked(rows: Sequence[Row]) -> Table | str:
    """One line for each item that a nightly run could not do."""
    if not rows:
        return "Nothing is parked."
    table = _table("run", "item", "tries", "since", "reason")
    for row in rows:
        table.add_row(
            escape(row["run"]), row["item"], str(row["tries"]), _moment(row["parked_at"]), escape(row["reason"])
        )
    return table


def clock_of_the_domain(shown: Row) -> Group:
    """What time it is, and what waits for a later one."""
    ahead = timedelta(seconds=shown["offset_seconds"])
    lines = [f"{_moment(shown['now'])} UTC for the domain, {_age(ahead.total_seconds())} ahead of this machine"]
    if shown["advance"] == "running":
        lines.append(f"on its way to {_moment(shown['target'])} UTC")
    elif shown["advance"] == "interrupted":
        lines.append(
            f"[yellow]was on its way to {_moment(shown['target'])} UTC[/]; go on with `bazarutod clock advance`"
        )
    table = _table("at", "job")
    for row in shown["upcoming"]:
        table.add_row(_moment(row["at"]), escape(row["job"]))
    return Group(*lines, table)


def _table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, title_justify="left", title_style="dim")
    for column in columns:
        number = column in (
            *_COLOURS,
            "done",
            "parked",
            "rate",
            "tries",
            "oldest due",
            "retried",
            "mean",
            "p95",
            "heartbeat",
            "deferred",
            "due",
        )
        table.add_column(column, justify="right" if number else "left", no_wrap=column != "job", overflow="fold")
    return table


def _count(key: str, count: int) -> str:
    colour = _COLOURS["failed" if key == "failed_for_good" else key] if key in (*_COLOURS, "failed_for_good") else ""
    return f"[{colour}]{count}[/]" if count and colour else str(count)


def _moment(text: str | None) -> str:
    return text[:19].replace("T", " ") if text else ""


def _age(seconds: float) -> str:
    if seconds <= 0:
        return "-"
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _seconds_since(text: str | None) -> float:
    return (clock.real_now() - datetime.fromisoformat(text)).total_seconds() if text else 0.0


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"
