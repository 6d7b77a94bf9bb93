"""Tax ids: the one form in which two of them can be the same, and what is kept of one."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from libs.errors import FieldInvalid

_BETWEEN = re.compile(r"[ ./-]")
_FORM = re.compile(r"[A-Z0-9]{4,20}")
_SHOWN = 3  # characters


@dataclass(frozen=True, slots=True)
class TaxId:
    """What is kept of a tax id. Two are equal when their keyed hashes are: each seal is another."""

    digest: bytes
    sealed: str = field(compare=False)
    ending: str = field(compare=False)
    """Its last characters, by which people recognise it."""


def normalised(text: str, field_name: str) -> str:
    """The one form of a tax id: capital letters and digits. `FieldInvalid` when it is none."""
    plain = _BETWEEN.sub("", text).upper()
    if not _FORM.fullmatch(plain):
        raise FieldInvalid(violations={field_name: "is not 4 to 20 letters and digits"})
    return plain


def ending_of(tax_id: str) -> str:
    """What is shown of a tax id."""
    return tax_id[-_SHOWN:]
