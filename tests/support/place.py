"""A machine as docs/operations.md describes it, on which its commands are run."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg

from bazarutod import embedded
from libs.config import defaults
from tests.support.buyer import Buyer
from tests.support.guide import ROOT, Block, blocks_of
from tests.support.platform import Platform, running_platform

# What the commands run that is neither the project's own nor part of every Debian; the second are for tests/ops.
PROGRAMS = {"jq", "curl", "free", "psql", "gpg"}
PROGRAMS_OF_MONITORING = {"promtool", "amtool", "go"}


@dataclass(frozen=True)
class Place:
    """The machine of the guide: its folders are made up, its platform is real."""

    folder: Path
    platform: Platform
    environment: dict[str, str]

    def run(self, text: str) -> subprocess.CompletedProcess[str]:
        """Run a block as somebody who pastes it, in the project's folder."""
        return subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", self._here(text)],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=200,
        )

    def check(self, block: Block) -> None:
        """Run a block; it must end as the guide says, and as no program that broke off does."""
        done = self.run(block.text)
        assert done.returncode == block.exit_code, f"{block.text}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr

    def _here(self, text: str) -> str:
        """The block with the addresses and folders of this place."""
        settings = self.platform.settings
        addresses = {"localhost:8080": settings.gateway.listen}
        for name, default in defaults().services.items():
            for key in ("metrics", "worker_metrics"):
                port = getattr(default, key).rpartition(":")[2]
                addresses[f"localhost:{port}"] = getattr(settings.services[name], key)
        addresses["DB_HOST=localhost DB_PORT=5432"] = f"DB_HOST=127.0.0.1 DB_PORT={self.platform.postgres.port}"
        for path in ("/var/log/bazaruto", "/var/lib/bazaruto", "/etc/bazaruto"):
            addresses[path] = str(self.folder / path[1:])
        text = re.sub(r"(?<=[=\s\"])/(backups|tmp)\b", rf"{self.folder}/\1", text)
        for documented, real in addresses.items():
            text = text.replace(documented, real)
        return text


@contextmanager
def place_of_the_guide() -> Iterator[Place]:
    """The project's folder with a running platform, in which somebody has bought something and somebody failed."""
    with tempfile.TemporaryDirectory(prefix="bazaruto-guide-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for path in ("var/log/bazaruto", "var/lib/bazaruto", "etc/bazaruto/secrets", "backups", "tmp", "metrics"):
            (folder / path).mkdir(parents=True)
        shutil.copy(ROOT / "config.yaml", folder / "etc/bazaruto")
        (folder / "etc/bazaruto/passphrase").write_text(secrets.token_hex(16))
        log = folder / "var/log/bazaruto/app.log"
        with running_platform(BAZARUTO_LOG_FILE=str(log), BAZARUTO_DB__SLOW_QUERY="1ms") as platform:
            _link(folder, platform)
            with httpx.Client(base_url=platform.url, timeout=30) as http:
                customer = Buyer(http)
                customer.sign_up()
                customer.issue()
                wrong = {"email": "nobody@example.com", "password": "a wrong secret"}
                assert http.post("/v1/auth/login", json=wrong).status_code == 401
            _fail_a_job(platform, log)
            yield Place(folder, platform, _environment(folder, platform))


def _fail_a_job(platform: Platform, log: Path) -> None:
    """A job at its last try that cannot succeed: somebody gave it an argument that it does not know."""
    with psycopg.connect(platform.settings.services["users"].db_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, args, attempts)"
            " VALUES ('mailers', 'users.send_welcome', '{\"unknown\": 1}', %s)",
            (platform.settings.jobs.max_attempts - 1,),
        )
    deadline = time.monotonic() + 60
    while "job failed for good" not in log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def _link(folder: Path, platform: Platform) -> None:
    """What the project's folder holds, and `.run` as `bazarutod up` leaves it."""
    for name in ("deploy", "docs", "config.yaml", "Makefile"):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").symlink_to(Path(sys.executable).absolute().parents[1])
    (folder / ".run").symlink_to(platform.folder)
    environment = {key: value for key, value in platform.environment.items() if key.startswith("BAZARUTO_")}
    (platform.folder / "state.json").write_text(json.dumps({"pid": os.getpid(), "environment": environment}))


def _environment(folder: Path, platform: Platform) -> dict[str, str]:
    return {
        **platform.environment,
        "ADMIN_PASSWORD": secrets.token_hex(12),
        "PG_BIN": str(embedded.binaries()),
        "METRICS_DIR": str(folder / "metrics"),
        "PPROF_TMPDIR": str(folder / "tmp"),
        "PATH": f"{os.environ['PATH']}:/usr/local/go/bin",
    }


def commands_of_the_guide(*, of_monitoring: bool) -> list[Block]:
    """The blocks of commands that can be run: those that need a program of the monitoring, or the others."""
    runnable = [block for block in blocks_of("bash") if not block.reason]
    return [block for block in runnable if bool(programs_of(block) & PROGRAMS_OF_MONITORING) == of_monitoring]


def programs_of(block: Block) -> set[str]:
    """The programs that a block runs."""
    known = PROGRAMS | PROGRAMS_OF_MONITORING
    return {program for program in known if re.search(rf"\b({program} |{program.upper()}_)", block.text)}
