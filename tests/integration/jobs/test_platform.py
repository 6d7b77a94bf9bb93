"""Jobs on the platform as `bazarutod up` runs it: a sign-up over HTTP, the letter, the figures, the commands."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.letterbox import Letterbox
from tests.support.people import new_key
from tests.support.platform import Platform

pytestmark = pytest.mark.xdist_group("platform")


def test_sign_up_leads_to_a_letter_that_an_operator_can_hold_back(platform: Platform, letterbox: Letterbox) -> None:
    wait_for(lambda: counted(platform)["pending"] == counted(platform)["processing"] == 0)  # letters of other tests
    bazarutod(platform, "queues", "pause", "mailers")
    email = f"{new_key()}@example.com"  # other tests of this platform sign up as Ana too
    try:
        letters_before, completed_before = len(letterbox.letters), counted(platform)["completed"]
        trace_id = sign_up(platform, email)
        assert counted(platform)["pending"] == 1
        (waiting,) = bazarutod(platform, "jobs", "list", "--queue", "mailers", "--status", "pending")
        assert bazarutod(platform, "jobs", "show", waiting["id"])["trace_id"] == trace_id
        wait_for(lambda: metric(platform, "listen", 'bazaruto_jobs_pending{queue="mailers"}') == 1)
        wait_for(lambda: metric(platform, "worker", 'bazaruto_jobs_pending{queue="mailers"}') == 1)
        assert len(letterbox.letters) == letters_before
    finally:
        bazarutod(platform, "queues", "resume", "mailers")
    wait_for(lambda: counted(platform)["completed"] == completed_before + 1)
    assert [letter["To"] for letter in letterbox.letters[letters_before:]] == [f"Ana Sitoe <{email}>"]
    sent = [line for line in platform.log("users-worker").splitlines() if "letter sent" in line]
    assert json.loads(sent[-1])["trace_id"] == trace_id
    workers = bazarutod(platform, "queues", "list")["workers"]
    assert {worker["service"] for worker in workers if worker["alive"]} == set(platform.settings.services)


def sign_up(platform: Platform, email: str) -> str:
    """Sign up over HTTP. Returns the trace."""
    body = {"email": email, "password": "baobab-carrinha-47", "fullName": "Ana Sitoe"}
    answer = httpx.post(f"{platform.url}/v1/users", json=body, headers={"idempotency-key": new_key()}, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.headers["x-trace-id"]


def counted(platform: Platform) -> dict[str, int]:
    """What `jobs stats` counts in the queue of letters."""
    return dict(bazarutod(platform, "jobs", "stats", "--queue", "mailers")["total"])


def bazarutod(platform: Platform, *words: str) -> Any:
    """What the command says, as JSON."""
    program = Path(sys.executable).parent / "bazarutod"
    done = subprocess.run(
        [program, *words, "--json"], env=platform.environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def metric(platform: Platform, who: str, series: str) -> float | None:
    """A series of the users' server or of its worker."""
    users = platform.settings.services["users"]
    page = httpx.get(f"http://{users.worker_metrics if who == 'worker' else users.metrics}/metrics", timeout=10).text
    return next((float(line.split()[-1]) for line in page.splitlines() if line.startswith(series)), None)


def wait_for(done: Any) -> None:
    """Wait until something is so."""
    until = time.monotonic() + 60
    while not done():
        assert time.monotonic() < until, "it is not so after 60 s"
        time.sleep(0.2)
