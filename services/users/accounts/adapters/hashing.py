"""Hashing passwords with argon2id, and drawing the secrets of refresh tokens.

One hash takes about 20 ms of a core and 19 MiB: never do it within a transaction, and never more at once than there
are cores.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

from argon2 import PasswordHasher, Type
from argon2.exceptions import VerifyMismatchError

from libs.errors import Exhausted
from libs.rpc import calls
from services.users.accounts.rules.password import normalise

# The least that OWASP advises for argon2id. A hash that was made with less is made anew at the next log-in.
_MEMORY = 19_456  # KiB
_ROUNDS = 2
_LANES = 1

_SECRET_BYTES = 32


class HashingBusy(Exhausted):
    """More people log in at this moment than the process can check."""

    reason = "OVERLOADED"


def new_secret() -> str:
    """A refresh token, as its holder gets to keep it: 256 random bits."""
    return secrets.token_urlsafe(_SECRET_BYTES)


class Hasher:
    """Makes and checks the hashes of passwords, as many at once as there are cores."""

    def __init__(self, memory: int = _MEMORY, rounds: int = _ROUNDS, lanes: int = _LANES) -> None:
        self._argon2 = PasswordHasher(
            time_cost=rounds, memory_cost=memory, parallelism=lanes, hash_len=32, salt_len=16, type=Type.ID
        )
        self._cores = threading.BoundedSemaphore(os.cpu_count() or 1)

    def hash(self, password: str) -> str:
        """The hash to store, with its salt and parameters in it."""
        with self._core():
            return self._argon2.hash(normalise(password))

    def matches(self, password: str, hashed: str | None) -> bool:
        """Whether it is the password of the hash. Without a hash it is not, and finding out takes as long."""
        with self._core():
            try:
                self._argon2.verify(hashed or self._of_nobody, normalise(password))
            except VerifyMismatchError:
                return False
            return hashed is not None

    def is_outdated(self, hashed: str) -> bool:
        """Whether the hash was made with other parameters than new ones are."""
        return self._argon2.check_needs_rehash(hashed)

    def prepare(self) -> None:
        """Make the hash of nobody's password now, so that the first unknown address does not take twice as long."""
        _ = self._of_nobody

    @cached_property
    def _of_nobody(self) -> str:
        return self._argon2.hash(secrets.token_urlsafe(32))

    @contextmanager
    def _core(self) -> Iterator[None]:
        """A core, waited for no longer than the call has time."""
        if not self._cores.acquire(timeout=calls.seconds_left()):
            raise HashingBusy
        try:
            yield
        finally:
            self._cores.release()
