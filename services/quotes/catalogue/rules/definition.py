"""What is wrong with a product file: each fault with the key and the line on which it stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from libs.errors import FieldInvalid


class Fault(NamedTuple):
    """A key of a product file, for example `rating[3].table`, and what is wrong with it."""

    key: str
    """Empty for what is wrong with the file as a whole."""
    problem: str
    line: int = 0
    """Counted from 1; 0 where no file is known."""

    def __str__(self) -> str:
        parts = [f"line {self.line}" if self.line else "", self.key, self.problem]
        return ": ".join(part for part in parts if part)


class DefinitionError(FieldInvalid):
    """A product file, or the document of one, cannot be used; each fault names its key."""

    reason = "PRODUCT_DEFINITION_INVALID"

    def __init__(self, faults: Sequence[Fault], file: str = "") -> None:
        """Two faults of one key stand in one violation. `file` begins the message, where a file has a name."""
        self.faults = faults
        violations: dict[str, str] = {}
        for fault in faults:
            problem = f"line {fault.line}: {fault.problem}" if fault.line else fault.problem
            violations[fault.key] = f"{violations[fault.key]}; {problem}" if fault.key in violations else problem
        message = "; ".join(map(str, faults))
        super().__init__(f"{file}: {message}" if file else message, violations=violations)
        self.metadata = {"faults": str(len(faults))}
