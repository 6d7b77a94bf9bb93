"""`bazarutod db` on a real server: what it prints is what the server says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bazarutod import embedded
from bazarutod.stack import SERVICES
from tests.support.waiting import until

pytestmark = pytest.mark.xdist_group("db-command")
COMMAND = str(Path(sys.executable).with_name("bazarutod"))


@dataclass(frozen=True)
class Ground:
    """A server of its own, because the command changes the server's settings."""

    server: embedded.Server
    urls: dict[str, str]
    folder: Path

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        urls = {f"BAZARUTO_SERVICES__{name.upper()}__DB_URL": url for name, url in self.urls.items()}
        command = [COMMAND, "db", *arguments, "--folder", str(self.folder)]
        environment = {**os.environ, "COLUMNS": "200", **urls, **variables}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    def json(self, *arguments: str) -> Any:
        done = self.run(*arguments, "--login", "postgres", "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def admin(self, service: str) -> psycopg.Connection:
        return psycopg.connect(self.server.url(f"bazaruto_{service}"), autocommit=True)

    def show(self, setting: str) -> str:
        with self.admin("users") as connection:
            return str((connection.execute(f"SHOW {setting}".encode()).fetchone() or ("",))[0])


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    with tempfile.TemporaryDirectory(prefix="bazaruto-db-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        server = embedded.start(folder / "pg", throwaway=True)
        try:
            yield Ground(server, embedded.create_databases(server), folder)
        finally:
            server.stop()


def test_slow_names_the_slowest_statements_of_all_services_in_order(ground: Ground) -> None:
    for service, seconds in (("users", "0.5"), ("payments", "1")):
        with ground.admin(service) as connection:
            connection.execute(f"SELECT pg_sleep({seconds}), 'of {service}'".encode())
    statements = ground.json("slow", "--limit", "5")
    assert len(statements) == 5
    assert [row["service"] for row in statements[:2]] == ["payments", "users"]
    assert statements[0]["mean_ms"] >= 1000
    assert statements[0]["query"] == "SELECT pg_sleep($1), $2"  # no values
    printed = ground.run("slow", "--login", "postgres")
    assert printed.returncode == 0
    assert "pg_sleep" in printed.stdout


def test_slow_says_what_is_missing(ground: Ground) -> None:
    with ground.admin("quotes") as connection:
        connection.execute("DROP EXTENSION pg_stat_statements")
    refused = ground.run("slow")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert re.search("quotes: a superuser must run CREATE EXTENSION pg_stat_statements", refused.stderr)
    assert ground.json("slow")  # a superuser makes it by asking


def test_status_counts_connections_as_the_server_does(ground: Ground) -> None:
    with ground.admin("policies") as one, ground.admin("policies") as other:
        other.execute("BEGIN")
        status = ground.json("status")
        states = {row["state"]: row["connections"] for row in status["services"]["policies"]["connections"]}
        assert states == {"idle": 1, "idle in transaction": 1}
        server = status["services"]["policies"]["server"]
        assert server["max_connections"] == int(ground.show("max_connections"))
        assert server["connections"] >= 2
        assert one.closed == 0
    assert status["pool"]["max_connections"] == 10
    assert set(status["services"]) == set(SERVICES)


def test_status_names_who_is_in_the_way_of_a_lock(ground: Ground) -> None:
    with ground.admin("payments") as holder, ground.admin("payments") as waiter:
        holder.execute("CREATE TABLE IF NOT EXISTS seats (id int)")
        holder.execute("BEGIN")
        holder.execute("LOCK TABLE seats")
        waiting = threading.Thread(target=waiter.execute, args=("SELECT * FROM seats",))
        waiting.start()
        try:
            with ground.admin("payments") as watcher:
                until(lambda: watcher.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone())
            (lock,) = ground.json("status")["services"]["payments"]["locks"]
            printed = ground.run("status", "--login", "postgres").stdout
        finally:
            holder.execute("ROLLBACK")
            waiting.join()
        assert (lock["pid"], lock["blocked_by"]) == (waiter.info.backend_pid, holder.info.backend_pid)
        assert (lock["relation"], lock["blocker_state"]) == ("seats", "idle in transaction")
        assert "LOCK TABLE seats" in lock["blocker_query"]
        assert "Waiting for locks" in printed
        assert "seats" in printed


def test_logging_of_statements_goes_on_and_off_again(ground: Ground) -> None:
    before = ground.show("log_statement"), ground.show("log_min_duration_statement")
    changed = ground.json("logging", "on", "--slower-than", "750")
    assert list(changed) == ["users"]  # one server, asked once
    assert changed["users"]["after"] == {"log_statement": "all", "log_min_duration_statement": "750ms"}
    assert (ground.show("log_statement"), ground.show("log_min_duration_statement")) == ("all", "750ms")
    ground.json("logging", "off")
    assert (ground.show("log_statement"), ground.show("log_min_duration_statement")) == before == ("none", "-1")


def test_logging_is_changed_by_who_may(ground: Ground) -> None:
    refused = ground.run("logging", "on")
    assert refused.returncode == 1
    assert "permission denied" in refused.stderr
    assert ground.run("logging", "loud").returncode == 2


def test_server_that_does_not_answer_is_named(ground: Ground) -> None:
    refused = ground.run("status", BAZARUTO_SERVICES__USERS__DB_URL="postgresql://nobody@127.0.0.1:1/none")
    assert refused.returncode == 1
    assert refused.stderr.startswith("users: ")
