"""The archive of the server's write-ahead log, which `wal-archive.sh` fills: seen to be without a gap, and tidied."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from bazarutod.backup import BackupError, programs

_FILE: Final = re.compile(r"[0-9A-F]{24}")  # timeline, log, segment: eight digits each


def check(archive: Path, first: str, data_folder: Path) -> None:
    """See that no file of a timeline is missing or cut off, from `first` to the last one of the archive.

    What a backup brought along, in `data_folder`, need not be in the archive.
    """
    size = _segment_size(data_folder)
    names = {path.name for path in archive.iterdir() if _FILE.fullmatch(path.name) and path.name[:8] == first[:8]}
    if not names:
        return
    last, per_log = max(names), 0x1_0000_0000 // size
    for number in range(_number(first, per_log), _number(last, per_log) + 1):
        name = f"{first[:8]}{number // per_log:08X}{number % per_log:08X}"
        if name in names:
            if (archive / name).stat().st_size != size:
                raise BackupError(f"{archive / name} is cut off; nothing was changed")
        elif not (data_folder / "pg_wal" / name).is_file():
            raise BackupError(f"the archive has a gap: {name} is missing, and {last} is there; nothing was changed")


def tidy(archive: Path, oldest: str) -> None:
    """Remove what is older than the oldest file that is still needed."""
    failure = f"{archive} could not be tidied"
    programs.call(programs.program("pg_archivecleanup"), archive, oldest, failure=failure)


def _number(name: str, per_log: int) -> int:
    return int(name[8:16], 16) * per_log + int(name[16:], 16)


def _segment_size(data_folder: Path) -> int:
    printed = programs.run("pg_controldata", data_folder)
    size = re.search(r"^Bytes per WAL segment: *(\d+)$", printed, re.MULTILINE)
    if not size:
        raise BackupError(f"{data_folder} is no data folder: {printed}")
    return int(size[1])
