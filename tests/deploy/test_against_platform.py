"""What an operator runs against the platform, run against the real one: health checks and queries over its logs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
import yaml

from bazarutod import embedded
from bazarutod.stack import PROCESSES, SERVICES, Process
from tests.deploy.manifests import deployment_name, pods
from tests.deploy.programs import DEPLOY, ROOT, program
from tests.deploy.queries import as_jq, chooses
from tests.support.platform import Platform, running_platform
from tests.support.servers import free_address, serving
from tests.support.traces import spans_of

pytestmark = pytest.mark.xdist_group("deploy-platform")

BAZARUTOD = Path(sys.executable).with_name("bazarutod")
CONFIG_MAP = yaml.safe_load((DEPLOY / "kubernetes" / "base" / "health-checks.yaml").read_text())


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    """Every process of the platform."""
    with running_platform() as running:
        yield running


@pytest.fixture
def health_check(tmp_path: Path) -> Path:
    """The script of the ConfigMap, as a mounted file."""
    path = tmp_path / "health-check.sh"
    path.write_text(CONFIG_MAP["data"]["health-check.sh"])
    path.chmod(0o555)
    return path


def test_script_of_the_config_map_is_in_order(health_check: Path) -> None:
    assert CONFIG_MAP["metadata"]["name"] == "health-check-config"
    shellcheck = Path(sys.executable).with_name("shellcheck")
    subprocess.run([shellcheck, health_check], check=True)
    assert os.access(health_check, os.X_OK)


@pytest.mark.parametrize("asks_with", ["curl", "bazarutod"])
def test_script_ends_with_0_while_the_platform_is_up(platform: Platform, health_check: Path, asks_with: str) -> None:
    assert ended(health_check, asks_with, platform.url).returncode == 0


@pytest.mark.parametrize("asks_with", ["curl", "bazarutod"])
def test_script_ends_with_1_while_nothing_answers(health_check: Path, asks_with: str) -> None:
    assert ended(health_check, asks_with, f"http://{free_address()}").returncode == 1


@pytest.mark.parametrize("name", [process.name for process in PROCESSES])
def test_health_command_asks_each_process(platform: Platform, name: str) -> None:
    done = bazarutod("health", platform.address_of(name).removeprefix("http://"))
    assert (done.returncode, done.stdout) == (0, "healthy\n")


def test_health_command_asks_an_address(platform: Platform) -> None:
    assert bazarutod("health", f"{platform.url}/healthz").returncode == 0


def test_health_command_fails_for_a_process_that_is_down() -> None:
    address = free_address()
    done = bazarutod("health", address)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{address} is not healthy: ")


def test_health_command_refuses_a_name_that_it_does_not_know() -> None:
    done = bazarutod("health", "claims")
    assert done.returncode == 2
    assert "claims" in done.stderr


def test_status_is_the_word_that_the_guide_watches_for(platform: Platform) -> None:
    program("curl")
    command = f"curl -s {platform.url}/healthz | {program('jq')} .status"  # watch -n 5 '...'
    assert subprocess.check_output(["bash", "-c", command], text=True) == '"healthy"\n'
    assert ended_curl(platform) == 0


def test_the_purchase_of_the_readme_ends_with_a_policy_in_force(platform: Platform) -> None:
    (script,) = re.findall(r"```bash\n(gateway=.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    program("curl")
    bought = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={**os.environ, "GATEWAY": platform.url},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert bought.returncode == 0, bought.stdout + bought.stderr
    printed = re.search(r"pol_\w+ is in force; the trace: \.venv/bin/bazarutod trace ([0-9a-f]{32})", bought.stdout)
    assert printed
    spans_of(
        platform,
        printed[1],
        {"job policies.apply_transaction", "bazaruto.payments.v1.BillingService/ApplyPolicyTransaction"},
    )
    shown = bazarutod(
        "trace", printed[1], "--folder", str(platform.folder), environment={**os.environ, "COLUMNS": "200"}
    )
    for name in ("PolicyService/IssuePolicy", "QuoteService/GetQuote", "job policies.apply_transaction", "SQL INSERT"):
        assert name in shown.stdout


def test_probes_blame_no_process_for_its_database() -> None:
    with running_platform() as platform:
        platform.postgres.stop()
        try:
            eventually(lambda: not any(serving(platform.settings.services[name].listen) for name in SERVICES))
            for process in PROCESSES:
                (container,) = pods("production")[deployment_name(process.name)]["spec"]["containers"]
                path = container["livenessProbe"]["httpGet"]["path"]
                answer = httpx.get(f"http://{where_liveness_is(platform, process)}{path}", timeout=3)
                assert answer.status_code == 200, process.name
            assert ended_curl(platform) == 22
        finally:
            embedded.start(platform.postgres.folder, throwaway=True)  # to be stopped with the rest


def test_health_check_of_every_container_is_answered(platform: Platform) -> None:
    for process in PROCESSES:
        asked = bazarutod("health", where_liveness_is(platform, process))
        assert (asked.returncode, asked.stdout) == (0, "healthy\n"), process.name


def test_readiness_of_a_worker_is_what_it_answers(platform: Platform) -> None:
    for name in SERVICES:
        (container,) = pods("production")[f"{name}-worker"]["spec"]["containers"]
        path = container["readinessProbe"]["httpGet"]["path"]
        answer = httpx.get(f"http://{platform.settings.services[name].worker_metrics}{path}", timeout=3)
        assert answer.status_code == 200, name


def test_readiness_is_what_grpc_health_says(platform: Platform) -> None:
    for name in SERVICES:
        (container,) = pods("production")[name]["spec"]["containers"]
        assert container["readinessProbe"]["grpc"].keys() == {"port"}  # no name: the health of the whole server
        assert serving(platform.settings.services[name].listen)


def test_query_for_errors_finds_the_call_that_failed(platform: Platform) -> None:
    before = chosen_by_jq(platform, "errors-by-service")
    with psycopg.connect(platform.postgres.url("bazaruto_users"), autocommit=True) as connection:
        connection.execute("ALTER TABLE users RENAME TO users_elsewhere")
        try:
            assert sign_up(platform, "lost@example.com") == 500
        finally:
            connection.execute("ALTER TABLE users_elsewhere RENAME TO users")
    eventually(lambda: chosen_by_jq(platform, "errors-by-service") > before)


def test_query_for_slow_requests_finds_the_request_that_waited(platform: Platform) -> None:
    before = chosen_by_jq(platform, "slow-requests")
    with psycopg.connect(platform.postgres.url("bazaruto_users")) as connection:
        connection.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        timer = threading.Timer(1.3, connection.rollback)
        timer.start()
        assert sign_up(platform, "slow@example.com") == 200
        timer.join()
    eventually(lambda: chosen_by_jq(platform, "slow-requests") > before)


def ended_curl(platform: Platform) -> int:
    """The exit code of the guide's own question: 22 where the answer is an error."""
    command = [program("curl"), "-sf", "-o", "/dev/null", f"{platform.url}/healthz"]
    return subprocess.run(command, timeout=30, check=False).returncode


def where_liveness_is(platform: Platform, process: Process) -> str:
    """HOST:PORT of the port that a liveness probe asks."""
    if process.name == "gateway":
        return platform.settings.gateway.listen
    service = platform.settings.services[process.service]
    return service.metrics if process.verb == "serve" else service.worker_metrics


def eventually(holds: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def sign_up(platform: Platform, email: str) -> int:
    """The status of an attempt to sign up."""
    person = {"email": email, "password": "a long enough secret", "fullName": "Somebody"}
    return httpx.post(f"{platform.url}/v1/users", json=person, timeout=30).status_code


def chosen_by_jq(platform: Platform, name: str) -> int:
    """How many lines of all logs a query chooses; jq and the query must agree on each line."""
    query = json.loads((DEPLOY / "logging" / "kibana" / f"{name}.json").read_text())["query"]
    lines = "".join(platform.log(process.name) for process in PROCESSES)
    completed = subprocess.run(
        [program("jq"), "-c", f"select({as_jq(query)})"], input=lines, capture_output=True, text=True, check=True
    )
    chosen_lines = [json.loads(line) for line in completed.stdout.splitlines()]
    assert chosen_lines == [line for line in map(json.loads, lines.splitlines()) if chooses(query, line)]
    return len(chosen_lines)


def ended(script: Path, asks_with: str, url: str) -> subprocess.CompletedProcess[str]:
    """Run the script where only one of the two programs is there."""
    where = script.parent / f"bin-{asks_with}"
    where.mkdir()
    (where / asks_with).symlink_to(program("curl") if asks_with == "curl" else BAZARUTOD)
    environment = {"PATH": str(where), "HEALTH_URL": f"{url}/healthz"}
    return subprocess.run(
        ["/bin/bash", str(script)], env=environment, capture_output=True, text=True, timeout=30, check=False
    )


def bazarutod(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    command = [str(BAZARUTOD), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
