"""What is due in a composition: a dump every night, a full copy every week, an increment in the nights between."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bazarutod.backup import BackupError, schedule
from bazarutod.backup.settings import Settings, load
from bazarutod.backup.textfile import report_success

_DAY = 86_400


def _due(metrics: Path, at: str = "00:00") -> list[str]:
    settings = Settings(metrics_dir=metrics, backup_at=at)
    return [f"{backup.__module__.rpartition('.')[2]}.{backup.__name__}" for backup in schedule.due(settings, metrics)]


def _succeeded(metrics: Path, kind: str, days_ago: float) -> None:
    report_success(Settings(metrics_dir=metrics), kind, 1, 1)
    file = metrics / f"bazaruto_backup_{kind}.prom"
    now = round(time.time())
    text = "".join(
        f"{line.rpartition(' ')[0]} {round(now - days_ago * _DAY)}\n" if "_seconds{" in line else f"{line}\n"
        for line in file.read_text().splitlines()
    )
    file.write_text(text)


def test_everything_is_due_where_nothing_was_ever_made(tmp_path: Path) -> None:
    assert _due(tmp_path) == ["sql_dumps.back_up", "schedule._copy_in_full"]


def test_nothing_is_due_after_the_night_was_done(tmp_path: Path) -> None:
    for kind in ("dump", "base"):
        report_success(Settings(metrics_dir=tmp_path), kind, 1, 1)
    assert _due(tmp_path) == []


@pytest.mark.parametrize(
    ("days", "copy"),
    [(1.5, "schedule._copy_increment"), (6, "schedule._copy_increment"), (8, "schedule._copy_in_full")],
)
def test_copy_of_a_night_is_full_once_a_week(tmp_path: Path, days: float, copy: str) -> None:
    _succeeded(tmp_path, "base", days)
    _succeeded(tmp_path, "dump", 1.5)
    assert _due(tmp_path) == ["sql_dumps.back_up", copy]


def test_increment_does_for_its_night_and_not_for_the_week(tmp_path: Path) -> None:
    report_success(Settings(metrics_dir=tmp_path), "dump", 1, 1)
    report_success(Settings(metrics_dir=tmp_path), "incremental", 1, 1)
    _succeeded(tmp_path, "base", 3)
    assert _due(tmp_path) == []
    _succeeded(tmp_path, "base", 8)
    assert _due(tmp_path) == ["schedule._copy_in_full"]


def test_empty_variable_is_one_that_is_not_set_but_for_the_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BACKUP_DIR", "BACKUP_KEEP_DAYS", "AGE_RECIPIENTS_FILE", "BACKUP_BUCKET"):
        monkeypatch.setenv(name, "")
    settings = load()
    assert (str(settings.backup_dir), settings.backup_keep_days) == ("/backups", 30)
    assert settings.age_recipients_file is None
    assert settings.backup_bucket == ""
    monkeypatch.delenv("BACKUP_BUCKET")
    assert load().backup_bucket == "s3://bazaruto-backups/"


def test_variable_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKUP_KEEP_DAYS", "a month")
    with pytest.raises(BackupError, match="BACKUP_KEEP_DAYS: "):
        load()
