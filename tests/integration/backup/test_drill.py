"""`bazarutod drill`: what it prints, and that it does not pass when something is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from bazarutod.backup import drill
from bazarutod.backup.drill import Drill, Report

BAZARUTOD = str(Path(sys.executable).with_name("bazarutod"))

pytestmark = pytest.mark.xdist_group("recovery")


def test_a_drill_gets_everything_of_the_moment_back(tmp_path: Path) -> None:
    command = [BAZARUTOD, "drill", "--rows", "5000", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["wrong"] == []
    assert report["rows"] >= 5_000
    assert 0 < report["recovery_seconds"] < report["seconds"]
    assert "EUR, MZN, USD: all the same" in report["steps"][-1]["detail"]
    assert list(tmp_path.iterdir()) == [], "the drill leaves nothing where it was started"


def test_a_drill_in_which_a_row_is_lost_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    replay = Drill._replay

    def replay_and_lose(self: Drill) -> str:
        detail = replay(self)
        with psycopg.connect(self.servers[0].url("bazaruto_payments")) as connection:
            connection.execute("SET session_replication_role = replica")
            connection.execute("DELETE FROM postings WHERE ctid = (SELECT min(ctid) FROM postings)")
        return detail

    monkeypatch.setattr(Drill, "_replay", replay_and_lose)
    report: Report = drill.run(300, lambda _: None)
    assert "table public.postings has" in report.wrong[0]
    assert any("trial balance" in difference for difference in report.wrong)
