"""The passwords that attackers try first: a list that ships with this module."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_FILE = Path(__file__).parents[1] / "data" / "common_passwords.txt"


@cache
def common_passwords() -> frozenset[str]:
    """The list, case-folded; read once, when it is first needed."""
    return frozenset(line for line in _FILE.read_text("utf-8").splitlines() if line and not line.startswith("# "))
