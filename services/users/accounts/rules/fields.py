"""What is asked of fields that people fill in, of whatever record."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Mapping

from libs.errors import FieldInvalid

_LONGEST_NAME = 200
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"})
_BREAKING = frozenset({"Cc", "Zl", "Zp"})
_TURNING = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
"""Controls that show what is behind them in another order than it is written in."""
_NAMED_PATHS = 5  # wrong ones that an answer names, and
_NAMED_CHARACTERS = 40  # how much of each: an answer's metadata is small, what a caller sends is not


def why_no_name(text: str) -> str:
    """Why a text is no name: one is kept as it is written, but it is one visible line. Empty for a name."""
    categories = {unicodedata.category(character) for character in text}
    if categories <= _INVISIBLE:
        return "is empty"
    if len(text) > _LONGEST_NAME:
        return f"has more than {_LONGEST_NAME} characters"
    if categories & _BREAKING or any(unicodedata.bidirectional(character) in _TURNING for character in text):
        return "contains control characters"
    return ""


def check_mask(resource: str, paths: Iterable[str], changeable: Collection[str]) -> None:
    """`FieldInvalid`, naming each path of a mask that cannot be changed; also when there is none.

    `resource` is the field of the request that holds the new values.
    """
    paths = list(paths)
    if not paths:
        raise FieldInvalid(violations={"update_mask": "names no field"})
    wrong = [path for path in paths if path not in changeable]
    if wrong:
        named = (path[:_NAMED_CHARACTERS] for path in wrong[:_NAMED_PATHS])
        raise FieldInvalid(violations={f"{resource}.{path}": "cannot be changed" for path in named})


def differing(before: Mapping[str, object], after: Mapping[str, object]) -> tuple[dict[str, object], dict[str, object]]:
    """What differs between two states of a record with the same fields: as it was, and as it is."""
    names = [name for name in after if after[name] != before[name]]
    return {name: before[name] for name in names}, {name: after[name] for name in names}
