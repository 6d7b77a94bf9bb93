"""What a command prints must not give a password away: it ends up in logs, tickets and on screens."""

from __future__ import annotations

import re

# A password may hold an @: it ends at the last one before the path.
_IN_AUTHORITY = re.compile(r"(://[^:/?#\s\"]*):[^/?#\s\"]*@")
# With a slash, which no address should have unescaped, that is no help: it ends at the first one.
_WITH_SLASH = re.compile(r"(://[^:/@\s\"]*):[^@\s\"]*@")
_BY_NAME = re.compile(r"\b((?:ssl)?password\s*=\s*)(?:'(?:[^'\\]|\\.)*'|[^\s&\"]+)", re.IGNORECASE)


def without_passwords(text: str) -> str:
    """The text with `***` for the password of every URL and connection string in it."""
    for address in (_IN_AUTHORITY, _WITH_SLASH):
        text = address.sub(r"\1:***@", text)
    return _BY_NAME.sub(r"\1***", text)
