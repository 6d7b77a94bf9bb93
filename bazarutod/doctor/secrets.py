"""Secrets: are they there, may only the platform read them, and how old is the key that signs?"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bazarutod.doctor.finding import Finding, Patient
from libs import clock
from libs.identity.secrets import read_secret
from services.users.accounts.adapters.signing import SigningKeys
from services.users.people.adapters.sealing import FieldKeys

_OLD = timedelta(days=90)
_KEY_ID = "%Y%m%d%H%M%S"  # when the key was made


def look(patient: Patient) -> Iterator[Finding]:
    """What can be said of the secrets of this configuration."""
    auth, mail = patient.settings.auth, patient.settings.mail
    yield from _internal(auth.internal_secret_file)
    yield from _signing(auth.key_folder)
    yield from _sealing(patient.settings.secrets.field_keys)
    others = [mail.password_file, *(service.db_url_file for service in patient.settings.services.values())]
    files = [
        auth.internal_secret_file,
        *sorted(auth.key_folder.glob("*.pem")),
        *_field_keys(patient),
        *map(Path, filter(None, others)),
    ]
    exposed = [finding for path in files for finding in _exposed(path)]
    yield from exposed or [Finding("secrets", "files", "ok", "are closed to others")]


def _internal(path: Path) -> Iterator[Finding]:
    try:
        read_secret(path)
    except ValueError as error:
        advice = "openssl rand -hex 32 makes one; every process needs the same, and a restart"
        yield Finding("secrets", "internal", "failure", f"cannot be used: {error}", advice)
    else:
        yield Finding("secrets", "internal", "ok", "is there and long enough")


def _signing(folder: Path) -> Iterator[Finding]:
    try:
        newest = SigningKeys.load(folder).newest
    except (ValueError, OSError) as error:
        advice = "Without a key nobody can log in. Restore secrets/ from the last configuration backup"
        yield Finding("secrets", "signing key", "failure", f"cannot be used: {error}", advice)
        return
    try:
        made = datetime.strptime(newest, _KEY_ID).replace(tzinfo=UTC)
    except ValueError:
        made = datetime.fromtimestamp((folder / f"{newest}.pem").stat().st_mtime, UTC)
    age = clock.real_now() - made
    if age > _OLD:
        said = f"is {age.days} days old, more than {_OLD.days}"
        yield Finding("secrets", "signing key", "warning", said, "Add a new one beside it and restart users")
    else:
        yield Finding("secrets", "signing key", "ok", "is there and fresh")


def _sealing(folder: Path) -> Iterator[Finding]:
    try:
        FieldKeys.load(folder)
    except (ValueError, OSError) as error:
        advice = "Without the keys nobody can read the tax ids. Restore secrets/ from the last configuration backup"
        yield Finding("secrets", "field keys", "failure", f"cannot be used: {error}", advice)
    else:
        yield Finding("secrets", "field keys", "ok", "are there")


def _field_keys(patient: Patient) -> list[Path]:
    folder = patient.settings.secrets.field_keys
    return sorted([*folder.glob("*.seal"), *folder.glob("*.hash")])


def _exposed(path: Path) -> Iterator[Finding]:
    """A secret that others on this machine may read, or that anybody but its owner may change."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return  # that it is missing has been said
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        yield Finding("secrets", str(path), "failure", f"is open to others (mode {mode:04o})", f"chmod 0400 {path}")
