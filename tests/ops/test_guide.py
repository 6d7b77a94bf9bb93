"""docs/operations.md is true: every block that can be run is run, on a platform that lives as the guide says."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from bazarutod import embedded
from bazarutod.stack import DEFAULT_SERVICES
from tests.support.buyer import Buyer
from tests.support.guide import DOCS, ROOT, Block, blocks
from tests.support.platform import Platform, running_platform

pytestmark = pytest.mark.xdist_group("guide")

GUIDE = DOCS / "operations.md"
PACKAGES = {
    "jq": "jq",
    "curl": "curl",
    "free": "procps",
    "psql": "postgresql-client",
    "gpg": "gpg",
    "promtool": "prometheus",
    "amtool": "prometheus-alertmanager",
    "go": "golang-go",
}
_FROM_ELSEWHERE = ("redis_", "node_", "pg_")  # metrics of exporters


def _of(language: str) -> list[Block]:
    return [block for block in blocks(GUIDE) if block.language == language]


each_command = pytest.mark.parametrize("block", [b for b in _of("bash") if not b.reason], ids=str)


@dataclass(frozen=True)
class Place:
    """The machine of the guide: its folders are made up, its platform is real."""

    folder: Path
    platform: Platform
    environment: dict[str, str]

    def run(self, text: str) -> subprocess.CompletedProcess[str]:
        """Run a block as somebody who pastes it, in the project's folder."""
        return subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", self._here(text)],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=200,
        )

    def _here(self, text: str) -> str:
        """The block with the addresses and folders of this place."""
        settings = self.platform.settings
        addresses = {"localhost:8080": settings.gateway.listen}
        for name, default in DEFAULT_SERVICES.items():
            for key in ("metrics", "worker_metrics"):
                port = default[key].rpartition(":")[2]
                addresses[f"localhost:{port}"] = getattr(settings.services[name], key)
        addresses["DB_HOST=localhost DB_PORT=5432"] = f"DB_HOST=127.0.0.1 DB_PORT={self.platform.postgres.port}"
        for path in ("/var/log/bazaruto", "/var/lib/bazaruto", "/etc/bazaruto"):
            addresses[path] = str(self.folder / path[1:])
        text = re.sub(r"(?<=[=\s\"])/(backups|tmp)\b", rf"{self.folder}/\1", text)
        for told, real in addresses.items():
            text = text.replace(told, real)
        return text


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """The project's folder with a running platform, in which somebody has bought something and somebody failed."""
    with tempfile.TemporaryDirectory(prefix="bazaruto-guide-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for path in ("var/log/bazaruto", "var/lib/bazaruto", "etc/bazaruto/secrets", "backups", "tmp", "metrics"):
            (folder / path).mkdir(parents=True)
        shutil.copy(ROOT / "config.yaml", folder / "etc/bazaruto")
        (folder / "etc/bazaruto/passphrase").write_text(secrets.token_hex(16))
        log = folder / "var/log/bazaruto/app.log"
        with running_platform(BAZARUTO_LOG_FILE=str(log), BAZARUTO_DB__SLOW_QUERY="1ms") as platform:
            _link(folder, platform)
            with httpx.Client(base_url=platform.url, timeout=30) as http:
                customer = Buyer(http)
                customer.sign_up()
                customer.issue()
                wrong = {"email": "nobody@example.com", "password": "a wrong secret"}
                assert http.post("/v1/auth/login", json=wrong).status_code == 401
            _fail_a_job(platform, log)
            yield Place(folder, platform, _environment(folder, platform))


def _fail_a_job(platform: Platform, log: Path) -> None:
    """A job at its last try that cannot succeed: somebody gave it an argument that it does not know."""
    with psycopg.connect(platform.settings.services["users"].db_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, args, attempts)"
            " VALUES ('default', 'users.reap_sessions', '{\"unknown\": 1}', %s)",
            (platform.settings.jobs.max_attempts - 1,),
        )
    deadline = time.monotonic() + 60
    while "job failed for good" not in log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def _link(folder: Path, platform: Platform) -> None:
    """What the project's folder holds, and `.run` as `bazarutod up` leaves it."""
    for name in ("deploy", "docs", "config.yaml", "Makefile"):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").symlink_to(Path(sys.executable).absolute().parents[1])
    (folder / ".run").symlink_to(platform.folder)
    environment = {key: value for key, value in platform.environment.items() if key.startswith("BAZARUTO_")}
    (platform.folder / "state.json").write_text(json.dumps({"pid": os.getpid(), "environment": environment}))


def _environment(folder: Path, platform: Platform) -> dict[str, str]:
    return {
        **platform.environment,
        "ADMIN_PASSWORD": secrets.token_hex(12),
        "PG_BIN": str(embedded.binaries()),
        "METRICS_DIR": str(folder / "metrics"),
        "PPROF_TMPDIR": str(folder / "tmp"),
        "PATH": f"{os.environ['PATH']}:/usr/local/go/bin",
    }


@each_command
def test_commands_of_the_guide_work(place: Place, block: Block) -> None:
    used = [program for program in PACKAGES if re.search(rf"\b({program} |{program.upper()}_)", block.text)]
    missing = [program for program in used if not shutil.which(program, path=place.environment["PATH"])]
    if missing:
        pytest.skip(f"apt-get install {' '.join(PACKAGES[program] for program in missing)}")
    done = place.run(block.text)
    assert done.returncode == block.exit_code, f"{block.text}\n{done.stdout}{done.stderr}"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("block", _of("sql"), ids=str)
def test_queries_to_the_database_work(place: Place, block: Block) -> None:
    with psycopg.connect(place.platform.postgres.url("bazaruto_users"), autocommit=True) as connection:
        for statement in filter(str.strip, block.text.split(";")):
            connection.execute(statement.encode()).fetchall()


def test_queries_to_prometheus_are_of_metrics_that_exist(place: Place) -> None:
    known = _metrics(place.platform)
    for block in _of("promql"):
        for name in re.findall(r"\b(?:http|redis|bazaruto)_\w+", block.text):
            assert name in known or name.startswith(_FROM_ELSEWHERE), name
        if shutil.which("promtool"):
            rules = "groups:\n  - name: guide\n    rules:\n" + "".join(
                f"      - {{record: 'guide:query{n}', expr: {json.dumps(line)}}}\n"
                for n, line in enumerate(block.text.strip().splitlines())
            )
            path = place.folder / "tmp" / "queries.yml"
            path.write_text(rules)
            done = subprocess.run(["promtool", "check", "rules", path], capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr


def test_metrics_that_the_guide_explains_exist_with_their_labels(place: Place) -> None:
    known = _metrics(place.platform)
    rows = re.findall(r"^\| `(\w+)` \| ([\w, ]*?) *\| ", GUIDE.read_text(), re.MULTILINE)
    assert len(rows) >= 10
    for name, labels in rows:
        assert name in known
        seen = known[name]
        assert not seen or set(filter(None, labels.split(", "))) <= seen, (name, seen)
    for name in re.findall(r"`((?:bazaruto|http|rpc)_\w+)`", GUIDE.read_text()):
        assert name in known, name


def test_health_document_has_the_shape_that_the_guide_shows(place: Place) -> None:
    told, *_ = (json.loads(block.text) for block in _of("json"))
    real = httpx.get(f"{place.platform.url}/healthz", timeout=10).json()
    assert _shape(real) == _shape(told)
    assert real["version"] == told["version"]


def test_log_line_has_the_fields_that_the_guide_shows(place: Place) -> None:
    _, told = (json.loads(block.text) for block in _of("json"))
    lines = (place.folder / "var/log/bazaruto/app.log").read_text().splitlines()
    real = next(line for line in map(json.loads, lines) if line["message"] == told["message"])
    assert set(told) <= set(real)
    assert real["component"] == told["component"]
    assert re.fullmatch(r".\*\*\*@[\w.]+", real["email"])


def _shape(value: Any) -> Any:
    return {key: _shape(v) for key, v in value.items()} if isinstance(value, dict) else type(value).__name__


def _metrics(platform: Platform) -> dict[str, set[str]]:
    """Every metric of every process by its name, with the labels that its series carry."""
    urls = [f"{platform.url}/metrics"]
    for service in platform.settings.services.values():
        urls += [f"http://{service.metrics}/metrics", f"http://{service.worker_metrics}/metrics"]
    found: dict[str, set[str]] = {}
    for url in urls:
        with urllib.request.urlopen(url, timeout=10) as answer:
            page = answer.read().decode()
        for name in re.findall(r"^# TYPE (\w+)", page, re.MULTILINE):
            found.setdefault(name, set())
        for name, labels in re.findall(r"^(\w+)\{([^}]*)\}", page, re.MULTILINE):
            own = set(re.findall(r"(\w+)=", labels)) - {"le"}
            found.setdefault(name, set()).update(own)
            found.setdefault(re.sub(r"_(bucket|count|sum)$", "", name), set()).update(own)
    return found
