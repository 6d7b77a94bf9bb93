"""A policy that was sold survives the loss of everything but a backup."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.buyer import Buyer
from tests.support.platform import Platform, running_platform

pytestmark = pytest.mark.xdist_group("platform")

_PASSWORD = "a long enough secret"
BAZARUTOD = str(Path(sys.executable).with_name("bazarutod"))


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder in which an embedded server can work, also when root runs the test."""
    with tempfile.TemporaryDirectory(prefix="bazaruto-restore-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o711)
        yield Path(name)


def test_a_platform_on_restored_databases_knows_its_customers_and_their_policies(
    platform: Platform, open_folder: Path
) -> None:
    backup, run = open_folder / "backup", open_folder / "run"
    email = f"{secrets.token_hex(8)}@example.com"
    with httpx.Client(base_url=platform.url, timeout=30) as http:
        buyer = Buyer(http)
        buyer.call("POST", "/v1/users", {"email": email, "password": _PASSWORD, "fullName": "Test Buyer"})
        _log_in(buyer, email)
        policy = buyer.in_force(buyer.issue(paymentMethod="pm_card_ok"))
    _bazarutod("backup", "--to", backup, "--login", "postgres", **platform.environment)

    summary = json.loads(_bazarutod("restore", backup, "--folder", run, "--json"))
    assert set(summary["trial_balance"].values()) == {0}
    with running_platform(folder=run) as restored, httpx.Client(base_url=restored.url, timeout=30) as http:
        buyer = Buyer(http)
        _log_in(buyer, email)
        assert buyer.call("GET", f"/v1/policies/{policy['policyId']}") == policy
        assert buyer.in_force(buyer.issue(paymentMethod="pm_card_ok"))["policyNumber"] > policy["policyNumber"]


def _log_in(buyer: Buyer, email: str) -> None:
    tokens = buyer.call("POST", "/v1/auth/login", {"email": email, "password": _PASSWORD})
    buyer.token, buyer.user_id = tokens["accessToken"], tokens["userId"]


def _bazarutod(*arguments: object, **variables: str) -> str:
    done = subprocess.run(
        [BAZARUTOD, *map(str, arguments)],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
