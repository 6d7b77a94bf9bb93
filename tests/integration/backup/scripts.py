"""Run the scripts of `deploy/backup` as a schedule would, against a database of the run's server."""

from __future__ import annotations

import os
import resource
import shutil
import stat
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from bazarutod import embedded
from bazarutod.backup import fingerprint

FOLDER = Path(__file__).parents[3] / "deploy" / "backup"
# Five journals in two currencies, and content that a careless dump would change.
_BOOKS = """
    WITH j AS (
        INSERT INTO journals (id, rule, source_id, policy_id, currency, effective_on, booked_at, lines)
        SELECT gen_random_uuid(), 'premium', E'tab\\there, quote \\' and é ' || gen_random_uuid(), gen_random_uuid(),
               (ARRAY['EUR', 'USD'])[i % 2 + 1], '2026-01-01', now(), 2
        FROM generate_series(1, 5) i RETURNING id)
    INSERT INTO postings (journal_id, line, account_code, side, amount)
    SELECT j.id, l.line, l.code, l.side, 12345
    FROM j, (VALUES (1, '1105', 'debit'), (2, '2000', 'credit')) l (line, code, side)
"""


@dataclass
class Scripts:
    """The scripts with their environment; `run` gives what they said."""

    folder: Path
    url: str
    variables: dict[str, str] = field(default_factory=dict)

    largest_file: int = resource.RLIM_INFINITY  # bytes; a disk that is full sooner

    def run(self, script: str, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a script to its end."""
        limited = self.largest_file != resource.RLIM_INFINITY
        limit = ["prlimit", f"--fsize={self.largest_file}:unlimited"] if limited else []
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        return subprocess.run(
            [*limit, str(FOLDER / script), *map(str, arguments)],
            env={**kept, **self._defaults(), **self.variables, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

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
        found = (path for path in self.backups.glob(pattern) if not path.name.startswith("."))
        return sorted(path for path in found if path.suffix != ".sha256")

    def leftovers(self) -> list[str]:
        """Everything in the folder of backups but the lock."""
        return sorted(path.name for path in self.backups.iterdir() if path.name != ".lock")

    def dump(self, **variables: str) -> Path:
        """The dump of a backup that must succeed."""
        done = self.run("backup.sh", **variables)
        assert done.returncode == 0, done.stderr
        return self.files("backup_*")[-1]


def fill_books(url: str) -> None:
    """Write a few balanced journals."""
    with psycopg.connect(url) as connection:
        connection.execute(_BOOKS.encode())


def content(url: str) -> fingerprint.Fingerprint:
    """Counts, checksums and the trial balance of a database."""
    with psycopg.connect(url) as connection:
        return fingerprint.take(connection)


def is_empty(url: str) -> bool:
    """Whether a database has no tables."""
    with psycopg.connect(url) as connection:
        return fingerprint.is_empty(connection)


def mode(path: Path) -> int:
    """The rights of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def flip_a_bit(path: Path) -> None:
    """Damage one bit in the middle of a file."""
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 0x10
    path.write_bytes(damaged)


def cut_off(path: Path) -> None:
    """Lose the last part of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def sum_again(path: Path) -> None:
    """Give a damaged file the sum of what it now holds, as if it had been damaged before it was summed."""
    subprocess.run(f"sha256sum {path.name} > {path.name}.sha256", shell=True, cwd=path.parent, check=True)


def sealing(folder: Path, program: str) -> dict[str, str]:
    """The variables with which backups are sealed by `gpg` or `age`, with a fresh key."""
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed: apt-get install {'gnupg' if program == 'gpg' else 'age'}")
    if program == "gpg":
        (folder / "passphrase").write_text("a passphrase of many words\n")
        return {"GPG_PASSPHRASE_FILE": str(folder / "passphrase")}
    identity = folder / "identity"
    subprocess.run(["age-keygen", "-o", identity], check=True, capture_output=True)
    public = subprocess.run(["age-keygen", "-y", identity], check=True, capture_output=True, text=True).stdout
    (folder / "recipients").write_text(public)
    return {"AGE_RECIPIENTS_FILE": str(folder / "recipients"), "AGE_IDENTITY_FILE": str(identity)}
