"""What the platform has left on disk: errors in its logs, and its last backup."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bazarutod.doctor.finding import Finding, Patient, State
from libs import clock

_RECENT = timedelta(minutes=15)
_TAIL = 512 * 1024  # bytes of each log that are read
_MOST = 5  # kinds of errors that are told
_FRESH = timedelta(hours=26)  # as the alert BackupStale
_METRIC = re.compile(r'^bazaruto_backup_last_success_timestamp_seconds\{kind="dump"\} (\d+)', re.MULTILINE)
_METRICS = Path("/var/lib/prometheus/node-exporter")


def errors_in_logs(patient: Patient) -> Iterator[Finding]:
    """Errors of the last quarter of an hour, those that come most often first."""
    files = sorted((patient.folder / "logs").glob("*.log"))
    if patient.settings.log_file:
        files.append(Path(patient.settings.log_file))
    if not any(path.exists() for path in files):
        said = "are in no file that this program knows"
        yield Finding("logs", "logs", "ok", said, "journalctl -u 'bazaruto*' -p err, or kubectl logs")
        return
    counts: Counter[tuple[str, str]] = Counter()
    where: dict[tuple[str, str], Path] = {}
    since = f"{clock.real_now() - _RECENT:%Y-%m-%dT%H:%M:%S}"
    for path in files:
        for line in _lines(path):
            if line.get("level") in ("error", "critical") and str(line.get("timestamp", "")) >= since:
                kind = str(line.get("component", path.stem)), " ".join(str(line.get("message", "")).split())
                counts[kind] += 1
                where[kind] = path
    for (component, message), count in counts.most_common(_MOST):
        times = "once" if count == 1 else f"{count} times"
        said = f"said {times} in the last {_RECENT.seconds // 60} minutes: {message[:120]}"
        advice = f"""grep '"level":"error"' {where[component, message]} | tail"""
        yield Finding("logs", component, "warning", said, advice)
    if not counts:
        yield Finding("logs", "logs", "ok", f"hold no error of the last {_RECENT.seconds // 60} minutes")


def last_backup(patient: Patient) -> Iterator[Finding]:
    """How old the last good backup is, as far as this machine knows."""
    known = sorted(_backups())
    if not known:
        yield Finding("backup", "backup", "ok", "is not known here: BackupStale watches over it")
        return
    age = clock.real_now() - known[-1]
    hours = age.total_seconds() / 3600
    if age <= _FRESH:
        yield Finding("backup", "backup", "ok", "is fresh")
        return
    state: State = "failure" if patient.settings.environment == "production" else "warning"
    said = f"the last one that is known here is {hours:.0f} hours old"
    yield Finding("backup", "backup", state, said, "Run deploy/backup/backup.sh by hand and read what it says")


def _backups() -> Iterator[datetime]:
    """When backups were made: as the scripts told the monitoring, and as files tell by their age."""
    metrics = Path(os.environ.get("METRICS_DIR") or _METRICS) / "bazaruto_backup_dump.prom"
    if metrics.is_file() and (match := _METRIC.search(metrics.read_text())):
        yield datetime.fromtimestamp(int(match[1]), UTC)
    for path in (
        *Path(os.environ.get("BACKUP_DIR") or "/backups").glob("backup_*.sql.gz*.sha256"),
        *Path("backups").glob("backup_*/manifest.json"),
    ):
        yield datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines at the end of a log that are JSON objects."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - _TAIL))
            text = log.read().decode(errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        if '"error"' not in line and '"critical"' not in line:
            continue  # most lines; to parse them all would take a second
        try:
            fields = json.loads(line)
        except ValueError:
            continue  # the first one may be cut off
        if isinstance(fields, dict):
            yield fields
