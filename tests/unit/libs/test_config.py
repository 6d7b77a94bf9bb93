"""A wrong configuration stops a process with the key named."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from libs.config import ConfigError, load

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("BAZARUTO_"):
            monkeypatch.delenv(name)


def test_defaults_know_every_service() -> None:
    settings = load()
    assert settings.services["policies"].target == "127.0.0.1:9003"
    assert settings.gateway.listen == "127.0.0.1:8080"


def test_file_of_the_project_names_every_key_with_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    file, defaults = ROOT / "config.yaml", load()
    monkeypatch.setenv("BAZARUTO_CONFIG", str(file))
    assert load() == defaults
    named, known = yaml.safe_load(file.read_text()), defaults.model_dump(by_alias=True)
    assert set(named) == set(known)
    for section, keys in known.items():
        assert not isinstance(keys, dict) or set(named[section]) == set(keys)


def test_variable_overrides_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("log_level: info\ndb:\n  max_connections: 50\n  max_lifetime: 1h30m\n")
    monkeypatch.setenv("BAZARUTO_CONFIG", str(tmp_path / "config.yaml"))
    monkeypatch.setenv("BAZARUTO_LOG_LEVEL", "debug")
    settings = load()
    assert (settings.log_level, settings.db.max_connections) == ("debug", 50)
    assert settings.db.max_lifetime == timedelta(minutes=90)


def test_address_of_a_service_on_another_machine_is_dialled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAZARUTO_SERVICES__QUOTES__ADDRESS", "dns:///quotes:9002")
    assert load().services["quotes"].target == "dns:///quotes:9002"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("BAZARUTO_LOGLEVEL", "info", "BAZARUTO_LOGLEVEL: unknown key"),
        ("BAZARUTO_DB__POOL", "5", "db.pool: unknown key"),
        ("BAZARUTO_DB__MAX_CONNECTIONS", "0", "db.max_connections"),
        ("BAZARUTO_DB__MAX_LIFETIME", "forever", "db.max_lifetime: 'forever' is not a duration"),
        ("BAZARUTO_LOG_LEVEL", "loud", "log_level"),
        ("BAZARUTO_JOBS__TIME_LIMIT", "soon", "jobs.time_limit: 'soon' is not a duration"),
        ("BAZARUTO_MAIL__TLS", "maybe", "mail.tls"),
        ("BAZARUTO_MAIL__FROM", "nobody", "mail.from"),
        ("BAZARUTO_MAIL__USERNAME", "mailer", "mail: username and password_file belong together"),
        ("BAZARUTO_SERVICES__CLAIMS__LISTEN", "127.0.0.1:1", "services: unknown service 'claims'"),
        ("BAZARUTO_SERVICES__USERS__LISTEN", "nowhere", "services.users.listen"),
        ("BAZARUTO_CONFIG", "/nowhere.yaml", "BAZARUTO_CONFIG: there is no file /nowhere.yaml"),
    ],
)
def test_wrong_variable_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=told.replace("'", ".")):
        load()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("colour: red", "colour: unknown key"),
        ("gateway:\n  listen: 8080", "gateway.listen"),
        ("db:\n  acquire_timeout: 10 parsecs", "db.acquire_timeout"),
    ],
)
def test_wrong_key_of_the_file_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, told: str
) -> None:
    (tmp_path / "config.yaml").write_text(text)
    monkeypatch.setenv("BAZARUTO_CONFIG", str(tmp_path / "config.yaml"))
    with pytest.raises(ConfigError, match=told):
        load()
