"""Copies of a running server's data folder, the start of every recovery to a moment: full ones, and increments.

An increment holds the blocks that changed since an earlier copy, its parent. Both are folders of sealed files,
`base_<time>` and `incremental_<time>`; a full one with the increments on it is a chain, and is forgotten as a whole.
"""

from __future__ import annotations

import gzip
import json
import re
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

import psycopg

from bazarutod.backup import BackupError, programs, sealing, server, wal
from bazarutod.backup.folder import BackupFolder, taken
from bazarutod.backup.settings import Settings
from libs import clock

FULL, INCREMENT = "base", "incremental"
MANIFEST, PARENT, START_WAL = "backup_manifest", "PARENT", "START_WAL"
# Manifests of the copies that an increment may build on, in the clear: a sealed one can often not be opened here.
_MANIFESTS: Final = ".manifests"
_FIRST_WAL: Final = re.compile(r"^START WAL LOCATION.*\(file ([0-9A-F]{24})\)$", re.MULTILINE)


def back_up(settings: Settings, *, incremental: bool) -> None:
    """Copy the server, verify the copy, seal and upload it, forget old chains and the log that no kept one needs.

    An increment builds on the youngest copy of the same server; without one, a full copy is made instead.
    """
    url = server.conninfo(settings)
    with taken(settings) as folder:
        parent = _youngest(settings.backup_dir, _system(url)) if incremental else None
        kind = INCREMENT if parent else FULL
        copy = folder.work / f"{kind}_{clock.real_now().astimezone():%Y%m%d_%H%M%S}"
        take(url, copy, settings.backup_dir / _MANIFESTS / parent if parent else None, shows_progress=True)
        first_wal = verify(copy, folder.work / "unpacked")
        shutil.copy(copy / MANIFEST, folder.work / MANIFEST)
        for file in list(copy.iterdir()):
            sealing.seal(settings, file)
        # In the clear, so that chains are known and the archive is tidied without the key.
        (copy / START_WAL).write_text(f"{first_wal}\n")
        if parent:
            (copy / PARENT).write_text(f"{parent}\n")
        name = folder.publish_folder(copy)
        _keep_manifest(settings.backup_dir, folder.work / MANIFEST, name)
        folder.upload(name)
        _prune(settings, folder)
        if settings.wal_archive:
            oldest = copies(settings.backup_dir, FULL, INCREMENT)[0]
            wal.tidy(settings.wal_archive, (oldest / START_WAL).read_text().strip())
        folder.report_success(kind)


def take(url: str, folder: Path, parent_manifest: Path | None = None, *, shows_progress: bool = False) -> None:
    """Copy a server into tar files in a new folder; with the manifest of a parent, what changed since that."""
    options = ["--no-password", "-Ft", "-z", "--checkpoint=fast", "--wal-method=stream"]
    options += ["--manifest-checksums=SHA256", f"--pgdata={folder}", *(["-P"] if shows_progress else [])]
    failure = "the base backup failed"
    if parent_manifest:
        options.append(f"--incremental={parent_manifest}")
        failure = f"the increment on {parent_manifest.name} failed; a full base backup begins a new chain"
    programs.call(programs.program("pg_basebackup"), *options, url=url, failure=failure)
    if any(folder.glob("[0-9]*.tar.gz")):
        raise BackupError("the server has tablespaces, which a recovery cannot place")


def verify(copy: Path, unpacked: Path) -> str:
    """Unpack a copy that is not sealed, hold it against its manifest with its log; returns the first file of that."""
    for name, folder in (("base", unpacked), ("pg_wal", unpacked / "pg_wal")):
        with (copy / f"{name}.tar.gz").open("rb") as stream:
            unpack(stream, folder)
    check_manifest(unpacked, copy / MANIFEST, f"{copy.name} is not whole")
    first_wal = first_wal_of(unpacked)
    shutil.rmtree(unpacked)
    return first_wal


def check_manifest(unpacked: Path, manifest: Path, failure: str) -> None:
    """Hold every file of a copy against its manifest, and read its log from the first record to the last."""
    options = ("--quiet", "--manifest-path", manifest, unpacked)
    programs.call(programs.program("pg_verifybackup"), *options, failure=failure)


def unpack(stream: IO[bytes], folder: Path) -> None:
    """Unpack a compressed tar file to its last byte. `BackupError` when it is damaged."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        # Through gzip, because that of tarfile knows one member alone, and PostgreSQL writes several.
        with gzip.open(stream) as content:
            with tarfile.open(fileobj=content, mode="r|") as packed:
                # Debian 12's Python has neither the filter nor the argument; it is the default since Python 3.14.
                packed.extraction_filter = getattr(tarfile, "data_filter", None)
                packed.extractall(folder)  # noqa: S202 - the server packed it
            while content.read(1 << 20):
                pass
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BackupError(f"the archive is damaged: {error}") from error


def first_wal_of(data_folder: Path) -> str:
    """The file of the log from which on a copy needs it."""
    first = _FIRST_WAL.search((data_folder / "backup_label").read_text())
    if not first:
        raise BackupError(f"{data_folder}/backup_label does not say where the log begins")
    return first[1]


def chain(copy: Path) -> list[Path]:
    """The copies that a copy consists of, from the full one to itself. `BackupError` when one is not there."""
    links = [copy]
    while (parent := links[0] / PARENT).is_file():
        links.insert(0, copy.with_name(parent.read_text().strip()))
        if not links[0].is_dir():
            raise BackupError(f"{links[1]} builds on {links[0].name}, which is not beside it; nothing was changed")
    return links


def copies(folder: Path, *kinds: str) -> list[Path]:
    """The finished copies of these kinds, the oldest first."""
    paths = (path for kind in kinds for path in folder.glob(f"{kind}_*") if path.is_dir())
    return sorted(paths, key=lambda path: path.name.partition("_")[2])


def _youngest(folder: Path, system: str) -> str | None:
    """The name of the youngest copy of a server that an increment can build on."""
    for copy in reversed(copies(folder, FULL, INCREMENT)):
        manifest = folder / _MANIFESTS / copy.name
        if manifest.is_file() and str(json.loads(manifest.read_text()).get("System-Identifier")) == system:
            with suppress(BackupError):  # what it builds on is gone
                chain(copy)
                return copy.name
    return None


def _system(url: str) -> str:
    """What tells one server, with its standbys, from all others."""
    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            row = connection.execute("SELECT system_identifier FROM pg_control_system()").fetchone()
    except psycopg.Error as error:
        raise BackupError(f"the server does not answer: {str(error).strip()}") from error
    return str(row[0]) if row else ""


def _keep_manifest(folder: Path, manifest: Path, name: str) -> None:
    (folder / _MANIFESTS).mkdir(mode=0o700, exist_ok=True)
    manifest.replace(folder / _MANIFESTS / name)


def _prune(settings: Settings, folder: BackupFolder) -> None:
    """Forget chains whose youngest copy is old, and manifests of what is gone."""
    for links in _chains(settings.backup_dir):
        if all(map(folder.is_old, links)):
            for copy in links:
                shutil.rmtree(copy)
    for manifest in (settings.backup_dir / _MANIFESTS).iterdir():
        if not (settings.backup_dir / manifest.name).is_dir():
            manifest.unlink()


def _chains(folder: Path) -> Iterator[list[Path]]:
    """Every full copy with all increments on it; increments without a full copy are a chain of their own."""
    roots: dict[str, list[Path]] = {}
    for copy in copies(folder, FULL, INCREMENT):
        parent = copy / PARENT
        parent_name = parent.read_text().strip() if parent.is_file() else ""
        members = next((links for links in roots.values() if any(link.name == parent_name for link in links)), None)
        if members is None:
            roots[copy.name] = [copy]
        else:
            members.append(copy)
    yield from roots.values()
