"""`bazarutod doctor` on a platform that is well, and on one after another that is not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest

from bazarutod import embedded
from bazarutod.doctor import PATIENCE, examine, worst
from bazarutod.doctor.finding import Check, Finding, Patient
from bazarutod.stack import PROCESSES
from libs.config import RedisSettings
from tests.support.platform import Platform, running_platform
from tests.support.sections import section
from tests.support.servers import free_address
from tests.support.waiting import until

pytestmark = pytest.mark.xdist_group("doctor")

COMMAND = str(Path(sys.executable).with_name("bazarutod"))
BOUND = 2 * PATIENCE  # two checks that hang, one after the other, would take as long


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    """A platform of its own: it is broken again and again."""
    with running_platform() as running:
        yield running


class Visit:
    """What the doctor says of the platform as it is."""

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = findings

    def of(self, check: str, subject: str = "") -> list[Finding]:
        return [f for f in self.findings if f.check == check and subject in ("", f.subject)]

    def bad(self) -> set[tuple[str, str]]:
        return {(f.check, f.subject) for f in self.findings if f.state == "failure"}


def _visit(platform: Platform, **changes: object) -> Visit:
    """One look within the bound; `changes` are other settings than those that the platform runs with."""
    started = time.monotonic()
    findings = examine(Patient(platform.settings.model_copy(update=changes), platform.folder))
    assert time.monotonic() - started < BOUND, "every check is bounded, and all run at once"
    return Visit(findings)


def _command(platform: Platform, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The command, as people and scripts run it."""
    return subprocess.run(
        [COMMAND, "doctor", "--folder", str(platform.folder), *arguments],
        env={**platform.environment, "COLUMNS": "200", **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )


@contextmanager
def _stopped(platform: Platform, process: str) -> Iterator[None]:
    pid = platform.supervisor.pid(process)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
        _until_well(platform)


def _until_well(platform: Platform) -> None:
    """Start what ended, as whoever runs the platform does, and wait until nothing is wrong."""

    def is_well() -> bool:
        for process in platform.supervisor.dead():
            platform.supervisor.spawn(process)
        return not _visit(platform).bad()

    until(is_well, lambda: str(_visit(platform).findings))


def test_well_platform_has_no_failure_and_every_check_speaks(platform: Platform) -> None:
    _until_well(platform)
    done = _command(platform, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["status"] in ("ok", "warning")
    assert report["seconds"] < BOUND
    checks = report["checks"]
    assert {c["subject"] for c in checks if c["check"] == "process"} == {process.name for process in PROCESSES}
    names = (
        "configuration process version pool database connections locks statements migrations clock jobs queues workers"
        " redis disk secrets logs backup reconciliation messages refunds"
    )
    assert {c["check"] for c in checks} == {*names.split(), "nightly runs"}


def test_table_tells_people_the_same(platform: Platform) -> None:
    _until_well(platform)
    printed = _command(platform).stdout
    assert "answers and can do its work" in printed
    assert "Failures: 0" in printed


def test_worker_that_is_gone_is_named_with_the_next_step(platform: Platform) -> None:
    platform.supervisor.kill("users-worker")
    try:
        (finding,) = _visit(platform).of("process", "users-worker")
        done = _command(platform)
    finally:
        _until_well(platform)
    assert finding.state == "failure"
    assert "is not running" in finding.said
    assert "systemctl restart bazaruto-worker@users" in finding.advice
    assert done.returncode == 1
    assert finding.advice.split(", then ")[1] in done.stdout


def test_worker_on_another_machine_is_judged_by_its_heartbeat(platform: Platform) -> None:
    services = dict(platform.settings.services)
    own = services["quotes"]
    moved = {"address": f"dns:///{own.listen}", "worker_metrics": free_address(), "metrics": free_address()}
    visit = _visit(platform, services=services | {"quotes": own.model_copy(update=moved)})
    assert visit.of("process", "quotes")[0].said == "answers and can do its work"
    assert "another machine" in visit.of("process", "quotes-worker")[0].said
    assert visit.of("workers", "quotes")[0].said == "alive"


def test_service_that_hangs_does_not_answer_and_keeps_nobody_waiting(platform: Platform) -> None:
    with _stopped(platform, "quotes"):
        visit = _visit(platform)
    (finding,) = visit.of("process", "quotes")
    assert "does not answer" in finding.said
    assert visit.of("process", "policies")[0].state == "ok"


def test_gateway_that_hangs_does_not_answer(platform: Platform) -> None:
    gateway = psutil.Process(platform.supervisor.pid("gateway"))
    processes = [gateway, *gateway.children()]
    for process in processes:
        process.suspend()
    try:
        visit = _visit(platform)
    finally:
        for process in processes:
            process.resume()
        _until_well(platform)
    assert "does not answer" in visit.of("process", "gateway")[0].said


def test_database_that_is_down_is_said_for_every_service_within_the_bound(platform: Platform) -> None:
    platform.postgres.stop()
    try:
        visit = _visit(platform)
        done = _command(platform)
    finally:
        embedded.start(platform.postgres.folder, throwaway=True, options=[f"port={platform.postgres.port}"])
        _until_well(platform)
    assert {f.state for f in visit.of("database")} == {"failure"}
    assert all("does not answer" in f.said for f in visit.of("database"))
    assert done.returncode == 1
    assert "does not answer: Connection refused" in done.stdout
    assert not visit.of("locks"), "nothing is said of what could not be asked"


def test_database_that_hangs_is_said_within_the_bound(platform: Platform) -> None:
    pid = int((platform.postgres.folder / "postmaster.pid").read_text().split()[0])
    os.kill(pid, signal.SIGSTOP)
    try:
        visit = _visit(platform)
    finally:
        os.kill(pid, signal.SIGCONT)
        _until_well(platform)
    assert {f.state for f in visit.of("database")} == {"failure"}


def test_lock_that_is_waited_for_names_who_holds_it(platform: Platform) -> None:
    url = platform.settings.services["quotes"].db_url

    def wait() -> None:
        with psycopg.connect(url) as waiter:
            waiter.execute("SELECT count(*) FROM quotes")

    findings: list[Finding] = []

    def is_seen() -> bool:
        findings[:] = _visit(platform).of("locks", "quotes")
        return findings[0].state != "ok"

    waiting = threading.Thread(target=wait)
    with psycopg.connect(url, application_name="holder") as holder:
        pid = holder.info.backend_pid
        holder.execute("LOCK TABLE quotes IN ACCESS EXCLUSIVE MODE")
        waiting.start()
        try:
            until(is_seen)
        finally:
            holder.rollback()
            waiting.join(10)
    (finding,) = findings
    assert finding.state == "warning"
    assert f"holder (pid {pid})" in finding.said


def test_failed_late_and_paused_jobs_are_warnings(platform: Platform) -> None:
    url = platform.settings.services["policies"].db_url
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("INSERT INTO paused_queues (queue) VALUES ('mailers')")
        insert = (
            "INSERT INTO procrastinate_jobs (queue_name, task_name, status, scheduled_at)"
            " VALUES ('mailers', 'test.job', %s::procrastinate_job_status, now() - interval '10 minutes')"
        )
        try:
            connection.execute(insert, ("todo",))
            late = _visit(platform)
            connection.execute(insert, ("failed",))
            failed = _visit(platform)
            connection.execute("UPDATE procrastinate_jobs SET attempts = 9 WHERE task_name = 'test.job'")
            hanging = _visit(platform)
        finally:
            connection.execute("DELETE FROM procrastinate_jobs WHERE task_name = 'test.job'")
            connection.execute("DELETE FROM paused_queues")
    assert "the oldest due job of the queue mailers waits for 6" in late.of("jobs", "policies")[0].said
    assert "1 jobs failed for good and wait for somebody to decide: test.job" in failed.of("jobs", "policies")[0].said
    assert hanging.of("messages", "policies")[0].said == "tried again and again: 1 test.job"
    assert "bazarutod queues resume mailers" in failed.of("queues", "policies")[0].advice
    assert worst(failed.findings) == "warning"


def test_schema_of_another_revision_is_a_failure(platform: Platform) -> None:
    url = platform.settings.services["payments"].db_url
    with psycopg.connect(url, autocommit=True) as connection:
        ((before,),) = connection.execute("SELECT version_num FROM alembic_version").fetchall()
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
        try:
            visit = _visit(platform)
        finally:
            connection.execute("UPDATE alembic_version SET version_num = %s", (before,))
    (finding,) = visit.of("migrations", "payments")
    assert finding.state == "failure"
    assert finding.advice == "Run bazarutod migrate payments"


def test_redis_that_is_away_is_a_failure_and_no_redis_is_none(platform: Platform) -> None:
    away = section(RedisSettings, url=f"redis://{free_address()}/0")
    assert _visit(platform, redis=away).bad() == {("redis", "redis")}
    assert _visit(platform, redis=section(RedisSettings)).bad() == set()


def test_secret_that_others_may_read_is_a_failure(platform: Platform) -> None:
    secret = platform.settings.auth.internal_secret_file
    secret.chmod(0o444)
    try:
        assert _visit(platform).bad() == {("secrets", str(secret))}
    finally:
        secret.chmod(0o400)


def test_old_backup_is_a_failure_in_production(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METRICS_DIR", str(tmp_path))
    series = 'bazaruto_backup_last_success_timestamp_seconds{kind="dump"} '
    metric = tmp_path / "bazaruto_backup_dump.prom"
    metric.write_text(f"{series}{int(time.time()) - 3600}\n")
    assert _visit(platform).of("backup")[0].said == "is fresh"
    metric.write_text(f"{series}{int(time.time()) - 27 * 3600}\n")
    assert _visit(platform).of("backup")[0].state == "warning"
    assert _visit(platform, environment="production").bad() == {("backup", "backup")}


def test_configuration_that_is_wrong_is_all_that_is_said(platform: Platform) -> None:
    done = _command(platform, "--json", BAZARUTO_DB__MAX_CONNECTIONS="many")
    assert done.returncode == 1
    (finding,) = json.loads(done.stdout)["checks"]
    assert finding["state"] == "failure"
    assert "db.max_connections" in finding["said"]


def test_errors_in_logs_are_counted(platform: Platform) -> None:
    line = {"timestamp": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()), "level": "error"}
    log = platform.folder / "logs" / "sample.log"
    log.write_text(f"{json.dumps(line | {'message': 'it broke', 'component': 'sample'})}\n" * 3)
    try:
        (finding,) = _visit(platform).of("logs", "sample")
    finally:
        log.unlink()
    assert finding.said == "said 3 times in the last 15 minutes: it broke"


def test_check_that_hangs_or_breaks_hides_nothing(platform: Platform) -> None:
    over = threading.Event()

    def hang(_: Patient) -> list[Finding]:
        over.wait()
        return []

    def break_(_: Patient) -> list[Finding]:
        raise ZeroDivisionError

    def well(_: Patient) -> list[Finding]:
        return [Finding("well", "well", "ok", "is well")]

    checks = [Check(look.__name__, "it", look) for look in (hang, break_, well)]
    started = time.monotonic()
    findings = examine(Patient(platform.settings, platform.folder), checks)
    seconds = time.monotonic() - started
    over.set()
    assert seconds < BOUND
    assert [finding.state for finding in findings] == ["failure", "failure", "ok"]
    assert "did not answer within 3 s" in findings[0].said
    assert worst(findings) == "failure"
