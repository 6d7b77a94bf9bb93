"""Secrets: files that hold them, and the names that values go by which must be neither shown nor kept."""

from __future__ import annotations

import os
import re
from operator import add
from pathlib import Path
from typing import Final

_WORDS: Final = ("password", "secret", "token", "hash", "card", "paymentmethod")
_SECRET: Final = frozenset(word + ending for word in _WORDS for ending in ("", "s", "es"))
_WORD_OF_NAME: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")  # of refresh_token, refreshToken, REFRESH-TOKEN


def write_secret(path: Path, secret: bytes) -> None:
    """Write a file that only its owner reads. It is there whole, or not at all: half a secret would never be remade."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "wb") as file:
        file.write(secret)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)


def read_secret(path: Path) -> bytes:
    """The secret in a file. `ValueError`, naming the file, when it is missing or shorter than 32 bytes."""
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise ValueError(f"auth.internal_secret_file: {error}") from error
    if len(secret) < 32:
        raise ValueError(f"auth.internal_secret_file: {path} holds less than 32 bytes")
    return secret


def is_secret(name: str) -> bool:
    """Whether the value of that name must be neither shown nor kept: when a word of the name says so.

    Two words in a row count as one too: `payment_method`. A part of a word says nothing: `scorecard`.
    """
    words = [word.lower() for word in _WORD_OF_NAME.findall(name)]
    return not _SECRET.isdisjoint([*words, *map(add, words, words[1:])])
