"""The scanners themselves: the list of what is shipped, and secrets in the tree."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from tests.deploy.programs import DEPLOY


def scan(part: str, reports: Path) -> None:
    """Run a part of the scan; it must find nothing."""
    finished = subprocess.run(
        [DEPLOY / "security" / "scan.sh", part],
        env={**os.environ, "REPORTS": str(reports)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_list_of_what_is_shipped_is_made(tmp_path: Path) -> None:
    scan("sbom", tmp_path)
    made = json.loads((tmp_path / "sbom.cdx.json").read_text())
    assert made["bomFormat"] == "CycloneDX"
    assert {component["name"] for component in made["components"]} >= {"grpcio", "sqlalchemy"}


def test_no_secret_is_in_the_tree(tmp_path: Path) -> None:
    scan("secrets", tmp_path)
