"""PostgreSQL as the manifests start it, and the backups with what the manifests and the composition give them."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import yaml
from psycopg import sql

from bazarutod import embedded
from tests.deploy.manifests import Manifest, of_kind, pods
from tests.deploy.programs import DEPLOY, ROOT, program

SCRIPTS = DEPLOY / "backup"
INSTALLED = "/usr/lib/bazaruto/backup"
COMPOSITION = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
_POSTGRES = DEPLOY / "kubernetes" / "components" / "postgres"


def container(name: str) -> Manifest:
    """The one container of a pod of production."""
    (only,) = pods("production")[name]["spec"]["containers"]
    return dict(only)


def variables_of_cluster(name: str) -> dict[str, str]:
    """What the pod of a schedule gives its script."""
    reference = container(name)["envFrom"][0]["configMapRef"]["name"]
    given: dict[str, str] = of_kind("production", "ConfigMap")[reference]["data"]
    return {**given, **{part["name"]: part["value"] for part in container(name)["env"]}}


def variables_of_composition() -> dict[str, str]:
    """What the container gives its script, where nobody sets a variable."""
    given: dict[str, str] = COMPOSITION["services"]["backup"]["environment"]
    return {name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value) for name, value in given.items()}


@dataclass(frozen=True)
class Installation:
    """A server as the manifests start it, and the folders that their volumes stand for."""

    folder: Path
    server: embedded.Server

    @property
    def superuser(self) -> str:
        """The URL of the one who may do everything."""
        password = (self.folder / "secrets" / "db-password-postgres").read_text()
        return self.server.url("postgres", "postgres", password)

    @property
    def backups(self) -> Path:
        """Where backups and metrics are put."""
        return self.folder / "backups"

    @property
    def archive(self) -> Path:
        """Where the server archives its log."""
        return self.folder / "wal-archive"

    def environment(self, given: dict[str, str]) -> dict[str, str]:
        """The variables of a container, with its mounts at the places that they have here."""
        places = {"/backups": self.backups, "/wal-archive": self.archive, "/tmp": self.folder / "tmp"}
        here = {name: str(places.get(value, value)) for name, value in given.items()}
        for name, value in here.items():
            if value.startswith("/run/secrets/"):
                here[name] = str(self.folder / "secrets" / Path(value).name)
        here |= {"DB_HOST": "127.0.0.1", "DB_PORT": str(self.server.port), "BACKUP_BUCKET": ""}
        return here | {"PG_BIN": str(embedded.binaries()), "PATH": os.environ["PATH"]}

    def run(self, script: str, given: dict[str, str]) -> None:
        """Run a script as a container would; it must succeed."""
        environment = self.environment(given)
        done = subprocess.run(
            [SCRIPTS / script], env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stderr

    def files(self, pattern: str) -> list[str]:
        """The names of backups, without their sums."""
        return sorted(path.name for path in self.backups.glob(pattern) if path.suffix != ".sha256")

    def clear(self) -> None:
        """Be as before the first backup."""
        shutil.rmtree(self.backups)
        self.backups.mkdir()


@contextmanager
def installation() -> Iterator[Installation]:
    """The settings of the StatefulSet on a server, with the roles and databases that its image makes."""
    program("age")
    with tempfile.TemporaryDirectory(prefix="bazaruto-backup-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # as root, the server runs as another user
        for part in ("backups", "wal-archive", "tmp"):
            (folder / part).mkdir()
        embedded.give_to_server(folder / "wal-archive")
        shutil.copy(SCRIPTS / "wal-archive.sh", folder)
        subprocess.run([DEPLOY / "docker" / "make-secrets.sh", folder / "secrets"], check=True, timeout=30)
        subprocess.run(["age-keygen", "-o", folder / "identity"], check=True, capture_output=True)
        public = subprocess.run(["age-keygen", "-y", folder / "identity"], check=True, capture_output=True).stdout
        (folder / "secrets" / "recipients").write_bytes(public)
        shutil.copy(folder / "secrets" / "backup-aws", folder / "secrets" / "aws")
        server = embedded.start(folder / "pg", throwaway=True, options=_archiving(folder))
        environment = {
            "PATH": f"{embedded.binaries()}:{os.environ['PATH']}",
            "PGHOST": "127.0.0.1",
            "PGPORT": str(server.port),
            "SECRETS": str(folder / "secrets"),
        }
        subprocess.run(["sh", _POSTGRES / "create-databases.sh"], check=True, env=environment, timeout=60)
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:  # as the image does
            password = (folder / "secrets" / "db-password-postgres").read_text()
            connection.execute(sql.SQL("ALTER ROLE postgres PASSWORD {}").format(sql.Literal(password)))
        server.stop()
        shutil.copy(_POSTGRES / "pg_hba.conf", folder)
        server = embedded.start(
            folder / "pg", throwaway=True, options=(*_archiving(folder), f"hba_file={folder}/pg_hba.conf")
        )
        try:
            yield Installation(folder, server)
        finally:
            server.stop()


def _archiving(folder: Path) -> tuple[str, ...]:
    """What the StatefulSet says about the archive of the log, with its paths at the places that they have here."""
    arguments: list[str] = container("postgres")["args"]
    settings = [setting for setting in arguments if setting.startswith(("archive_", "summarize_"))]
    assert len(settings) == 4
    here = [s.replace(INSTALLED, str(folder)).replace(" /wal-archive", f" {folder}/wal-archive") for s in settings]
    return tuple(shlex.quote(setting) for setting in here)
