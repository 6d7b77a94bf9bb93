"""Backups are sealed with age or gpg; both notice every change of what they sealed. Without a key nothing is sealed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bazarutod.backup import BackupError, programs
from bazarutod.backup.settings import Settings

SUFFIXES = ("", ".age", ".gpg")


def must_seal(settings: Settings) -> None:
    """Refuse to go on without a key."""
    if not (settings.age_recipients_file or settings.gpg_passphrase_file):
        raise BackupError("this holds secrets: set AGE_RECIPIENTS_FILE or GPG_PASSPHRASE_FILE")


def seal(settings: Settings, file: Path) -> Path:
    """Encrypt a file where it lies, and return what it is called then. Without a key it stays as it is."""
    failure = f"{file.name} could not be sealed"
    if settings.age_recipients_file:
        sealed = file.with_name(f"{file.name}.age")
        options: list[object] = ["--encrypt", "--recipients-file", settings.age_recipients_file, "--output", sealed]
        programs.call(programs.of_system("age"), *options, file, failure=failure)
    elif settings.gpg_passphrase_file:
        sealed = file.with_name(f"{file.name}.gpg")
        with _gpg_options(settings.gpg_passphrase_file) as options:
            options += ["--symmetric", "--cipher-algo", "AES256", "--output", sealed]
            programs.call(programs.of_system("gpg"), *options, file, failure=failure)
    else:
        return file
    file.unlink()
    return sealed


@contextmanager
def opened(settings: Settings, file: Path) -> Iterator[IO[bytes]]:
    """What a file held before it was sealed, as a stream to read to its end.

    `ProgramFailed` when it cannot be opened.
    """
    failure = f"{file} cannot be opened: it is damaged, or its key is another one"
    if file.suffix == ".age":
        if not settings.age_identity_file:
            raise BackupError(f"AGE_IDENTITY_FILE is needed to open {file}")
        options = ("--decrypt", "--identity", settings.age_identity_file)
        with programs.output(programs.of_system("age"), *options, file, failure=failure) as stream:
            yield stream
    elif file.suffix == ".gpg":
        if not settings.gpg_passphrase_file:
            raise BackupError(f"GPG_PASSPHRASE_FILE is needed to open {file}")
        with (
            _gpg_options(settings.gpg_passphrase_file) as gpg_options,
            programs.output(programs.of_system("gpg"), *gpg_options, "--decrypt", file, failure=failure) as stream,
        ):
            yield stream
    else:
        with file.open("rb") as stream:
            yield stream


@contextmanager
def _gpg_options(passphrase: Path) -> Iterator[list[object]]:
    """Options for a gpg that starts no agent, which would outlive the backup.

    The agent would only be asked how much work to put into the passphrase; that is said here, the most there is.
    """
    if not (passphrase.is_file() and passphrase.stat().st_size):
        raise BackupError(f"there is no passphrase in {passphrase}")
    with tempfile.TemporaryDirectory() as home:
        options = ["--homedir", home, "--no-autostart", "--batch", "--quiet", "--no-tty", "--pinentry-mode", "loopback"]
        options += ["--no-symkey-cache", "--passphrase-file", str(passphrase)]
        yield [*options, "--s2k-digest-algo", "SHA512", "--s2k-count", "65011712"]
