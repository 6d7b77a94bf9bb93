"""backup.sh: what it leaves when all goes well, and that it leaves nothing when anything does not."""

from __future__ import annotations

import fcntl
import gzip
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from psycopg.conninfo import conninfo_to_dict

from bazarutod import embedded
from bazarutod.ports import free_port
from tests.deploy.backup.scripts import Scripts, sealing
from tests.deploy.programs import eventually
from tests.support.books import mode


def test_a_dump_has_the_name_of_the_guide_and_is_whole(scripts: Scripts) -> None:
    dump = scripts.dump()
    assert re.fullmatch(r"backup_\d{8}_\d{6}\.sql\.gz", dump.name)
    subprocess.run(["gzip", "-t", dump], check=True)
    with gzip.open(dump, "rt") as text:
        assert "PostgreSQL database dump complete" in text.read()[-200:]
    subprocess.run(["sha256sum", "--check", "--status", f"{dump.name}.sha256"], cwd=dump.parent, check=True)
    assert mode(dump) == 0o600


def test_a_good_backup_tells_the_monitoring_its_time(scripts: Scripts) -> None:
    dump = scripts.dump()
    metrics = (scripts.metrics / "bazaruto_backup_dump.prom").read_text()
    last_success = re.search(
        r'^bazaruto_backup_last_success_timestamp_seconds\{kind="dump"\} (\d+)$', metrics, re.MULTILINE
    )
    assert last_success
    assert abs(time.time() - int(last_success[1])) < 60
    size = re.search(r'^bazaruto_backup_size_bytes\{kind="dump"\} (\d+)$', metrics, re.MULTILINE)
    assert size
    assert int(size[1]) >= dump.stat().st_size
    assert mode(scripts.metrics / "bazaruto_backup_dump.prom") == 0o644


def test_several_databases_get_a_file_each(scripts: Scripts, make_database: Callable[[str], str]) -> None:
    other = str(conninfo_to_dict(make_database("users"))["dbname"])
    own = str(conninfo_to_dict(scripts.url)["dbname"])
    scripts.dump(DB_NAME=f"{own}, {other}")
    stamps = {path.name[7:22] for path in scripts.files("backup_*")}
    assert len(stamps) == 1
    (stamp,) = stamps
    assert {path.name for path in scripts.files()} == {
        f"backup_{stamp}_{own}.sql.gz",
        f"backup_{stamp}_{other}.sql.gz",
        f"roles_{stamp}.sql.gz",
    }


def test_an_unreachable_server_leaves_no_file(scripts: Scripts) -> None:
    done = scripts.run("backup.sh", DB_PORT=str(free_port()))
    assert done.returncode != 0
    assert "does not answer" in done.stderr
    assert scripts.leftovers() == []
    assert list(scripts.metrics.iterdir()) == []


def test_one_failing_database_of_several_leaves_no_file(scripts: Scripts) -> None:
    own = conninfo_to_dict(scripts.url)["dbname"]
    done = scripts.run("backup.sh", DB_NAME=f"{own},there_is_no_such_database")
    assert done.returncode != 0
    assert "the dump of there_is_no_such_database failed" in done.stderr
    assert scripts.leftovers() == []


def test_a_full_disk_leaves_no_file(scripts: Scripts) -> None:
    scripts.largest_file = 2000
    done = scripts.run("backup.sh")
    assert done.returncode != 0
    assert scripts.leftovers() == []
    assert list(scripts.metrics.iterdir()) == []


def test_a_dump_without_its_end_is_not_kept(scripts: Scripts, tmp_path: Path) -> None:
    _program(tmp_path / "bin", "pg_dump", "echo pg_dump 99; [ $1 = --version ] || echo '-- PostgreSQL database dump'")
    done = scripts.run("backup.sh", PG_BIN=str(tmp_path / "bin"))
    assert done.returncode != 0
    assert "is not whole" in done.stderr
    assert scripts.leftovers() == []


def test_a_client_older_than_the_server_is_refused_with_the_remedy(scripts: Scripts, tmp_path: Path) -> None:
    _program(tmp_path / "bin", "pg_dump", "echo 'pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)'")
    done = scripts.run("backup.sh", PG_BIN=str(tmp_path / "bin"))
    assert done.returncode != 0
    assert "pg_dump 15 is older than the server (18); set PG_BIN" in done.stderr
    assert scripts.leftovers() == []


def test_what_a_killed_backup_left_goes_with_the_next_one(scripts: Scripts) -> None:
    left = scripts.backups / ".unfinished.killed"
    (left / "base_20240115_120000").mkdir(parents=True)
    (left / "base_20240115_120000" / "base.tar.gz").write_bytes(b"half of it")
    with (scripts.backups / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert scripts.run("backup.sh").returncode != 0
        assert left.exists(), "it may be that of the backup that runs"
    scripts.dump()
    assert not left.exists()


def test_what_a_killed_backup_started_keeps_others_away_until_it_ends(scripts: Scripts, tmp_path: Path) -> None:
    _program(tmp_path / "bin", "pg_dump", "[ $1 = --version ] && exec echo pg_dump 99; echo $$ >&2; exec sleep 600")
    with scripts.started("backup.sh", PG_BIN=str(tmp_path / "bin")) as killed:
        assert killed.stderr
        orphan = int(killed.stderr.readline())
        killed.kill()
        killed.wait()
    done = scripts.run("backup.sh")
    assert "another backup runs" in done.stderr
    os.kill(orphan, signal.SIGKILL)
    scripts.dump()
    assert not list(scripts.backups.glob(".unfinished.*"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_backup_that_is_stopped_leaves_no_file_and_no_program(
    scripts: Scripts, tmp_path: Path, number: signal.Signals
) -> None:
    _program(tmp_path / "bin", "pg_dump", "[ $1 = --version ] && exec echo pg_dump 99; echo $$ >&2; sleep 600; true")
    with scripts.started("backup.sh", PG_BIN=str(tmp_path / "bin")) as stopped:
        assert stopped.stderr
        program = int(stopped.stderr.readline())
        stopped.send_signal(number)
        assert stopped.wait(timeout=30) == 128 + number
    assert scripts.leftovers() == []
    eventually(lambda: not _running_in_group(program))


def test_a_second_backup_at_the_same_time_is_refused(scripts: Scripts) -> None:
    with (scripts.backups / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = scripts.run("backup.sh")
    assert done.returncode != 0
    assert "another backup runs" in done.stderr


@pytest.mark.parametrize("program", ["gpg", "age"])
def test_a_sealed_dump_is_not_readable_without_the_key(scripts: Scripts, tmp_path: Path, program: str) -> None:
    dump = scripts.dump(**sealing(tmp_path, program))
    assert dump.name.endswith(f".sql.gz.{program}")
    assert not dump.read_bytes().startswith(b"\x1f\x8b")
    assert [path for path in scripts.files() if path.suffix == ".gz"] == []
    done = scripts.run("restore.sh", dump)
    assert done.returncode != 0
    assert "needed to open" in done.stderr


def test_a_missing_key_leaves_no_file(scripts: Scripts, tmp_path: Path) -> None:
    done = scripts.run("backup.sh", GPG_PASSPHRASE_FILE=str(tmp_path / "none"))
    assert done.returncode != 0
    assert scripts.leftovers() == []


def _running_in_group(group: int) -> list[psutil.Process]:
    """The processes of a group that live; who has ended may still wait to be collected."""
    living = (p for p in psutil.process_iter(["status"]) if p.info["status"] != psutil.STATUS_ZOMBIE)
    running = []
    for process in living:
        with suppress(ProcessLookupError):
            if os.getpgid(process.pid) == group:
                running.append(process)
    return running


def _program(folder: Path, name: str, body: str) -> None:
    """A folder of PostgreSQL's programs in which one is another one."""
    folder.mkdir()
    for program in ("psql", "pg_dumpall", "pg_dump"):
        if program != name:
            (folder / program).symlink_to(embedded.binaries() / program)
    (folder / name).write_text(f"#!/bin/sh\n{body}\n")
    (folder / name).chmod(0o755)
