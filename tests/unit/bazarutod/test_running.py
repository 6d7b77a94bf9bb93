"""Commands find the platform that runs in a folder, and print no password."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bazarutod.masking import without_passwords
from bazarutod.running import FolderInUse, alone, use_running
from libs.config import load

RUNNING = "postgresql://bazaruto@127.0.0.1:5555/running"


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of a platform that brought its servers along."""
    for name in list(os.environ):
        if name.startswith("BAZARUTO_"):
            monkeypatch.delenv(name)
    environment = {
        "BAZARUTO_SERVICES__USERS__DB_URL": RUNNING,
        "BAZARUTO_SERVICES__QUOTES__DB_URL": RUNNING,
        "BAZARUTO_REDIS__URL": "redis://127.0.0.1:6666/0",
        "BAZARUTO_AUTH__KEY_FOLDER": str(tmp_path / "secrets" / "keys"),
    }
    (tmp_path / "state.json").write_text(json.dumps({"pid": 1, "environment": environment}))
    for name in environment:
        monkeypatch.setenv(name, "")  # so that it is put back when the test ends
        monkeypatch.delenv(name)
    return tmp_path


def test_commands_use_what_runs_where_nothing_is_configured(folder: Path) -> None:
    use_running(folder)
    settings = load()
    assert settings.services["users"].db_url == settings.services["quotes"].db_url == RUNNING
    assert settings.redis.url == "redis://127.0.0.1:6666/0"
    assert settings.auth.key_folder == folder / "secrets" / "keys"


def test_what_the_file_or_a_variable_names_is_used_and_not_what_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "config.yaml").write_text(
        "services: {users: {db_url: postgresql://db/users}}\nauth: {key_folder: /etc/bazaruto/keys}\n"
    )
    monkeypatch.setenv("BAZARUTO_CONFIG", str(folder / "config.yaml"))
    monkeypatch.setenv("BAZARUTO_REDIS__URL", "redis://cache:6379/0")
    use_running(folder)
    settings = load()
    assert settings.services["users"].db_url == "postgresql://db/users"
    assert settings.services["quotes"].db_url == RUNNING
    assert settings.redis.url == "redis://cache:6379/0"
    assert settings.auth.key_folder == Path("/etc/bazaruto/keys")


def test_folder_is_had_by_one_process_at_a_time(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(FolderInUse), alone(tmp_path):
        pass
    with alone(tmp_path):
        pass


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("postgresql://ana:se:c/ret@db/users", "postgresql://ana:***@db/users"),
        ("redis://:secret@cache:6379/0", "redis://:***@cache:6379/0"),
        ("redis://:p@ssw0rd@cache", "redis://:***@cache"),
        ("redis://:p@ss@cache/0?client=ana@office", "redis://:***@cache/0?client=ana@office"),
        ("postgresql://ana@corp:se@cret@db/users", "postgresql://ana@corp:***@db/users"),
        ("redis://:a@one,redis://:b@two", "redis://:***@one,redis://:***@two"),
        ("redis://cache:6379/0?db=1&password=secret&x=1", "redis://cache:6379/0?db=1&password=***&x=1"),
        ("host=db password='my secret' user=ana", "host=db password=*** user=ana"),
        ('{"url": "redis://:secret@cache"}', '{"url": "redis://:***@cache"}'),
        ("http://127.0.0.1:8080, ana@example.com", "http://127.0.0.1:8080, ana@example.com"),
    ],
)
def test_no_password_is_printed(text: str, printed: str) -> None:
    assert without_passwords(text) == printed
