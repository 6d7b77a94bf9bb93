"""The gateway knows no service by name: it reads them from the configuration and the contracts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
SERVICES = sorted(yaml.safe_load((ROOT / "config.yaml").read_text("utf-8"))["services"])
FILES = sorted(path for path in (ROOT / "gateway").rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def test_there_are_names_and_files_to_look_at() -> None:
    assert len(SERVICES) > 1
    assert {path.suffix for path in FILES} >= {".py", ".js", ".html", ".css"}


@pytest.mark.parametrize("service", SERVICES)
def test_no_file_of_the_gateway_names_a_service(service: str) -> None:
    name = re.compile(rf"(?<![a-z]){service}(?![a-z])", re.IGNORECASE)
    naming = [str(path.relative_to(ROOT)) for path in FILES if name.search(path.read_text("utf-8"))]
    assert naming == []
