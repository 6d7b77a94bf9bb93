"""Backups where nothing else keeps a schedule, as in a composition; systemd and Kubernetes have schedules of their own.

Every night the databases are dumped and the server is copied: in full each week, an increment in the other nights.
What is due follows from what was told to the monitoring, so that a night that was missed is made up for at once.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from bazarutod.backup import BackupError, base_backups, sql_dumps
from bazarutod.backup.base_backups import FULL, INCREMENT
from bazarutod.backup.settings import Settings
from bazarutod.backup.textfile import last_success
from libs import clock

_WEEK = timedelta(days=7) - timedelta(hours=12)  # half a day less: a night's backup takes longer or shorter
_LOOK_EVERY = 60.0  # seconds


class NoTimeOfDay(BackupError):
    """`BACKUP_AT` is not HH:MM."""


def run(settings: Settings) -> None:
    """Run until the process is told to end."""
    if not settings.metrics_dir:
        raise BackupError("METRICS_DIR is not set: where the last success of each backup is told")
    if not due(settings, settings.metrics_dir):
        print(f"nothing is due before {settings.backup_at}", file=sys.stderr)
    while True:
        # Each is tried for itself: without base backups the archive of the log grows until the disk is full.
        succeeded = [_succeeds(settings, backup) for backup in due(settings, settings.metrics_dir)]
        time.sleep(_LOOK_EVERY if all(succeeded) else settings.retry_after)


def due(settings: Settings, metrics: Path) -> list[Callable[[Settings], None]]:
    """The backups that are due now."""
    night = _night(settings.backup_at)
    backups: list[Callable[[Settings], None]] = []
    if last_success(metrics, "dump") < night:
        backups.append(sql_dumps.back_up)
    if last_success(metrics, FULL) < night - _WEEK.total_seconds():
        backups.append(_copy_in_full)
    elif last_success(metrics, FULL, INCREMENT) < night:
        backups.append(_copy_increment)
    return backups


def _copy_in_full(settings: Settings) -> None:
    base_backups.back_up(settings, incremental=False)


def _copy_increment(settings: Settings) -> None:
    base_backups.back_up(settings, incremental=True)


def _succeeds(settings: Settings, backup: Callable[[Settings], None]) -> bool:
    try:
        backup(settings)
    except (BackupError, OSError) as error:
        print(error, file=sys.stderr)
        return False
    return True


def _night(at: str) -> float:
    """When the last night's backups were to begin, in seconds since 1970."""
    try:
        time_of_day = datetime.strptime(at, "%H:%M").time()  # noqa: DTZ007 - a time of the day of this machine
    except ValueError:
        raise NoTimeOfDay(f"BACKUP_AT: {at} is no time of the day") from None
    now = clock.real_now().astimezone()
    night = datetime.combine(now.date(), time_of_day).astimezone()
    return (night if night <= now else night - timedelta(days=1)).timestamp()
