"""What people may write into a text of a contract (option `text`): what others see as it is written."""

from __future__ import annotations

import unicodedata
from typing import Final

from bazaruto.options.v1 import options_pb2

_JOINERS: Final = frozenset("\u200c\u200d")  # Persian, the scripts of India and pictures need them
_FORMATS: Final = frozenset({"Cf", "Cs"})
_BREAKS: Final = frozenset({"Cc", "Zl", "Zp"})
_OF_LINES: Final = frozenset("\n\r\t")
_BLANK: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and marks that show nothing."""
_EMPTY: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"})


def why_not(text: str, kind: options_pb2.Text.ValueType) -> str:
    """Why a text is none of that kind; empty for one that is, and for an empty one."""
    if text.isprintable() and text.isascii() and not text.isspace():
        return ""
    takes: frozenset[str] = _OF_LINES if kind == options_pb2.TEXT_LINES else frozenset()
    categories = {character: unicodedata.category(character) for character in set(text) - takes}
    if any(category in _BREAKS for category in categories.values()):
        return "contains control characters"
    if any(category in _FORMATS and character not in _JOINERS for character, category in categories.items()):
        return "contains characters that cannot be seen, or that turn others around"
    if all(category in _EMPTY or character in _BLANK for character, category in categories.items()):
        return "is empty"
    return ""
