"""A queue in a database of its own, and the workers that a test starts for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
from prometheus_client.parser import text_string_to_metric_families

from libs import jobs
from libs.config import DbSettings
from libs.db import Database
from libs.jobs import JobKind
from tests.integration.jobs import worker
from tests.support.sections import section
from tests.support.servers import free_address

ROOT = Path(__file__).parents[3]
PATIENCE = 90.0  # seconds; only a test that fails waits so long


class Worker:
    """A worker in a process of its own."""

    def __init__(self, url: str, settings: dict[str, float], *, ticking: bool, clock: Path | None) -> None:
        self._log = tempfile.NamedTemporaryFile(suffix=".log")  # noqa: SIM115 - closed by `close`
        self._metrics = free_address()
        arguments = json.dumps(
            {
                "url": url,
                "settings": settings,
                "ticking": ticking,
                "clock": str(clock or ""),
                "metrics": self._metrics,
            }
        )
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.jobs.worker", arguments],
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if not name.startswith("BAZARUTO_")},
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    @property
    def log(self) -> str:
        """Everything that it has said."""
        return Path(self._log.name).read_text()

    def metric(self, name: str, **labels: str) -> float | None:
        """What its page shows of a metric now; None when it shows nothing."""
        page = httpx.get(f"http://{self._metrics}/metrics", timeout=10).text
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return float(sample.value)
        return None

    def tell(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it at once, whatever it does."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """End it, and forget what it said."""
        self.kill()
        self._log.close()


class Queue:
    """What waits, and who works."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._database = Database(url, section(DbSettings), "test-queue")
        self._database.open()
        self._connection = psycopg.connect(url, autocommit=True)
        self._connection.execute(worker.EFFECTS)
        self._workers: list[Worker] = []

    def connect(self) -> None:
        """Look at the database by a new connection: the server of the one before was away."""
        self._connection.close()
        self._connection = psycopg.connect(self.url, autocommit=True)

    def defer(
        self, kind: JobKind[Any], *names: str, at: datetime | None = None, lock: str = "", **arguments: Any
    ) -> list[int]:
        """Defer a job for each name, in one transaction. Returns their numbers."""
        with self._database.transaction() as session:
            for name in names:
                jobs.defer(session, kind, kind.arguments(name=name, **arguments), at=at, lock=lock)
        return [row[0] for row in self.rows("SELECT id FROM procrastinate_jobs ORDER BY id DESC LIMIT %s", len(names))]

    def start_worker(self, *, ticking: bool = False, clock: Path | None = None, **settings: float) -> Worker:
        """Start a worker, and wait until it listens, or has died of a job. With a `clock` it also sweeps daily."""
        newest = "SELECT coalesce(max(id), 0) FROM procrastinate_workers"
        before = self.rows(newest)
        started = self.begin_worker(ticking=ticking, clock=clock, **settings)
        self.wait_for(lambda: self.rows(newest) > before or started.process.poll() is not None, started)
        return started

    def begin_worker(self, *, ticking: bool = False, clock: Path | None = None, **settings: float) -> Worker:
        """Start a worker, and wait for nothing."""
        started = Worker(self.url, settings, ticking=ticking, clock=clock)
        self._workers.append(started)
        return started

    def run_due(self, **settings: float) -> None:
        """Work on what is due, in this process."""
        worker.runner(self.url, worker.quick(**settings)).run_due()

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """What the database says."""
        cursor = self._connection.execute(query.encode(), values)
        return cursor.fetchall() if cursor.description else []

    def states(self) -> dict[str, str]:
        """The state of each job, by the name in its arguments."""
        return dict(self.rows("SELECT coalesce(args->>'name', task_name), status::text FROM procrastinate_jobs"))

    def effects(self) -> list[str]:
        """What was done, in order."""
        return [row[0] for row in self.rows("SELECT name FROM effects ORDER BY number")]

    def wait_for(self, done: Callable[[], Any], watched: Worker | None = None) -> None:
        """Wait until something is so; when it never is, tell what the worker said."""
        until = time.monotonic() + PATIENCE
        while not done():
            if time.monotonic() > until:
                said = "\n".join(worker.log for worker in ([watched] if watched else self._workers))
                raise AssertionError(f"it is not so; {self.states()}\n{said[-4000:]}")
            time.sleep(0.05)

    def close(self) -> None:
        """End everything."""
        for started in self._workers:
            started.close()
        self._connection.close()
        self._database.close()
