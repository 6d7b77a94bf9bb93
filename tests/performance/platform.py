"""A platform as `bazarutod up` of a tree runs it, on ports and in a folder of its own: nothing is thrown away, and
PostgreSQL writes through to the disk. Its processes are found by what the kernel knows of them.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import httpx
import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bazarutod.ports import free_port
from tests.performance import accounting, machine
from tests.performance.load import CannotMeasure
from tests.performance.trees import Tree, clean_environment

SERVICES = ("users", "quotes", "policies", "payments")
PROCESSES = (*SERVICES, *(f"{service}-worker" for service in SERVICES), "gateway")
SAMPLING = "0.1"
_CONFIGURED = {
    "BAZARUTO_ENVIRONMENT": "production",
    "BAZARUTO_PAYMENTS__PROVIDER": "sandbox",
    "BAZARUTO_LOG_LEVEL": "info",
    "BAZARUTO_TELEMETRY__SAMPLING": SAMPLING,
    "BAZARUTO_AUTH__ACCESS_TOKEN_LIFETIME": "12h",  # longer than any run
}
_MAIN = re.compile(r"(?:services\.)?(\w+)\.main")
_START_SECONDS = 180.0
_STOP_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Platform:
    """A running platform. `up` is the process id of its `bazarutod up`."""

    tree: Tree
    folder: Path
    gateway: str
    up: int

    @property
    def url(self) -> str:
        """Where the gateway answers."""
        return f"http://{self.gateway}"

    def processes(self) -> dict[str, int]:
        """The nine processes, PostgreSQL, Redis where there is one, and the supervisor, by name."""
        named = {"bazarutod": self.up}
        for pid, process in accounting.processes().items():
            if process.parent == self.up and (name := _name(accounting.command_line(pid))):
                named[name] = pid
        if missing := [name for name in PROCESSES if name not in named]:
            raise CannotMeasure(f"{', '.join(missing)} of {self.tree.name} do not run: {self.log()}")
        named["postgres"] = self._postgres(named["users"])
        return named

    def place(self, *measured: str) -> None:
        """Put these processes on the measured core and all others on the driving one; with none, all on all cores."""
        named = self.processes()
        for pid, name in accounting.owners(accounting.processes(), named):
            cores = machine.MEASURED if name in measured else machine.DRIVING
            accounting.keep_on(cores if measured else machine.CORES, pid)

    def environment(self, name: str) -> dict[str, str]:
        """The variables by which one of the processes is configured."""
        return accounting.environment(self.processes()[name])

    def module(self, name: str) -> str:
        """The Python module of one of the processes."""
        arguments = accounting.command_line(self.processes()[name])
        return arguments[arguments.index("-m") + 1]

    def connect(self, service: str) -> psycopg.Connection:
        """A connection to a service's database as the server's superuser, each statement on its own."""
        return psycopg.connect(f"{self.server_url}/bazaruto_{service}", autocommit=True)

    @property
    def server_url(self) -> str:
        """The database server, for its superuser."""
        port = _database_port(accounting.environment(self.processes()["users"]))
        return f"postgresql://postgres@127.0.0.1:{port}"

    def write_through(self, is_on: bool) -> None:
        """Have PostgreSQL wait for the disk at each commit, as it is started; or not, as the tests have it."""
        with self.connect("users") as connection:
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                connection.execute(f"ALTER SYSTEM SET {setting} = {'on' if is_on else 'off'}".encode())
            connection.execute("SELECT pg_reload_conf()")
            deadline = time.monotonic() + 10
            while connection.execute("SHOW fsync").fetchone() != ("on" if is_on else "off",):
                if time.monotonic() > deadline:
                    raise CannotMeasure("PostgreSQL does not take fsync")
                time.sleep(0.05)

    def log(self) -> str:
        """The end of what `bazarutod up` said."""
        return (self.folder / "up.log").read_text(errors="replace")[-1500:]

    def _postgres(self, client: int) -> int:
        marker = f"port={_database_port(accounting.environment(client))}"
        for pid in accounting.processes():
            if marker in accounting.command_line(pid):  # its children have put their own words in that place
                return pid
        raise CannotMeasure(f"PostgreSQL of {self.tree.name} does not run")


@contextmanager
def running(tree: Tree) -> Iterator[Platform]:
    """Run the platform of a tree within; all that it wrote is removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="bazaruto-bench-"))
    folder.chmod(0o711)  # as root, PostgreSQL runs as another user
    addresses = {"BAZARUTO_GATEWAY__LISTEN": free_address()}
    for service in SERVICES:
        for key in ("LISTEN", "METRICS", "WORKER_METRICS"):
            addresses[f"BAZARUTO_SERVICES__{service.upper()}__{key}"] = free_address()
    environment = clean_environment(_CONFIGURED | addresses | _secrets(folder))
    with (folder / "up.log").open("wb") as log:
        up = subprocess.Popen(
            [tree.command, "up", "--folder", str(folder)],
            cwd=tree.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    platform = Platform(tree, folder, addresses["BAZARUTO_GATEWAY__LISTEN"], up.pid)
    try:
        _wait_until_ready(platform, up)
        yield platform
    finally:
        up.terminate()
        try:
            up.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            _kill(up)
        shutil.rmtree(folder, ignore_errors=True)


def free_address() -> str:
    """A loopback address on which nobody listens."""
    return f"127.0.0.1:{free_port()}"


def _wait_until_ready(platform: Platform, up: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while "is ready" not in platform.log():
        if up.poll() is not None or time.monotonic() > deadline:
            raise CannotMeasure(f"the platform of {platform.tree.name} did not start: {platform.log()}")
        time.sleep(0.1)
    httpx.get(f"{platform.url}/healthz", timeout=10).raise_for_status()


def _kill(up: subprocess.Popen[bytes]) -> None:
    """End what did not end by itself. PostgreSQL is no child of it, and ends when it finds its folder gone."""
    for pid, _ in list(accounting.owners(accounting.processes(), {"up": up.pid})):
        os.kill(pid, signal.SIGKILL)
    up.wait()


def _secrets(folder: Path) -> dict[str, str]:
    """Secrets as somebody would make them who manages them himself."""
    keys, internal = folder / "secrets" / "keys", folder / "secrets" / "internal"
    keys.mkdir(parents=True)
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for path, content in ((keys / "bench.pem", pem), (internal, secrets.token_hex(32).encode())):
        path.write_bytes(content)
        path.chmod(0o600)
    return {"BAZARUTO_AUTH__KEY_FOLDER": str(keys), "BAZARUTO_AUTH__INTERNAL_SECRET_FILE": str(internal)}


def _name(arguments: list[str]) -> str:
    """How a child of the supervisor is called; empty for one that has no name."""
    if not arguments:
        return ""
    if "redis-server" in arguments[0]:
        return "redis"
    for argument, verb in pairwise(arguments):
        if match := _MAIN.fullmatch(argument):
            return match[1] + ("-worker" if verb == "work" else "")
    return ""


def _database_port(environment: dict[str, str]) -> int:
    return int(environment["BAZARUTO_SERVICES__USERS__DB_URL"].rpartition("@")[2].partition(":")[2].partition("/")[0])
