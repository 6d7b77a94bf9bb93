"""What is installed: the wheel has everything that the program reads, where the program looks for it."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from libs.config import defaults

ROOT = Path(__file__).parents[2]
_SHOW = "import libs.config; print(libs.config.__file__, libs.config.load().model_dump_json(), sep='\\n')"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the wheel of this tree holds."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_installed_program_finds_its_defaults(installed: Path) -> None:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("BAZARUTO_")}
    shown = subprocess.run(
        [sys.executable, "-c", _SHOW],
        env=variables | {"PYTHONPATH": str(installed)},
        cwd=installed,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    assert shown == [str(installed / "libs/config.py"), defaults().model_dump_json()]
