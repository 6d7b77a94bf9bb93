"""The jobs of all services together: found, changed and printed, as tables for people or as JSON for scripts."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import asdict
from datetime import datetime
from typing import Any

import typer
from psycopg import Connection
from rich.console import Console
from rich.live import Live

from bazarutod import tables
from bazarutod.connections import connected
from bazarutod.durations import parsed_duration
from libs.config import Settings
from libs.jobs import UnknownQueue, history, operating
from libs.jobs.kinds import QUEUES, check_queue

Rows = list[dict[str, Any]]


class Backlog:
    """The jobs of some services, for one command."""

    def __init__(self, settings: Settings, services: Sequence[str], as_json: bool) -> None:
        self._settings = settings
        self._services = services
        self._as_json = as_json
        self._console = Console(highlight=False)

    def list_jobs(self, queue: str, status: str, limit: int) -> None:
        """Print jobs, newest first."""
        queue_or_all = _checked_queue(queue)
        if status and status not in operating.STATUSES:
            raise typer.BadParameter(f"there is no status {status!r}; the statuses are {', '.join(operating.STATUSES)}")
        with self._databases() as databases:
            rows = [
                _job(service, row)
                for service, connection in databases.items()
                for row in operating.list_jobs(connection, limit, queue_or_all, status or None)
            ]
        rows.sort(key=lambda row: row["deferred_at"] or "", reverse=True)
        self._print(rows, lambda: tables.jobs(rows))

    def show(self, job: str) -> None:
        """Print one job."""
        service, number = self._parsed(job)
        with self._databases((service,)) as databases:
            jobs = operating.list_jobs(databases[service], 1, ids=[number])
            if not jobs:
                sys.exit(f"there is no job {job}")
            events = operating.events(databases[service], number)
        row = _job(service, jobs[0]) | {
            "arguments": jobs[0].arguments,
            "lock": jobs[0].lock,
            "trace_id": jobs[0].trace_id,
            "cancel_requested": jobs[0].abort_requested,
            "events": [{"event": event, "at": at.isoformat()} for event, at in events],
        }
        self._print(row, lambda: tables.job(row))

    def change(self, verb: str, ids: Sequence[str], queue: str, *, everything: bool) -> None:
        """Retry or cancel: the jobs of these ids, or everything that fits."""
        act = {"retry": operating.retry, "cancel": operating.cancel}[verb]
        if bool(ids) == everything or (ids and queue):
            raise typer.BadParameter("give either --id, once or more, or --all, with --queue or without")
        queue_or_all = _checked_queue(queue)
        chosen: dict[str, list[int]] = {}
        for service, number in map(self._parsed, ids):
            chosen.setdefault(service, []).append(number)
        done: list[str] = []
        with self._databases(tuple(chosen) or None) as databases:
            for service, connection in databases.items():
                numbers = act(connection, queue_or_all, chosen.get(service))
                done += [f"{service}:{number}" for number in numbers]
        left = [f"{service}:{number}" for service, numbers in chosen.items() for number in numbers]
        left = sorted(set(left) - set(done))
        past = {"retry": "back in the queue", "cancel": "cancelled"}[verb]
        self._print(
            {"done": done, "left": left}, lambda: f"{len(done)} jobs {past}." + "".join(f"\n  {i}" for i in done)
        )
        if left:
            sys.exit(f"no such job, or not one that {verb} is for: {', '.join(left)}")

    def stats(self, queue: str, duration: str) -> None:
        """Print what waits in each queue, and what became of jobs in the last time."""
        queue_or_all = _checked_queue(queue)
        span = parsed_duration(duration)
        rows: Rows = []
        with self._databases() as databases:
            for service, connection in databases.items():
                past = history.past(connection, span)
                for depth in operating.depths(connection):
                    if queue_or_all in (None, depth.queue):
                        ended = asdict(past.get(depth.queue, history.Past(depth.queue)))
                        ended["failed_for_good"] = ended.pop("failed")
                        rows.append({"service": service} | ended | _depth(depth))
        summed = ("pending", "processing", "failed", "completed", "retried", "failed_for_good", "cancelled")
        total = {key: sum(row[key] for row in rows) for key in summed}
        rows.sort(key=lambda row: QUEUES.index(row["queue"]))
        self._print(
            {"duration_seconds": span.total_seconds(), "total": total, "queues": rows},
            lambda: tables.stats(rows, total, duration),
        )

    def cleanup(self, older_than: str, queue: str, *, failed: bool, dry_run: bool) -> None:
        """Delete jobs that are over for long, or count them."""
        queue_or_all = _checked_queue(queue)
        age = parsed_duration(older_than)
        statuses = history.OVER if failed else history.ENDED_WELL
        act = history.count_old if dry_run else history.delete_old
        with self._databases() as databases:
            counts = {
                service: act(connection, age, queue_or_all, statuses) for service, connection in databases.items()
            }
        outcome = "would be deleted" if dry_run else "deleted"
        self._print(
            {"dry_run": dry_run, "deleted": counts},
            lambda: "\n".join(f"{service}: {count} jobs {outcome}" for service, count in counts.items()),
        )

    def list_queues(self) -> None:
        """Print every queue and every worker."""
        with self._databases() as databases:
            seen = self._look(databases)
        self._print(seen, lambda: tables.queues(seen))

    def pause(self, queue: str) -> None:
        """Pause a queue in every service."""
        self._switch(queue, operating.pause, "paused", "was paused already")

    def resume(self, queue: str) -> None:
        """Resume a queue in every service."""
        self._switch(queue, operating.resume, "resumed", "was not paused")

    def monitor(self, interval: str, duration: str) -> None:
        """Print queues and workers again and again."""
        every = max(0.1, parsed_duration(interval).total_seconds())
        until = time.monotonic() + parsed_duration(duration).total_seconds() if duration else float("inf")
        live = self._console.is_terminal and not self._as_json
        with self._databases() as databases, suppress(KeyboardInterrupt), ExitStack() as stack:
            screen = stack.enter_context(Live(console=self._console, auto_refresh=False)) if live else None
            while True:
                seen = self._look(databases)
                if screen:
                    screen.update(tables.queues(seen), refresh=True)
                elif self._as_json:
                    print(json.dumps(seen), flush=True)
                else:
                    self._console.print(tables.queues(seen))
                if time.monotonic() + every > until:
                    return
                time.sleep(every)

    def _look(self, databases: dict[str, Connection]) -> dict[str, Any]:
        """Queues and workers of all services."""
        queues: dict[str, dict[str, Any]] = {}
        workers: Rows = []
        silent_after = self._settings.jobs.stalled_after.total_seconds()
        for service, connection in databases.items():
            counts = operating.totals(connection)
            for depth in operating.depths(connection):
                row = queues.setdefault(depth.queue, {"queue": depth.queue} | _NOTHING | {"paused_in": []})
                for status, count in counts[depth.queue].items():
                    row[status] += count
                row["oldest_due_seconds"] = max(row["oldest_due_seconds"], round(depth.oldest_due_seconds, 1))
                if depth.paused:
                    row["paused_in"].append(service)
            workers += [
                {
                    "service": service,
                    "id": worker.id,
                    "processing": worker.doing,
                    "heartbeat_seconds": round(worker.heartbeat_seconds, 1),
                    "alive": worker.heartbeat_seconds < silent_after,
                }
                for worker in operating.workers(connection)
            ]
        return {"queues": list(queues.values()), "workers": workers, "services": list(databases)}

    def _switch(self, queue: str, act: Callable[[Connection, str], bool], done: str, otherwise: str) -> None:
        _checked_queue(queue)
        with self._databases() as databases:
            changed = {service: act(connection, queue) for service, connection in databases.items()}
        self._print(
            {"queue": queue, "changed": changed},
            lambda: "\n".join(f"{service}: {queue} {done if new else otherwise}" for service, new in changed.items()),
        )

    def _databases(self, services: Sequence[str] | None = None) -> AbstractContextManager[dict[str, Connection]]:
        return connected(self._settings, services or self._services)

    def _parsed(self, job: str) -> tuple[str, int]:
        service, _, number = job.partition(":")
        if service not in self._services or not number.isascii() or not number.isdigit() or len(number) > 18:
            raise typer.BadParameter(f"{job!r} is no job of {', '.join(self._services)}; write users:42")
        return service, int(number)

    def _print(self, document: Any, table: Callable[[], Any]) -> None:
        if self._as_json:
            print(json.dumps(document, indent=2))
        else:
            self._console.print(table(), soft_wrap=True)


_NOTHING: dict[str, Any] = dict.fromkeys(operating.STATUSES, 0) | {"oldest_due_seconds": 0.0}


def _job(service: str, row: operating.JobRow) -> dict[str, Any]:
    def isoformat(at: datetime | None) -> str | None:
        return at.isoformat(timespec="milliseconds") if at else None

    return {
        "id": f"{service}:{row.id}",
        "service": service,
        "queue": row.queue,
        "job": row.job,
        "status": row.name_of_status,
        "attempts": row.attempts,
        "priority": row.priority,
        "deferred_at": isoformat(row.deferred_at),
        "scheduled_at": isoformat(row.scheduled_at),
        "changed_at": isoformat(row.changed_at),
    }


def _depth(depth: operating.Depth) -> dict[str, Any]:
    return {
        "pending": depth.pending,
        "processing": depth.doing,
        "failed": depth.failed,
        "oldest_due_seconds": round(depth.oldest_due_seconds, 1),
        "paused": depth.paused,
    }


def _checked_queue(queue: str) -> str | None:
    try:
        check_queue(queue or QUEUES[0])
    except UnknownQueue as error:
        raise typer.BadParameter(str(error)) from None
    return queue or None
