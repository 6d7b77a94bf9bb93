"""The schedule: units that systemd accepts, and settings that the scripts know."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from bazarutod.backup.settings import VARIABLES
from tests.deploy.backup.scripts import FOLDER
from tests.deploy.programs import program

_INSTALLED = "/usr/lib/bazaruto/backup"


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    for unit in (*FOLDER.glob("*.service"), *FOLDER.glob("*.timer")):
        (tmp_path / unit.name).write_text(unit.read_text().replace(_INSTALLED, str(FOLDER)))
    units = [tmp_path / f"backup-bazaruto@{name}.timer" for name in ("backup", "base-backup", "incremental-backup")]
    shutil.copy(tmp_path / "backup-bazaruto@.timer", units[0])
    service = tmp_path / "backup-bazaruto@backup.service"
    shutil.copy(tmp_path / "backup-bazaruto@.service", service)
    command = [program("systemd-analyze"), "verify", "--man=no", "--recursive-errors=no", *map(str, [*units, service])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_timer_starts_a_script_that_exists() -> None:
    timers = "".join(path.read_text() for path in FOLDER.glob("*.timer"))
    names = {"base-backup", "incremental-backup", *re.search(r"\{(.*)\}\.timer", timers)[1].split(",")}  # type: ignore[index]
    assert names == {"backup", "base-backup", "incremental-backup", "config-backup", "app-data-backup"}
    assert all((FOLDER / f"{name}.sh").stat().st_mode & 0o111 for name in names)


def test_every_setting_of_the_example_is_one_that_a_script_reads() -> None:
    settings = re.findall(r"^([A-Z_]+)=", (FOLDER / "backup.env").read_text(), re.MULTILINE)
    of_programs = {"PGPASSFILE", "AWS_SHARED_CREDENTIALS_FILE"}
    assert settings
    assert [name for name in settings if name not in VARIABLES and name not in of_programs] == []
