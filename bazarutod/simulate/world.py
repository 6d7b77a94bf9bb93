"""A platform of its own for a simulation, in a folder of its own, whose clock begins on a given day."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx
from psycopg import Connection

from bazarutod import provisioning
from bazarutod.advance import Advance, Hand
from bazarutod.connections import connected
from bazarutod.ports import free_port
from bazarutod.simulate.calling import Caller
from bazarutod.stack import SERVICES
from bazarutod.supervisor import Supervisor
from libs import clock
from libs.config import PREFIX, Settings, load
from libs.jobs import advancing

_PATIENCE = 120.0  # seconds without any job ending, before the clock is stuck
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Staff:
    """Those who work for the insurer."""

    admin: Caller
    other_admin: Caller
    underwriter: Caller
    finance: Caller


class World:
    """The running platform: its API, its staff, its clock, and its databases for what no API shows."""

    def __init__(self, settings: Settings, http: httpx.Client, databases: dict[str, Connection]) -> None:
        self.http = http
        self.databases = databases
        self._advance = Advance(settings, as_json=False)
        self._events = {service: advancing.last_event(connection) for service, connection in databases.items()}
        self.staff: Staff = _hire(http)

    def go_to(self, moment: datetime, tell: Callable[[datetime], None]) -> None:
        """Move the clock; what falls due on the way is done. `Stuck` when a job does not end."""
        if moment > clock.now():
            self._advance.move(self.databases, moment, _PATIENCE, tell)

    def failed_jobs(self) -> list[str]:
        """The jobs that failed for good since the platform was started."""
        return [
            f"{service}:{row.id} {row.job}"
            for service, connection in self.databases.items()
            for row in advancing.ended_since(connection, self._events[service])
            if row.outcome == "failed"
        ]


@contextmanager
def world(folder: Path, begins: datetime, tell: Tell, check: Callable[[], None]) -> Iterator[World]:
    """Start everything within, apart from any platform of this machine; `check` may break it off between two steps.

    The configuration is the packaged one: what the environment says of the operator's own platform is left out.
    """
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]
    provisioning.apply(_addresses())
    provision, supervisor = provisioning.Provision(), None
    try:
        provision = provisioning.prepare(folder, load(), tell, throwaway=True)
        check()
        provisioning.apply(provision.environment)
        # Customers come back after weeks, which are minutes here: each would log in anew for everything that they do.
        provisioning.apply({f"{PREFIX}AUTH__ACCESS_TOKEN_LIFETIME": "12h"})
        settings = load()
        Hand(begins - clock.real_now()).write(settings.clock.file)
        provisioning.migrate(settings, tell)
        check()
        tell("Starting the platform")
        supervisor = Supervisor(settings, os.environ, folder / "logs")
        supervisor.start(given_up=lambda: _is_over(check))
        url = f"http://{settings.gateway.listen}"
        with httpx.Client(base_url=url, timeout=60) as http, connected(settings, SERVICES) as databases:
            yield World(settings, http, databases)
    finally:
        tell("Stopping the platform")
        if supervisor:
            supervisor.stop()
        provision.stop()


def _addresses() -> dict[str, str]:
    variables = {f"{PREFIX}ENVIRONMENT": "test", f"{PREFIX}GATEWAY__LISTEN": f"127.0.0.1:{free_port()}"}
    variables |= {f"{PREFIX}LOG_LEVEL": "warning", f"{PREFIX}TELEMETRY__SAMPLING": "0"}
    for service in SERVICES:
        for key in ("LISTEN", "METRICS", "WORKER_METRICS"):
            variables[f"{PREFIX}SERVICES__{service.upper()}__{key}"] = f"127.0.0.1:{free_port()}"
    return variables


def _is_over(check: Callable[[], None]) -> bool:
    check()
    return False


def _hire(http: httpx.Client) -> Staff:
    """The first administrator comes from the platform's own command; the others are made by the first one."""
    admin = _administrator(http, "admin")
    underwriter = _employee(http, admin, "underwriter", "ROLE_UNDERWRITER", {"underwritingLevel": 9})
    limits = [{"currencyCode": code, "units": "1000000"} for code in ("EUR", "MZN", "USD")]
    finance = _employee(http, admin, "finance", "ROLE_FINANCE", {"refundLimits": limits})
    return Staff(admin, _administrator(http, "other.admin"), underwriter, finance)


def _administrator(http: httpx.Client, name: str) -> Caller:
    caller = Caller(http, f"{name}@example.com", secrets.token_hex(12))
    account = {"email": caller.email, "full_name": name, "password": caller.password}
    command = [sys.executable, "-m", "services.users.main", "create-admin"]
    subprocess.run(command, input=json.dumps(account), capture_output=True, text=True, check=True)  # noqa: S603
    caller.log_in()
    return caller


def _employee(http: httpx.Client, admin: Caller, name: str, role: str, authority: dict[str, object]) -> Caller:
    caller = Caller(http, f"{name}@example.com", secrets.token_hex(12))
    caller.register(name)
    admin.post(f"/v1/users/{caller.user_id}:revokeRole", {"role": "ROLE_CUSTOMER"})
    admin.post(f"/v1/users/{caller.user_id}:grantRole", {"role": role})
    admin.call("PUT", f"/v1/users/{caller.user_id}/authority", authority)
    caller.log_in()  # with what the user may do by now
    return caller
