"""What a password must be: long enough, and not among those that attackers try first.

There is no rule about kinds of characters; such rules make passwords worse. Hashing is work for the processor
and lives in `hashing.py`.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from importlib import resources

from libs.errors import FieldInvalid, Invalid, Unauthenticated

SHORTEST = 8
LONGEST = 256


class CredentialsInvalid(Unauthenticated):
    """E-mail address or password are wrong."""

    reason = "CREDENTIALS_INVALID"


class PasswordTooCommon(Invalid):
    """The password is on the list of passwords that are tried first by attackers."""

    reason = "PASSWORD_TOO_COMMON"


def check_password(password: str, email: str) -> None:
    """Refuse a password that is too short, too long, common, or simply the user's e-mail address."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise FieldInvalid(violations={"password": f"must have {SHORTEST} to {LONGEST} characters"})
    folded = normalise(password).casefold()
    address = email.casefold()
    if folded in _common_passwords() or folded in (address, address.partition("@")[0]):
        raise PasswordTooCommon


def normalise(password: str) -> str:
    """The form that is hashed: one keyboard sends `é` as one character, another as two (NIST SP 800-63B)."""
    return unicodedata.normalize("NFKC", password)


@cache
def _common_passwords() -> frozenset[str]:
    """The list that ships with this package; read once, when it is first needed."""
    text = resources.files("services.users.accounts").joinpath("data/common_passwords.txt").read_text("utf-8")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("# "))
