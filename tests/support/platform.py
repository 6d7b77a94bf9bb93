"""The whole platform as real processes, on free ports, in a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import psycopg

from bazarutod import embedded, provisioning
from bazarutod.stack import SERVICES
from bazarutod.supervisor import Supervisor
from libs.config import Settings, load
from tests.support import postgres
from tests.support.servers import free_address


@dataclass(frozen=True)
class Platform:
    """A running platform."""

    folder: Path
    settings: Settings
    environment: dict[str, str]
    supervisor: Supervisor
    postgres: embedded.Server

    @property
    def url(self) -> str:
        """Where the gateway answers."""
        return f"http://{self.settings.gateway.listen}"

    def address_of(self, process: str) -> str:
        """Where a process shows its metrics and profiles."""
        if process == "gateway":
            return self.url
        service = self.settings.services[process.removesuffix("-worker")]
        return f"http://{service.worker_metrics if process.endswith('-worker') else service.metrics}"

    def rows(self, service: str, query: str) -> list[tuple[object, ...]]:
        """What a service's database says, as its superuser sees it."""
        url = self.postgres.url(f"bazaruto_{service}")
        with psycopg.connect(url, autocommit=True) as connection:
            return connection.execute(query.encode()).fetchall()

    def log(self, process: str) -> str:
        """Every whole line that a process has logged."""
        text = (self.folder / "logs" / f"{process}.log").read_text(errors="replace")
        return text[: text.rfind("\n") + 1]


@contextmanager
def running_platform(code: Path | None = None, folder: Path | None = None, **variables: str) -> Iterator[Platform]:
    """Start everything within, from the tree `code`; `variables` are further variables of the environment.

    What is in `folder` already is used, as `bazarutod up` would; the folder is gone afterwards.
    """
    folder = folder or _fresh_folder()
    environment = {**os.environ, **free_addresses(), **variables}
    provision = provisioning.Provision()
    try:
        provision = provisioning.prepare(folder, _settings(environment), lambda _: None, throwaway=True)
        environment |= provision.environment
        settings = _settings(environment)
        provisioning.migrate(settings, lambda _: None)
        supervisor = Supervisor(settings, environment, folder / "logs", code)
        assert provision.postgres
        try:
            supervisor.start()
            yield Platform(folder, settings, environment, supervisor, provision.postgres)
        finally:
            supervisor.stop()
    finally:
        provision.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _fresh_folder() -> Path:
    """A run folder whose databases have their tables and nothing else.

    They are made once in a run of the tests, and copied: to set a server up and to migrate four services takes
    longer than to start all processes.
    """
    template = Path(os.environ[postgres.FOLDER]) / "platform"
    with postgres.alone():
        if not template.exists():
            unfinished = template.with_name("platform.unfinished")
            unfinished.mkdir(mode=0o711)
            provision = provisioning.prepare(unfinished, _settings(dict(os.environ)), lambda _: None, throwaway=True)
            try:
                provisioning.migrate(_settings({**os.environ, **provision.environment}), lambda _: None)
            finally:
                provision.stop()
            shutil.rmtree(unfinished / "secrets")
            unfinished.rename(template)
    folder = Path(tempfile.mkdtemp(prefix="bazaruto-platform-"))
    folder.chmod(0o711)  # as root, PostgreSQL runs as another user
    subprocess.run(["cp", "-a", f"{template}/.", folder], check=True)
    return folder


def free_addresses() -> dict[str, str]:
    """The variables by which every process listens where nobody else does."""
    variables = {"BAZARUTO_GATEWAY__LISTEN": free_address(), "BAZARUTO_ENVIRONMENT": "test"}
    for service in SERVICES:
        for key in ("LISTEN", "METRICS", "WORKER_METRICS"):
            variables[f"BAZARUTO_SERVICES__{service.upper()}__{key}"] = free_address()
    return variables


def _settings(environment: dict[str, str]) -> Settings:
    with patch.dict(os.environ, environment, clear=True):
        return load()
