"""The last success of each kind of backup, told to node_exporter's textfile collector. `BackupStale` looks at it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from bazarutod.backup.settings import Settings
from libs import clock

_OF_DEBIAN: Final = Path("/var/lib/prometheus/node-exporter")
_SUCCESS: Final = "bazaruto_backup_last_success_timestamp_seconds"


def report_success(settings: Settings, kind: str, size: int, seconds: float) -> None:
    """Write down that a backup was made and stored in full."""
    folder = settings.metrics_dir or _OF_DEBIAN
    if folder == _OF_DEBIAN and not folder.is_dir():
        return
    gauges = (
        (_SUCCESS, "When a backup of this kind was last made and stored in full.", round(clock.real_seconds())),
        ("bazaruto_backup_size_bytes", "Bytes of the last good backup of this kind.", size),
        ("bazaruto_backup_duration_seconds", "Seconds that the last good backup of this kind took.", round(seconds)),
    )
    lines = (f'# HELP {name} {text}\n# TYPE {name} gauge\n{name}{{kind="{kind}"}} {n}\n' for name, text, n in gauges)
    file = _file(folder, kind)
    unfinished = file.with_name(f"{file.name}.{os.getpid()}")
    unfinished.write_text("".join(lines))
    unfinished.chmod(0o644)
    unfinished.replace(file)


def last_success(folder: Path, *kinds: str) -> int:
    """When the youngest backup of these kinds succeeded, in seconds since 1970; 0 when none is known."""
    texts = [file.read_text() for kind in kinds if (file := _file(folder, kind)).exists()]
    return max(
        (int(seconds) for text in texts for seconds in re.findall(rf"^{_SUCCESS}{{.*}} (\d+)$", text, re.M)), default=0
    )


def _file(folder: Path, kind: str) -> Path:
    return folder / f"bazaruto_backup_{kind}.prom"
