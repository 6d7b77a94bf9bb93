"""Sealing identifiers of people, so that whoever reads the database, or a copy of it, has none.

A value is sealed with AES-256-GCM for the one customer whom it is of, and names the key: the newest seals, all of them
open, so that a key can be replaced. To find a value again without opening any, a keyed hash stands beside it, whose
key is another one and stays.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from libs.identity.secrets import write_secret
from services.users.people.rules.tax_id import TaxId, ending_of

_BYTES = 32  # of a key
_NONCE = 12  # bytes
_SEAL, _HASH = ".seal", ".hash"


class SealBroken(RuntimeError):
    """A sealed value cannot be opened: its key is not there, or it was not sealed for this customer."""


@dataclass(frozen=True)
class FieldKeys:
    """The keys that seal, by id, and the one that hashes."""

    keys: Mapping[str, AESGCM]
    hash_key: bytes

    @classmethod
    def load(cls, folder: Path) -> FieldKeys:
        """Read every `<key id>.seal` of a folder, whose ids sort by age, and its one `.hash`.

        `ValueError` names what is missing or is no key. The id is what follows the last `_`: a credential of systemd
        has the name of its folder before it.
        """
        keys = {path.stem.rpartition("_")[2]: AESGCM(_read(path)) for path in folder.glob(f"*{_SEAL}")}
        hashes = [_read(path) for path in folder.glob(f"*{_HASH}")]
        if not keys or len(hashes) != 1:
            raise ValueError(f"secrets.field_keys: in {folder} there is no key that seals, or not one that hashes")
        return cls(keys, hashes[0])

    def seal(self, tax_id: str, customer_id: UUID) -> TaxId:
        """A tax id in its one form, as it is kept for a customer."""
        newest, nonce = max(self.keys), os.urandom(_NONCE)
        sealed = nonce + self.keys[newest].encrypt(nonce, tax_id.encode(), customer_id.bytes)
        return TaxId(self.digest(tax_id), f"{newest}:{base64.b64encode(sealed).decode()}", ending_of(tax_id))

    def open(self, tax_id: TaxId, customer_id: UUID) -> str:
        """The tax id of a customer. `SealBroken` when it cannot be opened."""
        key_id, _, text = tax_id.sealed.partition(":")
        sealed = base64.b64decode(text)
        try:
            opened = self.keys[key_id].decrypt(sealed[:_NONCE], sealed[_NONCE:], customer_id.bytes)
        except (KeyError, InvalidTag) as error:
            raise SealBroken(f"with the key {key_id}") from error
        return opened.decode()

    def digest(self, tax_id: str) -> bytes:
        """What a tax id is found by."""
        return hmac.digest(self.hash_key, tax_id.encode(), hashlib.sha256)


def write_field_keys(folder: Path, now: datetime) -> None:
    """Make a new key that seals, and the one that hashes if there is none. The old ones go on opening."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_secret(folder / f"{now:%Y%m%d%H%M%S}{_SEAL}", secrets.token_hex(_BYTES).encode())
    if not any(folder.glob(f"*{_HASH}")):
        write_secret(folder / f"search{_HASH}", secrets.token_hex(_BYTES).encode())


def _read(path: Path) -> bytes:
    try:
        key = bytes.fromhex(path.read_text("ascii").strip())
    except (OSError, ValueError) as error:
        raise ValueError(f"secrets.field_keys: {path} is no key that can be read: {error}") from error
    if len(key) != _BYTES:
        raise ValueError(f"secrets.field_keys: {path} does not hold {_BYTES} bytes in hexadecimal")
    return key
