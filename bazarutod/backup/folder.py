"""The folder of backups: one backup at a time works in it, finished ones appear at once, old ones go last."""

from __future__ import annotations

import fcntl
import fnmatch
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bazarutod.backup import BackupError, textfile, uploading
from bazarutod.backup.manifest import sha256
from bazarutod.backup.settings import Settings
from libs import clock

_DAY: Final = 86_400
_UNFINISHED: Final = ".unfinished."


class BackupFolder:
    """The folder in the hands of one backup, with a place beside the finished ones to work in."""

    def __init__(self, settings: Settings, work: Path) -> None:
        self.work = work
        self._settings = settings
        self._began_at = time.monotonic()
        self._size = 0

    def publish(self, file: Path) -> str:
        """Give a finished file its sum and its place; returns its name."""
        if not file.stat().st_size:
            raise BackupError(f"{file.name} is empty")
        summed = file.with_name(f"{file.name}.sha256")
        summed.write_text(f"{sha256(file)}  {file.name}\n")
        for path in (summed, file):
            path.chmod(0o600)
            flush(path)
        for path in (summed, file):  # the sum first: a file without one is not trusted
            path.replace(self._settings.backup_dir / path.name)
        self._published(file.name, (self._settings.backup_dir / file.name).stat().st_size)
        return file.name

    def publish_folder(self, folder: Path) -> str:
        """Give a folder of finished files their sums, and its place; returns its name."""
        files = sorted(folder.iterdir())
        (folder / "SHA256SUMS").write_text("".join(f"{sha256(file)}  {file.name}\n" for file in files))
        for file in folder.iterdir():
            file.chmod(0o600)
            flush(file)
        flush(folder)
        folder.rename(self._settings.backup_dir / folder.name)
        size = sum(file.stat().st_size for file in (self._settings.backup_dir / folder.name).iterdir())
        self._published(folder.name, size)
        return folder.name

    def upload(self, *names: str) -> None:
        """Upload what was published, with its sum."""
        for name in names:
            path = self._settings.backup_dir / name
            if path.is_dir():
                for file in sorted(path.iterdir()):
                    uploading.upload(self._settings, f"{name}/{file.name}")
            else:
                uploading.upload(self._settings, name, f"{name}.sha256")

    def prune(self, *patterns: str) -> None:
        """Forget old files. Called last, so that a night without a new backup costs no old one."""
        for path in self._settings.backup_dir.iterdir():
            if any(fnmatch.fnmatch(path.name, pattern) for pattern in patterns) and self.is_old(path):
                path.unlink()

    def is_old(self, path: Path) -> bool:
        """Whether a backup has been kept as many whole days as was asked for, and one more."""
        return clock.real_seconds() - path.stat().st_mtime >= (self._settings.backup_keep_days + 1) * _DAY

    def report_success(self, kind: str) -> None:
        """Tell the monitoring that all of it went well."""
        textfile.report_success(self._settings, kind, self._size, time.monotonic() - self._began_at)

    def _published(self, name: str, size: int) -> None:
        flush(self._settings.backup_dir)
        self._size += size
        print(f"wrote {self._settings.backup_dir / name}", file=sys.stderr)


@contextmanager
def taken(settings: Settings) -> Iterator[BackupFolder]:
    """The folder of backups, for one backup alone. What is unfinished at the end is removed."""
    folder = settings.backup_dir
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        # Programs inherit it: while one of a backup that was killed still writes, nobody else begins.
        os.set_inheritable(lock.fileno(), True)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupError(f"another backup runs in {folder}") from None
        for left in folder.glob(f"{_UNFINISHED}*"):  # by one that was killed
            shutil.rmtree(left)
        with tempfile.TemporaryDirectory(prefix=_UNFINISHED, dir=folder) as work:
            yield BackupFolder(settings, Path(work))


def flush(path: Path) -> None:
    """Have a file or a folder on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
