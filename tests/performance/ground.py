"""What the reads need: PostgreSQL with one policy in force, a token of its owner, and processes on their cores.

Only what a read touches is started, so that idle neighbours do not take time from the measured core.
"""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import httpx

from bazarutod import provisioning
from bazarutod.stack import PROCESSES, Process
from bazarutod.supervisor import Supervisor
from libs import ids
from libs.config import Settings, load
from libs.db import Database
from libs.money import Money
from libs.premium import Coverage, Premium
from services.policies.lifecycle.rules import policy
from services.policies.lifecycle.rules.policy import Policy
from services.policies.lifecycle.store import policies, transactions
from services.users.accounts.adapters.signing import SigningKeys
from tests.performance import machine
from tests.performance.contenders import telemetry_off
from tests.performance.load import CannotMeasure
from tests.support.servers import free_address

_TOKEN_LIFETIME = timedelta(hours=4)  # longer than any run
_START_SECONDS = 30.0
_STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Ground:
    """Everything that the contenders share."""

    folder: Path
    environment: dict[str, str]
    settings: Settings
    policy_id: str
    owner_id: str
    authorization: str

    def elsewhere(self) -> Ground:
        """The same for processes that listen elsewhere."""
        environment = self.environment | _addresses()
        return replace(self, environment=environment, settings=_settings(environment))

    @property
    def path(self) -> str:
        """The read that is measured."""
        return f"/v1/policies/{self.policy_id}"


@dataclass(frozen=True, slots=True)
class Platform:
    """Gateway and policies, both on the measured core."""

    url: str
    gateway: int
    service: int


@contextmanager
def prepared() -> Iterator[Ground]:
    """Set up within: the databases on the driving core, in a folder that is removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="bazaruto-bench-"))
    folder.chmod(0o711)  # as root, PostgreSQL runs as another user
    environment = {**os.environ, **_variables()}
    provision = provisioning.Provision()
    try:
        with machine.on_core(machine.DRIVING):
            provision = provisioning.prepare(folder, _settings(environment), lambda _: None, throwaway=True)
        environment |= provision.environment
        settings = _settings(environment)
        for service in ("users", "policies"):
            importlib.import_module(f"services.{service}.main").migrate(settings)
        contract = _add_policy(settings)
        auth = settings.auth.model_copy(update={"access_token_lifetime": _TOKEN_LIFETIME})
        token = SigningKeys.load(auth.key_folder).sign(auth, contract.user_id, ["customer"], datetime.now(UTC))
        policy_id, owner_id = ids.encode("pol", contract.id), ids.encode("usr", contract.user_id)
        yield Ground(folder, environment, settings, policy_id, owner_id, f"Bearer {token}")
    finally:
        provision.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running_platform(ground: Ground, *, silent: bool = False) -> Iterator[Platform]:
    """The gateway, policies, and users for the public keys, which stays on the other core.

    `silent` processes log, count and trace nothing.
    """
    supervisor = Supervisor(ground.settings, ground.environment, ground.folder / f"logs-{'off' if silent else 'on'}")
    process = {process.name: _silenced(process) if silent else process for process in PROCESSES}
    url = f"http://{ground.settings.gateway.listen}{ground.path}"
    try:
        with machine.on_core(machine.DRIVING):
            supervisor.spawn(process["users"])
        with machine.on_core(machine.MEASURED):
            supervisor.spawn(process["policies"])
            supervisor.spawn(process["gateway"])
        _wait_for_policy(url, ground, lambda: supervisor.tail("gateway") + supervisor.tail("policies"))
        yield Platform(url, supervisor.pid("gateway"), supervisor.pid("policies"))
    finally:
        supervisor.stop()


def _silenced(process: Process) -> Process:
    return Process(process.name, telemetry_off.__name__, process.module)


@contextmanager
def running_server(ground: Ground, name: str, arguments: Sequence[str], url: str = "") -> Iterator[int]:
    """Another contender on the measured core; gives its process id, once `url` answers with the policy."""
    log = ground.folder / f"{name}.log"
    with log.open("wb") as out, machine.on_core(machine.MEASURED):
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            env=ground.environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        if url:
            _wait_for_policy(url, ground, lambda: log.read_text(errors="replace")[-2000:])
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def read_policy(url: str, ground: Ground) -> dict[str, object]:
    """The policy as a contender tells it."""
    answer = httpx.get(url, headers={"authorization": ground.authorization}, timeout=5)
    answer.raise_for_status()
    return dict(answer.json())


def _wait_for_policy(url: str, ground: Ground, explain: object) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        with suppress(httpx.HTTPError):
            if read_policy(url, ground).get("policyId") == ground.policy_id:
                return
        time.sleep(0.1)
    raise CannotMeasure(f"{url} did not answer: {explain() if callable(explain) else explain}")


def _add_policy(settings: Settings) -> Policy:
    """A motor policy in force, as the service itself would have stored it."""
    now = datetime.now(UTC)
    today = now.date()
    premium = Premium(Money(48_750, "EUR"), Money(5_606, "EUR"), Money(1_250, "EUR"))
    coverages = (
        Coverage("third_party", limit=Money(500_000_000, "EUR")),
        Coverage("own_damage", deductible=Money(50_000, "EUR")),
        Coverage("roadside"),
    )
    quote = policy.Quote(
        ids.new(), ids.new(), "motor", 1, "Europe/Lisbon", "accepted", now + timedelta(days=30),
        today, today.replace(year=today.year + 1), premium, coverages, {policy.DEFAULT_PLAN: 1},
    )  # fmt: skip
    number = policy.number_for(quote.product_code, now.year, 1)
    contract, issued = policy.issue(
        quote, policy.DEFAULT_PLAN, now, policy_id=ids.new(), transaction_id=ids.new(), number=number
    )
    paid, activated = policy.activate(contract, 2, "pay_benchmark", now, transaction_id=ids.new())
    database = Database(settings.services["policies"].db_url, settings.db, "bench")
    database.open()
    try:
        with database.transaction() as session:
            policies.add(session, paid)
            policies.add_term(session, paid, issued.id)
            transactions.add(session, paid.id, issued)
            transactions.add(session, paid.id, activated)
    finally:
        database.close()
    return paid


def _variables() -> dict[str, str]:
    """Everything on, as in production."""
    found = {
        "BAZARUTO_ENVIRONMENT": "production",
        "BAZARUTO_PAYMENTS__PROVIDER": "sandbox",
        "BAZARUTO_LOG_LEVEL": "info",
        "BAZARUTO_TELEMETRY__SAMPLING": "0.1",
    }
    return found | _addresses()


def _addresses() -> dict[str, str]:
    found = {"BAZARUTO_GATEWAY__LISTEN": free_address()}
    for service in ("users", "quotes", "policies", "payments"):
        for key in ("LISTEN", "METRICS", "WORKER_METRICS"):
            found[f"BAZARUTO_SERVICES__{service.upper()}__{key}"] = free_address()
    return found


def _settings(environment: dict[str, str]) -> Settings:
    with patch.dict(os.environ, environment, clear=True):
        return load()
