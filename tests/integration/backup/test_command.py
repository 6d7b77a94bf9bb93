"""`bazarutod backup` and `restore`: counted, summed, and compared when it comes back."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from bazarutod import embedded
from bazarutod.backup import BackupError, dumping, manifest, restoring
from bazarutod.stack import SERVICES
from tests.support import books
from tests.support.books import content, fill_books, mode

BAZARUTOD = str(Path(sys.executable).with_name("bazarutod"))


@dataclass(frozen=True)
class Suite:
    """The databases of every service, and the command."""

    urls: dict[str, str]
    folder: Path

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run `bazarutod` where these databases are configured."""
        given = {f"BAZARUTO_SERVICES__{name.upper()}__DB_URL": url for name, url in self.urls.items()}
        return subprocess.run(
            [BAZARUTOD, *map(str, arguments)],
            env={**os.environ, **given},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def back_up(self) -> Path:
        """A backup."""
        dumping.back_up(self.urls, self.folder / "backup", lambda _: None)
        return self.folder / "backup"

    def names(self) -> set[str]:
        """Of the databases."""
        return {str(conninfo_to_dict(url)["dbname"]) for url in self.urls.values()}


@pytest.fixture
def suite(make_database: Callable[[str], str], tmp_path: Path) -> Suite:
    """Every service's database, with books in that of payments."""
    urls = {service: make_database(service) for service in SERVICES}
    fill_books(urls["payments"])
    return Suite(urls, tmp_path)


def _databases(server: embedded.Server) -> set[str]:
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        rows = connection.execute("SELECT datname FROM pg_database WHERE NOT datistemplate").fetchall()
    return {name for (name,) in rows} - {"postgres"}


def test_a_backup_comes_back_the_same(suite: Suite, spare_server: embedded.Server) -> None:
    done = suite.run("backup", "--to", "kept", "--json")
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    assert summary["trial_balance"] == {"EUR": 0, "USD": 0}
    assert mode(suite.folder / "kept") == 0o700
    assert {mode(path) for path in (suite.folder / "kept").iterdir()} == {0o600}

    done = suite.run("restore", "kept", "--server", spare_server.url("postgres"))
    assert done.returncode == 0, done.stderr
    assert f"Restored and compared: {summary['rows']:,} rows" in done.stdout
    assert _databases(spare_server) == suite.names()
    for url in suite.urls.values():
        assert content(spare_server.url(str(conninfo_to_dict(url)["dbname"]))) == content(url)


def test_a_backup_sees_one_moment_of_a_database_in_use(suite: Suite) -> None:
    """What is committed while the dump runs is in neither the dump nor the counts."""

    def write_meanwhile(_: str) -> None:
        with psycopg.connect(suite.urls["quotes"]) as connection:
            connection.execute("SELECT nextval('quote_numbers')")
        fill_books(suite.urls["payments"])

    made = dumping.back_up(suite.urls, suite.folder / "backup", write_meanwhile)
    assert made.dumps["payments"].content.tables["public.journals"].rows == 5
    assert content(suite.urls["payments"]).tables["public.journals"].rows == 5 + 5 * len(SERVICES)


@pytest.mark.parametrize("ruin", [books.cut_off, books.flip_a_bit, Path.unlink])
@pytest.mark.parametrize("name", ["payments.dump", "manifest.json"])
def test_a_damaged_backup_is_refused_before_the_server_is_asked(
    suite: Suite, name: str, ruin: Callable[[Path], None]
) -> None:
    backup = suite.back_up()
    ruin(backup / name)
    with pytest.raises(BackupError, match=name):
        restoring.restore(backup, "postgresql://postgres@127.0.0.1:1/postgres", lambda _: None)


def test_a_check_finds_damage_and_needs_no_server(suite: Suite) -> None:
    backup = suite.back_up()
    assert suite.run("restore", backup, "--check").returncode == 0
    books.flip_a_bit(backup / "users.dump")
    done = suite.run("restore", backup, "--check")
    assert done.returncode == 1
    assert "users.dump is damaged: its checksum is another one" in done.stderr


def test_databases_in_use_are_not_restored_over(suite: Suite) -> None:
    backup, before = suite.back_up(), content(suite.urls["payments"])
    server = _own_server(suite)
    with pytest.raises(BackupError, match=r"is not empty\. Nothing was changed\."):
        restoring.restore(backup, server, lambda _: None)
    assert content(suite.urls["payments"]) == before


def test_a_restore_that_is_not_the_same_leaves_nothing(suite: Suite, spare_server: embedded.Server) -> None:
    backup = suite.back_up()
    made = manifest.read(backup)
    claimed = made.dumps["payments"].content.tables["public.postings"].model_copy(update={"rows": 11})
    tables = {**made.dumps["payments"].content.tables, "public.postings": claimed}
    wrong = made.dumps["payments"].content.model_copy(update={"tables": tables})
    dumps = {**made.dumps, "payments": made.dumps["payments"].model_copy(update={"content": wrong})}
    manifest.write(made.model_copy(update={"dumps": dumps}), backup)
    with pytest.raises(BackupError, match=r"public\.postings has 10 rows instead of 11"):
        restoring.restore(backup, spare_server.url("postgres"), lambda _: None)
    assert _databases(spare_server) == set()


def test_databases_get_their_names_all_or_none(suite: Suite, spare_server: embedded.Server) -> None:
    backup, names = suite.back_up(), sorted(suite.names())
    last = list(manifest.read(backup).dumps.values())[-1].database
    with psycopg.connect(spare_server.url("postgres"), autocommit=True) as server:
        for name in names:
            server.execute(f'CREATE DATABASE "{name}"'.encode())

    def connect_at_renaming(step: str) -> None:
        if step == "Giving the databases their names":
            clients.append(psycopg.connect(spare_server.url(last)))

    clients: list[psycopg.Connection] = []
    with pytest.raises(BackupError, match="is being accessed by other users"):
        restoring.restore(backup, spare_server.url("postgres"), connect_at_renaming)
    clients[0].close()
    assert _databases(spare_server) == set(names)
    for name in names:
        assert content(spare_server.url(name)).rows == 0

    restoring.restore(backup, spare_server.url("postgres"), lambda _: None)
    assert _databases(spare_server) == set(names)
    assert content(spare_server.url(last)).tables


@pytest.mark.parametrize("suffix", ["_empty", "_restoring"])
def test_what_a_restore_that_died_left_is_named_before_anything_is_made(
    suite: Suite, spare_server: embedded.Server, suffix: str
) -> None:
    backup, steps = suite.back_up(), list[str]()
    empty = sorted(suite.names())[-1]
    left = empty + suffix
    with psycopg.connect(spare_server.url("postgres"), autocommit=True) as server:
        for name in (empty, left):
            server.execute(f'CREATE DATABASE "{name}"'.encode())
    with pytest.raises(BackupError, match=f"the database {left} exists"):
        restoring.restore(backup, spare_server.url("postgres"), steps.append)
    assert steps == ["Checking the files"]
    assert _databases(spare_server) == {empty, left}


def test_a_platform_that_runs_is_not_restored_over_and_one_that_was_killed_is(suite: Suite, open_folder: Path) -> None:
    backup, folder = suite.back_up(), open_folder / "run"
    folder.mkdir()
    (folder / "state.json").write_text('{"pid": 1, "environment": {}}')
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = suite.run("restore", backup, "--folder", folder)
        assert done.returncode == 1
        assert "is running: stop it first" in done.stderr
    done = suite.run("restore", backup, "--folder", folder)
    assert done.returncode == 0, done.stderr


def test_a_backup_is_never_written_over_another_one(suite: Suite) -> None:
    backup = suite.back_up()
    before = {path.name: path.read_bytes() for path in backup.iterdir()}
    with pytest.raises(BackupError, match="exists"):
        suite.back_up()
    assert {path.name: path.read_bytes() for path in backup.iterdir()} == before


def test_an_unreachable_database_leaves_no_folder(suite: Suite) -> None:
    urls = {**suite.urls, "payments": "postgresql://postgres@127.0.0.1:1/bazaruto_payments"}
    with pytest.raises(BackupError):
        dumping.back_up(urls, suite.folder / "backup", lambda _: None)
    assert list(suite.folder.iterdir()) == []


def test_unbalanced_books_are_kept_and_told(suite: Suite) -> None:
    with psycopg.connect(suite.urls["payments"]) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE postings SET amount = amount + 1 WHERE ctid = (SELECT min(ctid) FROM postings)")
    done = suite.run("backup", "--to", "kept")
    assert done.returncode == 0, done.stderr
    assert "is off by" in done.stderr
    assert (suite.folder / "kept" / "payments.dump").exists()


def _own_server(suite: Suite) -> str:
    """The server that the suite itself is on."""
    server = conninfo_to_dict(suite.urls["users"])
    return f"postgresql://{server['user']}@{server['host']}:{server['port']}/postgres"
