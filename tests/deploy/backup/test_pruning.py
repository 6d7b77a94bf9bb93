"""Old backups go only when a new one is there."""

from __future__ import annotations

import os
import time
from pathlib import Path

from bazarutod.ports import free_port
from tests.deploy.backup.scripts import Scripts

_DAY = 86_400


def _aged(folder: Path, name: str, days: float) -> Path:
    path = folder / name
    path.write_text("an old backup")
    changed = time.time() - days * _DAY - 60
    os.utime(path, (changed, changed))
    return path


def test_a_backup_of_31_days_goes_and_one_of_29_stays(scripts: Scripts) -> None:
    old = _aged(scripts.backups, "backup_20240115_120000.sql.gz", 31)
    old_sum = _aged(scripts.backups, "backup_20240115_120000.sql.gz.sha256", 31)
    sealed = _aged(scripts.backups, "backup_20240115_120000.sql.gz.gpg", 31)
    young = _aged(scripts.backups, "backup_20240117_120000.sql.gz", 29)
    foreign = _aged(scripts.backups, "notes.txt", 400)
    today = scripts.dump()
    assert [path.exists() for path in (old, old_sum, sealed)] == [False, False, False]
    assert [path.exists() for path in (young, foreign, today)] == [True, True, True]


def test_nothing_goes_when_the_dump_failed(scripts: Scripts) -> None:
    old = _aged(scripts.backups, "backup_20240115_120000.sql.gz", 31)
    assert scripts.run("backup.sh", DB_PORT=str(free_port())).returncode != 0
    assert old.exists()


def test_nothing_goes_when_the_upload_failed(scripts: Scripts, tmp_path: Path) -> None:
    old = _aged(scripts.backups, "backup_20240115_120000.sql.gz", 31)
    (tmp_path / "aws").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "aws").chmod(0o755)
    done = scripts.run("backup.sh", BACKUP_BUCKET="s3://bazaruto-backups/", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode != 0
    assert "was not uploaded" in done.stderr
    assert old.exists()
    assert len(scripts.files("backup_2*")) == 2, "today's dump is whole and stays for the next upload"
    assert list(scripts.metrics.iterdir()) == []


def test_how_long_backups_stay_can_be_set(scripts: Scripts) -> None:
    old = _aged(scripts.backups, "backup_20240115_120000.sql.gz", 8)
    scripts.dump(BACKUP_KEEP_DAYS="7")
    assert not old.exists()
