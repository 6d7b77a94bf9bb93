"""Administrators of a running platform, made as the first one is made: by the command."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Mapping

import httpx

from tests.support.buyer import Buyer

PASSWORD = "baobab-carrinha-47"


def make_admin(environment: Mapping[str, str], email: str = "", password: str = PASSWORD) -> str:
    """Make one in the platform of this environment; gives the e-mail address to log in with."""
    email = email or f"{secrets.token_hex(6)}@example.com"
    account = {"email": email, "full_name": "Operator", "password": password}
    command = [sys.executable, "-m", "services.users.main", "create-admin"]
    done = subprocess.run(
        command, input=json.dumps(account), env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(json.loads(done.stdout)) == {"user_id"}
    return email


def admin_headers(environment: Mapping[str, str], http: httpx.Client) -> dict[str, str]:
    """The headers of a new one who has logged in. Where others guess passwords, that may have to wait."""
    account = {"email": make_admin(environment), "password": PASSWORD}
    tokens = Buyer(http).call("POST", "/v1/auth/login", account)
    return {"authorization": f"Bearer {tokens['accessToken']}"}
