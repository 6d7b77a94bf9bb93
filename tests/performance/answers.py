"""Whether two answers to the same question are alike, so that what they cost may be compared."""

from __future__ import annotations

from typing import Any


def differences(ours: Any, other: Any, path: str = "") -> list[str]:
    """Where two commits answer differently, of the fields that both know: contracts change between commits.

    What a field holds is another customer's on each side, so what is compared is its form: its type, and how many
    there are.
    """
    if isinstance(ours, dict) and isinstance(other, dict):
        both = [name for name in ours if name in other]
        if not both and ours and other:
            return [f"{path or 'the answer'} has no field in common"]
        return [found for name in both for found in differences(ours[name], other[name], f"{path}.{name}".lstrip("."))]
    if isinstance(ours, list) and isinstance(other, list):
        if len(ours) != len(other):
            return [f"{path} has {len(ours)} against {len(other)}"]
        pairs = enumerate(zip(ours, other, strict=True))
        return [found for number, pair in pairs for found in differences(*pair, f"{path}[{number}]")]
    return [] if type(ours) is type(other) else [f"{path} is {ours!r} against {other!r}"]
