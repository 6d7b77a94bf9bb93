"""A worker outlives its database: it waits, says so, leaves when it is asked to, and loses or doubles no job."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from libs.jobs import operating
from tests.integration.jobs import worker
from tests.integration.jobs.queue import ROOT, Queue, Worker
from tests.integration.jobs.stoppable import StoppableServer
from tests.support.servers import free_address

pytestmark = [pytest.mark.xdist_group("outage"), pytest.mark.timeout(120)]

UP = "bazaruto_worker_database_up"
PENDING = "bazaruto_jobs_pending"
RUNS = """
    SELECT args->>'name', status::text, attempts, count(*) FROM procrastinate_jobs AS job
    JOIN procrastinate_events AS event ON event.job_id = job.id AND event.type = 'started'
    GROUP BY job.id ORDER BY job.id
"""


@pytest.fixture(scope="module")
def server() -> Iterator[StoppableServer]:
    started = StoppableServer()
    yield started
    started.close()


@pytest.fixture
def queue(server: StoppableServer) -> Iterator[Queue]:
    made = Queue(server.new_database())
    yield made
    made.close()


def wait_gone(queue: Queue, started: Worker, times: int = 1) -> None:
    """Wait until the worker says that its database is gone."""
    queue.wait_for(lambda: started.log.count('"database gone"') == times, started)


def test_jobs_from_before_and_after_an_outage_run_once(server: StoppableServer, queue: Queue) -> None:
    started = queue.start_worker()
    workers = queue.rows("SELECT id FROM procrastinate_workers")
    with psycopg.connect(queue.url, autocommit=True) as connection:
        operating.pause(connection, "mailers")
    queue.defer(worker.MAIL, "before")
    with server.stopped():
        wait_gone(queue, started)
    queue.connect()
    queue.defer(worker.NOTE, "after")
    queue.wait_for(lambda: queue.states()["after"] == "succeeded")
    with psycopg.connect(queue.url, autocommit=True) as connection:
        operating.resume(connection, "mailers")
    queue.wait_for(lambda: queue.states()["before"] == "succeeded")
    assert queue.rows(RUNS) == [("before", "succeeded", 1, 1), ("after", "succeeded", 1, 1)]
    queue.wait_for(lambda: len(queue.rows("SELECT id FROM procrastinate_workers")) == 1)
    assert queue.rows("SELECT id FROM procrastinate_workers") > workers, "it did not register anew"
    assert started.process.poll() is None


def test_outage_is_two_lines_and_no_error_in_the_log(server: StoppableServer, queue: Queue) -> None:
    started = queue.start_worker()
    queue.wait_for(lambda: started.metric(UP) == 1)
    for times in (1, 2):
        with server.stopped():
            wait_gone(queue, started, times)
            time.sleep(1.5)  # for further tries, which nobody should hear of
        queue.wait_for(lambda: started.log.count('"database back"') == times, started)  # noqa: B023
    queue.connect()
    lines = [json.loads(line) for line in started.log.splitlines()]
    assert [line["message"] for line in lines if line["message"].startswith("database")] == [
        "database gone",
        "database back",
    ] * 2
    assert [line for line in lines if line["level"] in ("error", "critical")] == []


def test_job_under_way_when_the_database_goes_is_run_again(
    server: StoppableServer, queue: Queue, tmp_path: Path
) -> None:
    started, may_end = queue.start_worker(), tmp_path / "may end"
    queue.defer(worker.HOLD, "long", until=str(may_end))
    queue.wait_for(lambda: queue.effects() == ["long begins"])
    with server.stopped():
        may_end.touch()
        queue.wait_for(lambda: "job ended without its database" in started.log, started)
    queue.connect()
    queue.wait_for(lambda: queue.states() == {"long": "succeeded"})
    assert queue.effects() == ["long begins", "long"]
    assert queue.rows(RUNS) == [("long", "succeeded", 2, 2)]
    assert started.process.poll() is None


def test_job_that_outlasts_the_outage_is_fenced_like_that_of_a_frozen_worker(
    server: StoppableServer, queue: Queue, tmp_path: Path
) -> None:
    started, may_end = queue.start_worker(concurrency=1), tmp_path / "may end"
    queue.defer(worker.HOLD, "long", until=str(may_end))
    queue.wait_for(lambda: queue.effects() == ["long begins"])
    with server.stopped():
        wait_gone(queue, started)
    queue.connect()
    queue.wait_for(lambda: queue.rows("SELECT attempts FROM procrastinate_jobs") == [(1,)])  # it was put back
    may_end.touch()
    queue.wait_for(lambda: "ended too late" in started.log, started)
    queue.wait_for(lambda: queue.states() == {"long": "succeeded"})
    assert queue.rows(RUNS) == [("long", "succeeded", 2, 2)]
    queue.wait_for(lambda: len(queue.rows("SELECT id FROM procrastinate_workers")) == 1)


def test_metrics_answer_during_an_outage_and_show_no_old_depths(server: StoppableServer, queue: Queue) -> None:
    with psycopg.connect(queue.url, autocommit=True) as connection:
        operating.pause(connection, "mailers")
    queue.defer(worker.MAIL, "a", "b", "c")
    started = queue.start_worker()
    queue.wait_for(lambda: started.metric(PENDING, queue="mailers") == 3)
    assert started.metric(UP) == 1
    with server.stopped():
        queue.wait_for(lambda: started.metric(UP) == 0)
        assert started.metric(PENDING, queue="mailers") is None
    queue.connect()
    queue.wait_for(lambda: started.metric(UP) == 1)
    assert started.metric(PENDING, queue="mailers") == 3


@pytest.mark.parametrize("under_way", [False, True], ids=["idle", "busy"])
def test_worker_without_its_database_leaves_at_once_when_asked(
    server: StoppableServer, queue: Queue, *, under_way: bool
) -> None:
    started = queue.start_worker()
    if under_way:
        queue.defer(worker.SLEEP, "long", seconds=60)
        queue.wait_for(lambda: queue.effects() == ["long begins"])
    with server.stopped():
        wait_gone(queue, started)
        started.tell(signal.SIGTERM)
        assert started.process.wait(15) == 0  # of the 20 s that jobs would get


def test_worker_that_leaves_does_not_wait_for_a_database_that_goes(server: StoppableServer, queue: Queue) -> None:
    started = queue.start_worker()
    queue.defer(worker.SLEEP, "long", seconds=60)
    queue.wait_for(lambda: queue.effects() == ["long begins"])
    started.tell(signal.SIGTERM)
    with server.stopped():
        assert started.process.wait(15) == 0  # of the 20 s that jobs would get


def test_worker_that_leaves_does_not_wait_for_a_database_that_says_nothing(
    server: StoppableServer, queue: Queue
) -> None:
    started = queue.start_worker(stalled_after=60)
    with server.frozen():
        started.tell(signal.SIGTERM)
        assert started.process.wait(15) == 0


def test_worker_waits_for_a_database_that_is_not_there_yet(server: StoppableServer, queue: Queue) -> None:
    with server.stopped():
        started = queue.begin_worker()
        wait_gone(queue, started)
        assert started.metric(UP) == 0
    queue.connect()
    queue.defer(worker.NOTE, "a")
    queue.wait_for(lambda: queue.states() == {"a": "succeeded"})


def test_worker_waits_through_a_restore_and_says_that_it_was_refused(server: StoppableServer, queue: Queue) -> None:
    started = queue.start_worker()
    with server.taken_out(queue.url):
        queue.wait_for(lambda: '"database refuses this worker"' in started.log, started)
        time.sleep(1.5)  # for further tries, which nobody should hear of
    queue.connect()
    queue.rows(worker.EFFECTS)
    queue.defer(worker.NOTE, "a")
    queue.wait_for(lambda: queue.states() == {"a": "succeeded"})
    assert started.log.count('"database refuses this worker"') == started.log.count('"database gone"') == 1


def test_database_that_says_nothing_is_given_up_and_taken_up_again(server: StoppableServer, queue: Queue) -> None:
    started = queue.start_worker()
    queue.wait_for(lambda: started.metric(UP) == 1)
    with server.frozen():
        queue.wait_for(lambda: started.metric(UP) == 0)
        wait_gone(queue, started)
    queue.defer(worker.NOTE, "a")
    queue.wait_for(lambda: queue.states() == {"a": "succeeded"})
    assert queue.rows(RUNS) == [("a", "succeeded", 1, 1)]
    assert "does not answer" in started.log
    assert '"level":"error"' not in started.log.replace(" ", "")


def test_periodic_job_is_deferred_once_for_each_time_across_an_outage(server: StoppableServer, queue: Queue) -> None:
    ticks = "SELECT count(*), count(DISTINCT args->>'timestamp') FROM procrastinate_jobs WHERE task_name = 'test.tick'"
    started = [queue.start_worker(ticking=True) for _ in range(2)]
    queue.wait_for(lambda: queue.rows(ticks)[0][0] > 1)
    with server.stopped():
        for each in started:
            wait_gone(queue, each)
    queue.connect()
    before = queue.rows(ticks)[0][0]
    queue.wait_for(lambda: queue.rows(ticks)[0][0] > before + 2)
    ((deferred, times),) = queue.rows(ticks)
    assert deferred == times


@pytest.mark.parametrize("wrong", ["role", "password", "database", "tables"])
def test_what_no_waiting_mends_ends_the_worker_with_the_reason(server: StoppableServer, wrong: str) -> None:
    if wrong == "password":
        server.require_passwords("careful", "right")
    url, reason = {
        "role": (server.url("postgres", "nobody_there"), 'role "nobody_there" does not exist'),
        "password": (server.url("postgres", "careful", "wrong"), "password authentication failed"),
        "database": (server.url("nothing_there"), 'database "nothing_there" does not exist'),
        "tables": (server.new_database("template1"), '"procrastinate_workers" does not exist'),
    }[wrong]
    variables = {"BAZARUTO_SERVICES__USERS__DB_URL": url, "BAZARUTO_SERVICES__USERS__WORKER_METRICS": free_address()}
    done = subprocess.run(
        [sys.executable, "-m", "services.users.main", "work"],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    (stopped,) = [line for line in lines if line["message"] == "stopped"]
    assert stopped["level"] == "error"
    assert reason in stopped["error"]
