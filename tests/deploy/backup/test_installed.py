"""The scripts of the backups, run as the manifests and the composition run them: role, logins, settings, secrets."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from bazarutod import embedded
from bazarutod.stack import SERVICES
from tests.deploy.backup.installation import (
    SCRIPTS,
    Installation,
    installation,
    variables_of_cluster,
    variables_of_composition,
)
from tests.deploy.programs import eventually

pytestmark = pytest.mark.xdist_group("deploy-backup")


@pytest.fixture(scope="module")
def installed() -> Iterator[Installation]:
    """The settings of the StatefulSet on a server, with the roles and databases that its image makes."""
    with installation() as fresh_installation:
        yield fresh_installation


def test_dump_of_the_cluster_holds_every_database_sealed(installed: Installation) -> None:
    installed.clear()
    installed.run("backup.sh", variables_of_cluster("dump"))
    dumps = installed.files("backup_*")
    assert len(dumps) == len(SERVICES)
    assert all(name.endswith(".sql.gz.age") for name in dumps)
    opened = subprocess.run(
        f"age --decrypt --identity {installed.folder}/identity {installed.backups / dumps[0]} | gzip -dc",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    assert "-- PostgreSQL database dump complete" in opened
    metrics = (installed.backups / "bazaruto_backup_dump.prom").read_text()
    assert 'bazaruto_backup_last_success_timestamp_seconds{kind="dump"} ' in metrics


def test_base_backup_of_the_cluster_is_verified_and_the_archive_tidied(installed: Installation) -> None:
    installed.clear()
    with psycopg.connect(installed.superuser, autocommit=True) as connection:
        for _ in range(2):
            connection.execute("CREATE TABLE IF NOT EXISTS noise (n int)")
            connection.execute("INSERT INTO noise SELECT generate_series(1, 100)")
            connection.execute("SELECT pg_switch_wal()")
        eventually_archived(connection)
        before = segments(installed)
        installed.run("base-backup.sh", variables_of_cluster("base-backup"))
        eventually_archived(connection)
        failed = connection.execute("SELECT failed_count FROM pg_stat_archiver").fetchone()
    assert failed == (0,)
    (copy,) = installed.backups.glob("base_*")
    assert (copy / "base.tar.gz.age").exists()
    left = segments(installed)
    assert before[0] not in left
    assert (copy / "START_WAL").read_text().strip() in left
    assert (installed.backups / "bazaruto_backup_base.prom").exists()


def test_increment_of_the_cluster_builds_on_what_its_base_backup_left(installed: Installation) -> None:
    installed.clear()
    for script, name in (("base-backup.sh", "base-backup"), ("incremental-backup.sh", "incremental-backup")):
        installed.run(script, variables_of_cluster(name))
    (base,), (increment,) = installed.files("base_*"), installed.files("incremental_*")
    assert (installed.backups / increment / "PARENT").read_text().strip() == base
    assert (installed.backups / increment / "base.tar.gz.age").exists()
    assert (installed.backups / "bazaruto_backup_incremental.prom").exists()


def test_role_of_the_backups_reads_and_changes_nothing(installed: Installation) -> None:
    password = (installed.folder / "secrets" / "db-password-backup").read_text()
    url = installed.server.url("bazaruto_users", "bazaruto_backup", password)
    with psycopg.connect(url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("CREATE TABLE planted (n int)")
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(installed.server.url("postgres", "bazaruto_backup", "guessed"))


@pytest.mark.parametrize("role", ["bazaruto_users", "postgres"])
def test_nobody_else_copies_the_server(installed: Installation, role: str) -> None:
    name = f"db-password-{role.removeprefix('bazaruto_')}"
    given = {**variables_of_cluster("base-backup"), "DB_USER": role, "DB_PASSWORD_FILE": f"/run/secrets/backup/{name}"}
    done = subprocess.run(
        [SCRIPTS / "base-backup.sh"],
        env=installed.environment(given),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "no pg_hba.conf entry for replication connection" in done.stderr


@contextmanager
def scheduled(installed: Installation, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """The schedule of the composition, running; at the end it must go when it is told to."""
    environment = {**installed.environment(variables_of_composition()), **variables}
    with (
        (installed.folder / "schedule.log").open("wb") as log,
        subprocess.Popen([SCRIPTS / "schedule.sh"], env=environment, stderr=log) as running,
    ):
        try:
            yield running
        finally:
            running.send_signal(signal.SIGTERM)
            assert running.wait(timeout=30) == 0


def test_composition_makes_up_for_the_backups_that_were_missed(installed: Installation) -> None:
    installed.clear()
    with scheduled(installed) as running:
        eventually(lambda: (installed.backups / "bazaruto_backup_base.prom").exists() or running.poll() is not None)
        assert len(installed.files("backup_*.sql.gz.gpg")) == len(SERVICES)
        assert len(installed.files("base_*")) == 1
    with scheduled(installed):
        eventually(lambda: "nothing is due before 02:00" in (installed.folder / "schedule.log").read_text())
    assert len(installed.files("backup_*.sql.gz.gpg")) == len(SERVICES)


def test_backup_that_failed_is_tried_again(installed: Installation) -> None:
    installed.clear()
    late = installed.folder / "tmp" / "password"
    with scheduled(installed, RETRY_AFTER="1", DB_PASSWORD_FILE=str(late)):
        eventually(lambda: "there is no password" in (installed.folder / "schedule.log").read_text())
        shutil.copy(installed.folder / "secrets" / "db-password-backup", late)
        eventually(lambda: (installed.backups / "bazaruto_backup_dump.prom").exists())


def test_base_backup_is_taken_while_dumps_fail(installed: Installation) -> None:
    installed.clear()
    with scheduled(installed, DB_NAME="of_nobody"):
        eventually(lambda: (installed.backups / "bazaruto_backup_base.prom").exists())
    assert "the dump of of_nobody failed" in (installed.folder / "schedule.log").read_text()
    assert len(installed.files("base_*")) == 1


def test_schedule_that_is_stopped_leaves_no_unfinished_backup(installed: Installation, tmp_path: Path) -> None:
    installed.clear()
    for program in embedded.binaries().iterdir():
        (tmp_path / program.name).symlink_to(program)
    (tmp_path / "pg_dump").unlink()
    (tmp_path / "pg_dump").write_text('#!/bin/sh\n[ "$1" = --version ] && exec "$REAL" "$1"\nexec sleep 600\n')
    (tmp_path / "pg_dump").chmod(0o755)
    given = {"PG_BIN": str(tmp_path), "REAL": str(embedded.binaries() / "pg_dump")}
    with scheduled(installed, **given):
        eventually(lambda: any(installed.backups.glob(".unfinished.*/backup_*")))
    assert not any(installed.backups.glob(".unfinished.*"))


def test_schedule_refuses_a_time_that_is_none(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "METRICS_DIR": str(tmp_path), "BACKUP_AT": "26:00"}
    done = subprocess.run(
        [SCRIPTS / "schedule.sh"], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    assert "26:00 is no time of the day" in done.stderr


def test_password_that_cannot_be_read_is_named(installed: Installation) -> None:
    environment = installed.environment({**variables_of_cluster("dump"), "DB_PASSWORD_FILE": "/nowhere/password"})
    done = subprocess.run(
        [SCRIPTS / "backup.sh"], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert "there is no password in /nowhere/password" in done.stderr


def test_server_of_the_machine_is_found_by_its_data_folder(installed: Installation) -> None:
    installed.clear()
    given = installed.environment(variables_of_cluster("dump"))
    del given["DB_HOST"], given["DB_PORT"]
    given["PG_FOLDER"] = str(installed.server.folder)
    subprocess.run([SCRIPTS / "backup.sh"], env=given, check=True, capture_output=True, timeout=60)
    assert len(installed.files("backup_*")) == len(SERVICES)
    gone = {**given, "PG_FOLDER": "/nowhere"}
    done = subprocess.run([SCRIPTS / "backup.sh"], env=gone, capture_output=True, text=True, check=False, timeout=60)
    assert "no server runs on /nowhere" in done.stderr


def segments(installed: Installation) -> list[str]:
    """The files of the log in the archive, without the notes of base backups, which stay there."""
    return sorted(path.name for path in installed.archive.glob("0*") if not path.suffix)


def eventually_archived(connection: psycopg.Connection) -> None:
    """Wait until the server has archived a file of its log."""
    eventually(lambda: connection.execute("SELECT archived_count > 0 FROM pg_stat_archiver").fetchone() == (True,))
