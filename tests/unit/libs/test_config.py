"""A wrong configuration stops a process with the key named."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from libs.config import ConfigError, Section, Settings, defaults, load

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


@pytest.mark.parametrize("kind", [Settings, *Section.__subclasses__()], ids=lambda kind: kind.__name__)
def test_packaged_file_alone_has_defaults(kind: type[Settings | Section]) -> None:
    assert [name for name, field in kind.model_fields.items() if not field.is_required()] == []


def test_defaults_are_those_of_the_packaged_file_whatever_else_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAZARUTO_LOG_LEVEL", "debug")
    assert (load().log_level, defaults().log_level) == ("debug", "info")


def test_packaged_file_may_be_given_as_the_own_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAZARUTO_CONFIG", str(ROOT / "config.yaml"))
    assert load().model_dump() == defaults().model_dump()


def test_own_file_changes_only_the_keys_that_it_has(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("services:\n  quotes:\n    workers: 3\n")
    monkeypatch.setenv("BAZARUTO_CONFIG", str(tmp_path / "own.yaml"))
    services, packaged = load().services, defaults().services
    assert services == packaged | {"quotes": packaged["quotes"].model_copy(update={"workers": 3})}


def test_own_file_may_leave_services_empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("services:\n")
    monkeypatch.setenv("BAZARUTO_CONFIG", str(tmp_path / "own.yaml"))
    assert load().services == defaults().services


def test_section_of_one_service_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAZARUTO_PAYMENTS__PROVIDER", "sandbox")
    assert "payments" not in load().model_dump()


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
    ("name", "value", "message"),
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
def test_wrong_variable_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=message.replace("'", ".")):
        load()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("colour: red", "colour: unknown key"),
        ("gateway:\n  listen: 8080", "gateway.listen"),
        ("db:\n  acquire_timeout: 10 parsecs", "db.acquire_timeout"),
    ],
)
def test_wrong_key_of_the_file_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "config.yaml").write_text(text)
    monkeypatch.setenv("BAZARUTO_CONFIG", str(tmp_path / "config.yaml"))
    with pytest.raises(ConfigError, match=message):
        load()


def test_production_refuses_a_moved_clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BAZARUTO_ENVIRONMENT", "production")
    assert load().clock.file == Path(".run/clock")
    Path(".run").mkdir()
    Path(".run/clock").write_text('{"offset_microseconds": 1}')
    with pytest.raises(
        ConfigError, match=r"^clock: file: \.run/clock moves the clock, and production goes by real time"
    ):
        load()
    monkeypatch.setenv("BAZARUTO_ENVIRONMENT", "test")
    assert load().clock.file == Path(".run/clock")


def test_production_refuses_a_clock_that_could_be_moved_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAZARUTO_ENVIRONMENT", "production")
    monkeypatch.setenv("BAZARUTO_CLOCK__FILE", "/nowhere/clock")
    with pytest.raises(ConfigError, match=r"^clock: file: production goes by real time; do not set /nowhere/clock"):
        load()
