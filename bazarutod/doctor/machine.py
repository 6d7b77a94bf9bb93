"""What the platform finds on its machine: Redis, and room on the disks."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from bazarutod.doctor.finding import Finding, Patient

_SECONDS = 1.0
_FULL, _NEARLY_FULL = 0.95, 0.85  # shares of a disk; the alert DiskUsageHigh begins at the second
_DATA = Path("/var/lib/bazaruto")  # of an installed platform
_BACKUPS = Path("/backups")


def redis_answers(patient: Patient) -> Iterator[Finding]:
    """Whether Redis answers, where there is one."""
    url = patient.settings.redis.url
    if not url:
        yield Finding("redis", "redis", "ok", "is not configured: each process keeps to its own cache")
        return
    client: redis.Redis = redis.Redis.from_url(
        url, socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS, retry=Retry(NoBackoff(), 0)
    )
    try:
        client.ping()
    except (RedisError, OSError) as error:
        said = f"does not answer ({type(error).__name__}): the database is read instead, and /healthz says 503"
        yield Finding("redis", "redis", "failure", said, "Start it: systemctl restart redis-server; nothing is lost")
    else:
        yield Finding("redis", "redis", "ok", "answers")
    finally:
        client.close()


def disks_have_room(patient: Patient) -> Iterator[Finding]:
    """Whether the disks with data, logs and backups have room; each disk once."""
    log = patient.settings.log_file
    folders = [patient.folder, *([Path(log).parent] if log else []), _DATA, _BACKUPS]
    seen = set()
    for folder in (_existing(path) for path in folders):
        disk = folder.stat().st_dev
        if disk in seen:
            continue
        seen.add(disk)
        used = shutil.disk_usage(folder)
        share = used.used / (used.used + used.free)  # what is kept for root is no room
        if share <= _NEARLY_FULL:
            yield Finding("disk", str(folder), "ok", "has room")
            continue
        said = f"its disk is {share:.0%} full, {used.free / 2**30:.1f} GiB are left"
        advice = f"Find what grew: du -xh --max-depth=2 {folder} | sort -h | tail; logs and old backups may go"
        yield Finding("disk", str(folder), "failure" if share > _FULL else "warning", said, advice)


def _existing(path: Path) -> Path:
    """The folder, or the nearest one above it that exists: what will be made there lies on the same disk."""
    return next(p for p in (path.absolute(), *path.absolute().parents) if p.exists() and os.access(p, os.X_OK))
