"""The units: accepted by systemd without a remark, and closed enough."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from bazarutod.stack import PROCESSES, SERVICES, Process
from tests.deploy.configuring import settings_of
from tests.deploy.programs import DEPLOY, ROOT, run

FOLDER = DEPLOY / "systemd"
UNITS = (
    "bazaruto.service",
    "bazaruto-gateway.service",
    "bazaruto-server@users.service",
    "bazaruto-server@quotes.service",
    "bazaruto-worker@users.service",
    "bazaruto-worker@quotes.service",
    "bazaruto-migrate@users.service",
)


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A root with the units where an administrator puts them, and a program where they look for it."""
    shutil.copytree(FOLDER, tmp_path / "etc/systemd/system", dirs_exist_ok=True)
    own = Path("/usr/lib/systemd/system")
    (tmp_path / "usr/lib/systemd/system").mkdir(parents=True)
    for unit in [*own.glob("*.target"), *own.glob("*.slice")]:
        shutil.copy(unit, tmp_path / "usr/lib/systemd/system" / unit.name)
    program = tmp_path / "opt/bazaruto/bin/bazarutod"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("unit", [*UNITS, "bazaruto-gateway.socket"])
def test_systemd_has_nothing_to_remark(machine: Path, unit: str) -> None:
    assert run("systemd-analyze", "verify", "--man=no", f"--root={machine}", unit) == ""


@pytest.mark.parametrize("unit", UNITS)
def test_unit_exposes_little(machine: Path, unit: str) -> None:
    report = run("systemd-analyze", "security", "--no-pager", "--offline=yes", f"--root={machine}", unit)
    exposure = re.search(r"Overall exposure level for .*: (\d+\.\d+)", report)
    assert exposure
    assert float(exposure[1]) <= 3


def test_unit_of_the_whole_platform_has_the_name_that_the_guide_uses() -> None:
    text = (FOLDER / "bazaruto.service").read_text()  # journalctl -u bazaruto
    assert "ExecStart=/opt/bazaruto/bin/bazarutod up --folder /var/lib/bazaruto" in text
    assert "Environment=BAZARUTO_CONFIG=/etc/bazaruto/config.yaml" in text
    assert "ExecReload=/opt/bazaruto/bin/bazarutod restart --folder /var/lib/bazaruto" in text
    assert "KillMode=mixed" in text  # the supervisor ends the processes in order
    assert "LogsDirectory=bazaruto" in text


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.name)
def test_every_process_has_a_unit_of_its_own(process: Process) -> None:
    kind = {"serve": "server", "work": "worker"}[process.verb]
    name = "bazaruto-gateway.service" if process.name == "gateway" else f"bazaruto-{kind}@.service"
    front = "gateway" if process.name == "gateway" else "%i"
    assert f"bazarutod {process.verb} {front}\n" in (FOLDER / name).read_text()


@pytest.mark.parametrize("service", SERVICES)
def test_variable_that_a_template_makes_is_read(service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = tmp_path / "db-url"
    url.write_text("postgresql://somewhere/else\n")
    template = (FOLDER / "bazaruto-server@.service").read_text()
    made = re.search(r"^Environment=(BAZARUTO_SERVICES__%i__DB_URL_FILE)=%d/db-url$", template, re.MULTILINE)
    assert made
    settings = settings_of(ROOT / "config.yaml", monkeypatch, **{made[1].replace("%i", service): str(url)})
    assert settings.services[service].db_url == "postgresql://somewhere/else"


def test_only_the_worker_that_sends_letters_gets_the_password_of_the_mail_server() -> None:
    given = [path for path in FOLDER.rglob("*") if path.is_file() and "mail-password" in path.read_text()]
    assert given == [FOLDER / "bazaruto-worker@users.service.d" / "mail.conf"]
    assert "LoadCredential=mail-password:/etc/bazaruto/secrets/mail-password" in given[0].read_text()
    page = (ROOT / "docs" / "deployment.md").read_text()
    assert "`/run/credentials/bazaruto-worker@users.service/mail-password`" in page


@pytest.mark.parametrize("script", ["backup", "base-backup", "incremental-backup", "config-backup", "app-data-backup"])
def test_unit_of_a_backup_exposes_little(script: str, machine: Path) -> None:
    for path in (DEPLOY / "backup").glob("*.service"):
        shutil.copy(path, machine / "etc/systemd/system")
    unit = f"backup-bazaruto@{script}.service"
    report = run("systemd-analyze", "security", "--no-pager", "--offline=yes", f"--root={machine}", unit)
    exposure = re.search(r"Overall exposure level for .*: (\d+\.\d+)", report)
    assert exposure
    assert float(exposure[1]) <= 3
    assert (DEPLOY / "backup" / f"{script}.sh").stat().st_mode & 0o111
