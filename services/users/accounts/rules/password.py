"""What a password must be: long enough, and not among those that attackers try first.

There is no rule about kinds of characters; such rules make passwords worse. Hashing is work for the processor, and an
adapter.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Set

from libs.errors import FieldInvalid, Invalid, Unauthenticated

SHORTEST = 8
LONGEST = 256


class CredentialsInvalid(Unauthenticated):
    """E-mail address or password are wrong."""

    reason = "CREDENTIALS_INVALID"


class PasswordTooCommon(Invalid):
    """The password is on the list of passwords that are tried first by attackers."""

    reason = "PASSWORD_TOO_COMMON"


def check_password(password: str, email: str, common: Set[str]) -> None:
    """Refuse a password that is too short, too long, common, or simply the user's e-mail address.

    `common` are the passwords that attackers try first, case-folded.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise FieldInvalid(violations={"password": f"must have {SHORTEST} to {LONGEST} characters"})
    folded = normalise(password).casefold()
    address = email.casefold()
    if folded in common or folded in (address, address.partition("@")[0]):
        raise PasswordTooCommon


def normalise(password: str) -> str:
    """The form that is hashed: one keyboard sends `é` as one character, another as two (NIST SP 800-63B)."""
    return unicodedata.normalize("NFKC", password)
