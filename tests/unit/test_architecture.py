"""What `docs/architecture.md` says is written by hand is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECTION = (ROOT / "docs/architecture.md").read_text(encoding="utf-8").partition("## Written by hand, and why\n")[2]
PARTS = re.findall(r"^\| (`[^|]+) \|", SECTION.partition("\n## ")[0], re.MULTILINE)


def test_there_are_parts_written_by_hand() -> None:
    assert len(PARTS) > 30


@pytest.mark.parametrize("part", PARTS)
def test_part_written_by_hand_is_where_the_document_says(part: str) -> None:
    paths = [ROOT / path for path in re.findall(r"`((?:libs|gateway|bazarutod|services)/[^`]+)`", part)]
    assert paths
    assert all(path.exists() for path in paths)
