"""What lies beside the dumps: which file holds which database, with sums of the files and of what is in them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from bazarutod.backup import BackupError, programs
from bazarutod.backup.fingerprint import Fingerprint

NAME = "manifest.json"


class Dump(BaseModel):
    """One database in a backup."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    database: str
    owner: str
    roles: Mapping[str, bool]  # every role that the dump names, and whether it may log in
    file: str
    size: int
    sha256: str
    content: Fingerprint


class Manifest(BaseModel):
    """One backup."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str  # of the program that made it
    server_version: int  # of PostgreSQL, as 180006
    taken_at: datetime
    spread_ms: int  # between the moments of the first and the last database
    dumps: Mapping[str, Dump]  # by service

    @property
    def rows(self) -> int:
        """Of all databases together."""
        return sum(dump.content.rows for dump in self.dumps.values())


def read(folder: Path) -> Manifest:
    """Read the manifest of a backup. `BackupError` when there is none, or it is damaged."""
    try:
        text = (folder / NAME).read_bytes()
    except OSError as error:
        raise BackupError(f"{folder} is no backup: {NAME}: {error.strerror}") from error
    try:
        stored = (folder / f"{NAME}.sha256").read_text().split()[0]
    except (OSError, IndexError, UnicodeDecodeError) as error:
        raise BackupError(f"{folder}: {NAME} has no checksum beside it") from error
    if hashlib.sha256(text).hexdigest() != stored:
        raise BackupError(f"{folder}: {NAME} is damaged: its checksum is another one")
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        raise BackupError(f"{folder}: {NAME} is not of this program: {error.errors()[0]['msg']}") from error


def write(manifest: Manifest, folder: Path) -> None:
    """Write the manifest and its checksum."""
    text = manifest.model_dump_json(indent=2).encode()
    for name, content in ((NAME, text), (f"{NAME}.sha256", f"{hashlib.sha256(text).hexdigest()}  {NAME}\n".encode())):
        (folder / name).touch(mode=0o600)
        (folder / name).write_bytes(content)


def verify(manifest: Manifest, folder: Path) -> None:
    """Hold every file against the manifest. Touches nothing; `BackupError` names all that are damaged."""
    wrong = []
    for dump in manifest.dumps.values():
        file = folder / dump.file
        if not file.is_file():
            wrong.append(f"{dump.file} is missing")
        elif file.stat().st_size != dump.size:
            wrong.append(f"{dump.file} has {file.stat().st_size} bytes instead of {dump.size}")
        elif sha256(file) != dump.sha256:
            wrong.append(f"{dump.file} is damaged: its checksum is another one")
    if wrong:
        raise BackupError(f"{folder}: {'; '.join(wrong)}. Nothing was changed.")
    for dump in manifest.dumps.values():
        programs.run("pg_restore", "--list", folder / dump.file)


def sha256(file: Path) -> str:
    """The checksum of a file."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
