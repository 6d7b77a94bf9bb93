"""What a command prints must not give a password away: it ends up in logs, tickets and on screens."""

from __future__ import annotations

import re

_IN_ADDRESS = re.compile(r"(://[^:/@\s\"]*):[^@\s\"]*@")
_BY_NAME = re.compile(r"\b((?:ssl)?password\s*=\s*)(?:'(?:[^'\\]|\\.)*'|[^\s&\"]+)", re.IGNORECASE)


def without_passwords(text: str) -> str:
    """The text with `***` for the password of every URL and connection string in it."""
    return _BY_NAME.sub(r"\1***", _IN_ADDRESS.sub(r"\1:***@", text))
