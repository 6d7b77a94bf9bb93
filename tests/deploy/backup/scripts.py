"""Run the scripts of `deploy/backup` as a schedule would, against a database of the run's server."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from bazarutod import embedded

FOLDER = Path(__file__).parents[3] / "deploy" / "backup"


@dataclass
class Scripts:
    """The scripts with their environment; `run` gives what they said."""

    folder: Path
    url: str
    variables: dict[str, str] = field(default_factory=dict)

    largest_file: int = resource.RLIM_INFINITY  # bytes; a disk that is full sooner

    @contextmanager
    def started(self, script: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
        """A script that runs; what it says is in its stderr. It heeds SIGINT, as in a foreground."""
        command = ["env", "--default-signal=INT", str(FOLDER / script)]
        with subprocess.Popen(command, env=self._environment(variables), stderr=subprocess.PIPE, text=True) as running:
            yield running

    def run(self, script: str, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a script to its end."""
        limited = self.largest_file != resource.RLIM_INFINITY
        limit = ["prlimit", f"--fsize={self.largest_file}:unlimited"] if limited else []
        if limited:
            variables["PYTHONDONTWRITEBYTECODE"] = "1"  # bytecode that is cut off would stay, and break what comes next
        return subprocess.run(
            [*limit, str(FOLDER / script), *map(str, arguments)],
            env=self._environment(variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def _environment(self, variables: dict[str, str]) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        return {**kept, **self._defaults(), **self.variables, **variables}

    def _defaults(self) -> dict[str, str]:
        server = conninfo_to_dict(self.url)
        return {
            "DB_HOST": str(server["host"]),
            "DB_PORT": str(server["port"]),
            "DB_USER": str(server["user"]),
            "DB_NAME": str(server["dbname"]),
            "PG_BIN": str(embedded.binaries()),
            "BACKUP_DIR": str(self.backups),
            "BACKUP_BUCKET": "",
            "METRICS_DIR": str(self.metrics),
        }

    @property
    def backups(self) -> Path:
        """Where backups are put."""
        return self.folder / "backups"

    @property
    def metrics(self) -> Path:
        """Where node_exporter would look."""
        return self.folder / "metrics"

    def files(self, pattern: str = "*") -> list[Path]:
        """The backups that are there, without their sums."""
        visible_files = (path for path in self.backups.glob(pattern) if not path.name.startswith("."))
        return sorted(path for path in visible_files if path.suffix != ".sha256")

    def leftovers(self) -> list[str]:
        """Everything in the folder of backups but the lock."""
        return sorted(path.name for path in self.backups.iterdir() if path.name != ".lock")

    def dump(self, **variables: str) -> Path:
        """The dump of a backup that must succeed."""
        done = self.run("backup.sh", **variables)
        assert done.returncode == 0, done.stderr
        return self.files("backup_*")[-1]


def sum_again(path: Path) -> None:
    """Give a damaged file the sum of what it now holds, as if it had been damaged before it was summed."""
    subprocess.run(f"sha256sum {path.name} > {path.name}.sha256", shell=True, cwd=path.parent, check=True)


def sealing(folder: Path, program: str) -> dict[str, str]:
    """The variables with which backups are sealed by `gpg` or `age`, with a fresh key."""
    if program == "gpg":
        (folder / "passphrase").write_text("a passphrase of many words\n")
        return {"GPG_PASSPHRASE_FILE": str(folder / "passphrase")}
    identity = folder / "identity"
    subprocess.run(["age-keygen", "-o", identity], check=True, capture_output=True)
    public = subprocess.run(["age-keygen", "-y", identity], check=True, capture_output=True, text=True).stdout
    (folder / "recipients").write_text(public)
    return {"AGE_RECIPIENTS_FILE": str(folder / "recipients"), "AGE_IDENTITY_FILE": str(identity)}
