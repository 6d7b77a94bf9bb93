"""The secrets that a deployment makes for itself, and the databases that are made with them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from bazarutod import embedded
from bazarutod.stack import SERVICES
from libs.config import AuthSettings, ConfigError
from libs.identity.callers import Caller
from libs.identity.secrets import read_secret
from services.users.accounts.adapters.signing import SigningKeys
from services.users.people.adapters.sealing import FieldKeys
from tests.deploy.configuring import settings_of
from tests.deploy.programs import DEPLOY, ROOT, program
from tests.support.sections import section

MAKE_SECRETS = DEPLOY / "docker" / "make-secrets.sh"
CREATE_DATABASES = DEPLOY / "kubernetes" / "components" / "postgres" / "create-databases.sh"


def make_secrets(folder: Path, host: str = "postgres") -> dict[str, bytes]:
    """Run the script; gives what it made."""
    program("openssl")
    subprocess.run([MAKE_SECRETS, folder], check=True, env={**os.environ, "DB_HOST": host}, timeout=30)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def own_server() -> Iterator[embedded.Server]:
    """A PostgreSQL server that asks for passwords, so that a wrong one is noticed."""
    folder = Path(tempfile.mkdtemp(prefix="bazaruto-deploy-"))
    folder.chmod(0o711)  # as root, PostgreSQL runs as another user
    server = embedded.start(folder / "pg", throwaway=True)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def test_secrets_are_good_and_are_kept_when_the_script_runs_again(tmp_path: Path) -> None:
    first = make_secrets(tmp_path / "secrets")
    assert make_secrets(tmp_path / "secrets") == first
    assert len(read_secret(tmp_path / "secrets" / "internal")) >= 32
    keys = SigningKeys.load(tmp_path / "secrets" / "keys")
    assert keys.sign(
        section(AuthSettings, access_token_lifetime=timedelta(minutes=1)), Caller(user_id=uuid4()), datetime.now(UTC)
    )
    fields, customer_id = FieldKeys.load(tmp_path / "secrets" / "fields"), uuid4()
    assert fields.open(fields.seal("400123456", customer_id), customer_id) == "400123456"
    passwords = [value for name, value in first.items() if name.startswith("db-password-")]
    assert len(set(passwords)) == len(passwords)


def test_nobody_else_on_the_machine_gets_to_the_secrets(tmp_path: Path) -> None:
    make_secrets(tmp_path / "secrets")
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0


def test_composition_and_overlays_ask_for_no_other_secret(tmp_path: Path) -> None:
    import yaml

    made = make_secrets(tmp_path / "secrets")
    asked = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["secrets"]
    assert {Path(one["file"]).name for one in asked.values()} <= made.keys()


def test_every_service_gets_a_database_that_only_it_can_enter(tmp_path: Path, own_server: embedded.Server) -> None:
    secrets = tmp_path / "secrets"
    make_secrets(secrets)
    environment = {
        "PATH": f"{embedded.binaries()}:{os.environ['PATH']}",
        "PGHOST": "127.0.0.1",
        "PGPORT": str(own_server.port),
        "SECRETS": str(secrets),
    }
    for _ in range(2):  # the second time changes nothing
        subprocess.run(["sh", CREATE_DATABASES], check=True, env=environment, timeout=60)
    with psycopg.connect(own_server.url("postgres"), autocommit=True) as connection:
        for service in SERVICES:
            name = f"bazaruto_{service}"
            owner = "SELECT pg_get_userbyid(datdba), has_database_privilege(%s, datname, 'CONNECT') FROM pg_database"
            row = connection.execute(f"{owner} WHERE datname = %s", (f"bazaruto_{service}", name)).fetchone()
            assert row == (name, True)
            others = [f"bazaruto_{other}" for other in SERVICES if other != service]
            for other in others:
                may = connection.execute("SELECT has_database_privilege(%s, %s, 'CONNECT')", (other, name)).fetchone()
                assert may == (False,)
            stored = connection.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", (name,)).fetchone()
            assert stored
            assert stored[0].startswith("SCRAM-SHA-256$")
        monitor = connection.execute("SELECT pg_has_role('bazaruto_monitor', 'pg_monitor', 'MEMBER')").fetchone()
        assert monitor == (True,)


def test_password_reaches_the_service_by_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_secrets(tmp_path / "secrets", host="db.example.com")
    variables = {"BAZARUTO_SERVICES__QUOTES__DB_URL_FILE": str(tmp_path / "secrets" / "db-url-quotes")}
    settings = settings_of(DEPLOY / "docker" / "config.yaml", monkeypatch, **variables)
    password = made["db-password-quotes"].decode()
    url = f"postgresql://bazaruto_quotes:{password}@db.example.com:5432/bazaruto_quotes"
    assert settings.services["quotes"].db_url == url


def test_missing_file_stops_the_start_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {"BAZARUTO_SERVICES__QUOTES__DB_URL_FILE": "/nowhere/db-url"}
    with pytest.raises(ConfigError, match=r"services: .*db_url_file: .*/nowhere/db-url|services.quotes: .*db_url_file"):
        settings_of(DEPLOY / "docker" / "config.yaml", monkeypatch, **variables)
