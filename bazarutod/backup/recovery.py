"""Recovery to a moment: a base backup, the increments on it and the archived log become a data folder.

The server replays the log when it is started on the folder. Everything is checked before the folder is made.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from bazarutod.backup import BackupError, base_backups, programs, sealing, wal
from bazarutod.backup.manifest import sha256
from bazarutod.backup.settings import Settings

_ZONE: Final = re.compile(r"([+-][0-9:]+|Z|UTC)$")
_SUM: Final = re.compile(r"([0-9a-f]{64}) [ *](.+)")


def recover(settings: Settings, copy: Path, archive: Path, moment: str, data_folder: Path) -> None:
    """Make `data_folder`, from which a server recovers to a moment; without one, to the end of the archive.

    `copy` is a base backup or an increment. A moment that the archive does not reach makes the server refuse to start.
    """
    check_moment(moment)
    if not archive.is_dir():
        raise BackupError(f"there is no archive {archive}")
    if re.search(r"[\"'%]", str(archive)):
        raise BackupError(f"{archive}: quotes and % would be misread by the server")
    if data_folder.exists() and any(data_folder.iterdir()):
        raise BackupError(f"{data_folder} is not empty; move the old folder away, do not delete it")
    links = base_backups.chain(copy)
    for link in links:
        _check_sums(link)
    data_folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".restoring.", dir=data_folder.parent) as work:
        unfinished = Path(work) / "data"
        assemble(settings, links, unfinished)
        # The log must go on without a gap from where the backup began.
        wal.check(archive, base_backups.first_wal_of(unfinished), unfinished)
        configure(unfinished, archive, moment)
        if os.geteuid() == 0:
            _give(unfinished, settings.pg_owner)
        if data_folder.exists():
            data_folder.rmdir()
        unfinished.rename(data_folder)
    target = f"to {moment} " if moment else ""
    print(f"{data_folder} recovers {target}when the server is started on it", file=sys.stderr)


def assemble(settings: Settings, links: Sequence[Path], data_folder: Path) -> None:
    """Unpack a full copy and the increments on it, hold each to its manifest, and combine them into one."""
    if len(links) == 1:
        _unpack(settings, links[0], data_folder)
    else:
        parts = [data_folder.with_name(f"{data_folder.name}.{number}") for number in range(len(links))]
        for link, part in zip(links, parts, strict=True):
            _unpack(settings, link, part)
        failure = f"{links[-1]} and what it builds on do not fit together; nothing was changed"
        programs.call(programs.program("pg_combinebackup"), f"--output={data_folder}", *parts, failure=failure)
        base_backups.check_manifest(data_folder, data_folder / base_backups.MANIFEST, failure)
        for part in parts:
            shutil.rmtree(part)
    (data_folder / base_backups.MANIFEST).unlink()


def configure(data_folder: Path, archive: Path, moment: str) -> None:
    """Have the server of a data folder fetch its log from the archive up to a moment, and take writes then."""
    target = f"recovery_target_time = '{moment}'\n" if moment else ""
    with (data_folder / "postgresql.auto.conf").open("a") as configuration:
        configuration.write(f'restore_command = \'cp "{archive}/%f" "%p"\'\n')
        configuration.write(f"recovery_target_action = 'promote'\n{target}")
    (data_folder / "recovery.signal").touch()
    data_folder.chmod(0o700)


def check_moment(moment: str) -> None:
    """Refuse a moment that a server could read as another one than was meant."""
    if not moment:
        return
    zone = _ZONE.search(moment)
    if not zone:
        raise BackupError(f"{moment} has no zone: write it as 2024-01-15 14:29:00+00")
    offset = "+00:00" if zone[1] in ("Z", "UTC") else zone[1]
    try:
        datetime.fromisoformat(moment[: zone.start()].rstrip() + offset)
    except ValueError:
        raise BackupError(f"{moment} is no moment") from None


def _give(data_folder: Path, owner: str) -> None:
    try:
        user = pwd.getpwnam(owner)
    except KeyError:
        raise BackupError(f"there is no user {owner}; PG_OWNER says who runs the server") from None
    for path in (data_folder, *data_folder.rglob("*")):
        os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)


def _check_sums(copy: Path) -> None:
    sums = copy / "SHA256SUMS"
    if not sums.is_file():
        raise BackupError(f"{copy} is no base backup: it has no SHA256SUMS")
    lines = [_SUM.fullmatch(line) for line in sums.read_text().splitlines()]
    if not lines or not all(line and _has_sum(copy / line[2], line[1]) for line in lines):
        raise BackupError(f"{copy} is damaged; nothing was changed")


def _has_sum(file: Path, expected: str) -> bool:
    return file.is_file() and sha256(file) == expected


def _unpack(settings: Settings, copy: Path, data_folder: Path) -> None:
    for name, folder in (("base.tar.gz", data_folder), ("pg_wal.tar.gz", data_folder / "pg_wal")):
        try:
            with sealing.opened(settings, _part(copy, name)) as stream:
                base_backups.unpack(stream, folder)
        except BackupError as error:
            raise BackupError(f"{copy / name} cannot be unpacked: {error}; nothing was changed") from error
    manifest = data_folder / base_backups.MANIFEST
    with sealing.opened(settings, _part(copy, base_backups.MANIFEST)) as stream:
        manifest.write_bytes(stream.read())
    base_backups.check_manifest(data_folder, manifest, f"{copy} is not what its manifest says; nothing was changed")


def _part(copy: Path, name: str) -> Path:
    for suffix in sealing.SUFFIXES:
        if (path := copy / f"{name}{suffix}").is_file():
            return path
    raise BackupError(f"{copy} has no {name}; nothing was changed")
