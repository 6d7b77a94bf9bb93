"""`libs` is the ground that services stand on: it knows none of them, not even in a comment."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from libs.config import defaults

LIBS = Path(__file__).parents[3] / "libs"
_FILES = sorted(path.relative_to(LIBS) for path in LIBS.rglob("*.*") if path.suffix != ".pyc")
_NAME = re.compile(rf"\b({'|'.join(defaults().services)})\b", re.IGNORECASE)
# The queues are those of the operations guide, and one of them happens to be called like a service. Jobs of several
# services wait in it.
_ALLOWED = ("jobs/kinds.py", 'QUEUES: Final = ("mailers", "notifications", "payments", "processing", "default")')


def named_in(file: str, text: str) -> list[str]:
    """The lines that name a service."""
    return [line for line in text.splitlines() if _NAME.search(line) and (file, line) != _ALLOWED]


def test_line_that_names_a_service_is_seen() -> None:
    assert named_in("auth.py", "# Users log in.\nlog_in()\n") == ["# Users log in."]


@pytest.mark.parametrize("file", _FILES, ids=str)
def test_no_file_of_libs_names_a_service(file: Path) -> None:
    assert named_in(str(file), (LIBS / file).read_text()) == []
