"""The processes of users: the server, the worker, and the command that makes the first admin."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import httpx
import psutil
import psycopg
import pytest

from bazaruto.users.v1 import auth_pb2, auth_pb2_grpc, user_pb2, user_pb2_grpc
from libs.config import DbSettings
from libs.db import Database
from services.users.accounts import jobs
from services.users.accounts.flows import appointing, registering
from services.users.accounts.rules.password import PasswordTooCommon
from services.users.accounts.rules.user import EmailTaken
from tests.integration.users.house import PASSWORD, House, bearer
from tests.integration.users.test_accounts import outcome
from tests.support.people import People
from tests.support.sections import section
from tests.support.servers import free_address

ROOT = Path(__file__).parents[3]
ADMIN = {"email": "Root@Example.com", "full_name": "Root", "password": PASSWORD}


@pytest.fixture
def environment(make_database: Callable[[str], str], people: People) -> dict[str, str]:
    """The environment of a process on a fresh database."""
    own = {
        "BAZARUTO_AUTH__KEY_FOLDER": str(people.auth.key_folder),
        "BAZARUTO_AUTH__INTERNAL_SECRET_FILE": str(people.auth.internal_secret_file),
        "BAZARUTO_SECRETS__FIELD_KEYS": str(people.field_keys),
        "BAZARUTO_SERVICES": json.dumps(
            {
                "users": {
                    "db_url": make_database("users"),
                    "listen": free_address(),
                    "metrics": free_address(),
                    "worker_metrics": free_address(),
                }
            }
        ),
    }
    return {**os.environ, **own}


def command(verb: str) -> list[str]:
    return [sys.executable, "-m", "services.users.main", verb]


def run(verb: str, environment: dict[str, str], text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(verb), env=environment, input=text, capture_output=True, text=True, timeout=60, cwd=ROOT
    )


@contextmanager
def running(verb: str, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A process within; it must end by itself when it is asked to."""
    with subprocess.Popen(command(verb), env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            yield process
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=90)
            assert process.returncode == 0, out
        finally:
            process.kill()


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether a process has said what to do on a signal, as Linux tells."""
    (mask,) = re.findall(r"^SigCgt:\t(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return bool(int(mask, 16) >> (number - 1) & 1)


def database_at(url: str) -> Database:
    database = Database(url, section(DbSettings), "test")
    database.open()
    return database


def test_first_admin_is_made_by_a_command_and_can_log_in(environment: dict[str, str]) -> None:
    made = run("create-admin", environment, json.dumps(ADMIN))
    assert made.returncode == 0, made.stdout + made.stderr
    assert PASSWORD not in made.stdout + made.stderr
    user_id = json.loads(made.stdout)["user_id"]
    assert any(json.loads(line)["message"] == "admin_created" for line in made.stderr.splitlines())
    with running("serve", environment):
        target = json.loads(environment["BAZARUTO_SERVICES"])["users"]["listen"]
        with grpc.insecure_channel(target) as channel:
            grpc.channel_ready_future(channel).result(timeout=60)
            credentials = auth_pb2.LogInRequest(email="root@example.com", password=PASSWORD)
            tokens = auth_pb2_grpc.AuthServiceStub(channel).LogIn(credentials, wait_for_ready=True)
            listed = user_pb2_grpc.UserServiceStub(channel).ListUsers(
                user_pb2.ListUsersRequest(), metadata=(("authorization", bearer(tokens)),)
            )
    assert [(user.user_id, list(user.roles)) for user in listed.users] == [(user_id, [user_pb2.User.ROLE_ADMIN])]


def test_address_of_an_account_makes_no_second_admin(environment: dict[str, str]) -> None:
    url = json.loads(environment["BAZARUTO_SERVICES"])["users"]["db_url"]
    registering.create_admin(database := database_at(url), now=datetime.now(UTC), **ADMIN)
    database.close()
    refused = run("create-admin", environment, json.dumps({**ADMIN, "email": "root@example.com"}))
    assert refused.returncode == 1
    assert "belongs to an account already" in json.loads(refused.stdout)["error"]
    assert json.loads(refused.stderr.splitlines()[-1])["level"] == "error"


def test_result_of_the_command_is_there_wherever_the_log_goes(environment: dict[str, str], tmp_path: Path) -> None:
    elsewhere = {**environment, "BAZARUTO_LOG_FILE": str(tmp_path / "app.log")}
    made, refused = (run("create-admin", elsewhere, json.dumps(ADMIN)) for _ in range(2))
    assert (set(json.loads(made.stdout)), made.stderr) == ({"user_id"}, "")
    assert (set(json.loads(refused.stdout)), refused.stderr) == ({"error"}, "")
    assert "admin_created" in (tmp_path / "app.log").read_text()


def test_command_line_tells_people_who_became_an_administrator_and_who_did_not(environment: dict[str, str]) -> None:
    def ask(**variables: str) -> subprocess.CompletedProcess[str]:
        words = [
            str(Path(sys.executable).with_name("bazarutod")),
            "create-admin",
            "ops@example.com",
            "--password",
            PASSWORD,
        ]
        own = {**environment, **variables}
        return subprocess.run(words, env=own, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)

    assert re.fullmatch(r"ops@example.com is an administrator: usr_\w+\n", ask().stdout)
    assert "belongs to an account already" in ask().stderr
    wrong = ask(BAZARUTO_LOG_LEVEL="loud")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "log_level" in wrong.stderr


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"email": 1, "full_name": "x", "password": "y"}', "nonsense"])
def test_command_says_what_it_wants_to_read(text: str) -> None:
    with pytest.raises(ValueError, match="standard input must be a JSON object"):
        appointing.read_request(text)


def test_admin_is_made_by_the_same_rules_as_everybody(make_database: Callable[[str], str]) -> None:
    database = database_at(make_database("users"))
    now = datetime.now(UTC)
    with pytest.raises(PasswordTooCommon):
        registering.create_admin(database, now=now, **{**ADMIN, "password": "password123"})
    assert registering.create_admin(database, now=now, **ADMIN).email == "root@example.com"
    with pytest.raises(EmailTaken):
        registering.create_admin(database, now=now, **ADMIN)
    database.close()


def test_worker_starts_and_ends_when_it_is_asked_to(environment: dict[str, str]) -> None:
    url = json.loads(environment["BAZARUTO_SERVICES"])["users"]["db_url"]
    with running("work", environment) as worker, psycopg.connect(url, autocommit=True) as connection:
        deadline = time.monotonic() + 90
        while not connection.execute("SELECT 1 FROM procrastinate_workers").fetchall():
            assert worker.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        while not catches(worker.pid, signal.SIGTERM):  # a moment after it says that it is there
            assert time.monotonic() < deadline
            time.sleep(0.02)


def readiness(environment: dict[str, str], key: str) -> tuple[int, str]:
    """What `/readyz` of a process answers; 0 while nobody does."""
    try:
        answer = httpx.get(f"http://{json.loads(environment['BAZARUTO_SERVICES'])['users'][key]}/readyz", timeout=60)
    except httpx.TransportError:
        return 0, ""
    return answer.status_code, answer.text


@pytest.mark.parametrize("workers", [1, 2])
def test_server_is_ready_until_it_is_asked_to_leave(environment: dict[str, str], workers: int) -> None:
    own = {**environment, "BAZARUTO_SERVICES__USERS__WORKERS": str(workers), "BAZARUTO_DRAIN": "2s"}
    with running("serve", own) as server:
        until(lambda: readiness(own, "metrics") == (200, "healthy\n"), server)
        server.send_signal(signal.SIGTERM)
        until(lambda: readiness(own, "metrics")[0] == 503, server)


def test_copy_that_hangs_makes_the_server_unready(environment: dict[str, str]) -> None:
    own = {**environment, "BAZARUTO_SERVICES__USERS__WORKERS": "2"}
    with running("serve", own) as server:
        until(lambda: readiness(own, "metrics")[0] == 200, server)
        (copy, *_) = psutil.Process(server.pid).children()
        copy.suspend()
        # A signal takes a moment to stop every thread of a process.
        until(lambda: readiness(own, "metrics") == (503, f"unhealthy: copy {copy.pid} does not answer\n"), server)
        copy.resume()
        until(lambda: readiness(own, "metrics")[0] == 200, server)


def test_copies_leave_with_a_parent_that_is_killed_while_they_start(environment: dict[str, str]) -> None:
    own = {**environment, "BAZARUTO_SERVICES__USERS__WORKERS": "2"}
    server = subprocess.Popen(command("serve"), env=own, stdout=subprocess.DEVNULL, cwd=ROOT)
    parent = psutil.Process(server.pid)
    until(lambda: len(parent.children()) == 2, server)
    copies = parent.children()
    server.kill()
    server.wait()
    _, left = psutil.wait_procs(copies, timeout=90)
    for copy in left:
        copy.kill()
    assert left == []


def test_server_without_its_database_is_not_ready(environment: dict[str, str]) -> None:
    users = {**json.loads(environment["BAZARUTO_SERVICES"])["users"], "db_url": f"postgresql://{free_address()}/none"}
    own = {**environment, "BAZARUTO_SERVICES": json.dumps({"users": users})}
    with running("serve", own) as server:
        until(lambda: readiness(own, "metrics") == (503, "unhealthy: its database does not answer\n"), server)


def until(done: Callable[[], bool], process: subprocess.Popen[Any]) -> None:
    """Wait for something that a process does, while it lives."""
    deadline = time.monotonic() + 90
    while not done():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_migrating_twice_changes_nothing(environment: dict[str, str]) -> None:
    done = run("migrate", environment)
    assert done.returncode == 0, done.stdout + done.stderr


def test_sessions_are_forgotten_seven_days_after_their_end(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_AT_ONCE", 2)  # so that it takes several transactions
    user = house.register()
    old = [house.log_in(user.email) for _ in range(5)]
    house.refresh(old[0].refresh_token)
    house.sql("UPDATE sessions SET created_at = created_at - interval '38 d', expires_at = now() - interval '8 d'")
    recent = house.log_in(user.email)
    house.sql(
        "UPDATE sessions SET created_at = created_at - interval '37 d', expires_at = now() - interval '6 d'"
        " WHERE expires_at > now()"
    )
    fresh = house.log_in(user.email)
    database = database_at(house.url)
    jobs.reap_sessions(database, datetime.now(UTC))
    jobs.reap_sessions(database, datetime.now(UTC))  # a second run changes nothing
    assert house.sql("SELECT count(*) FROM sessions") == [(2,)]
    assert house.sql("SELECT count(*) FROM refresh_tokens") == [(2,)]
    assert outcome(house.refresh, fresh.refresh_token) == "ok"
    assert outcome(house.refresh, recent.refresh_token) == "REFRESH_TOKEN_INVALID"
    jobs.reap_sessions(database, datetime.now(UTC) + timedelta(days=60))
    assert house.sql("SELECT count(*) FROM refresh_tokens") == [(0,)]
    assert house.sql("SELECT count(*) FROM users") == [(1,)]
    database.close()
