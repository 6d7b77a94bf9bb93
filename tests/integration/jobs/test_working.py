"""How jobs are worked on: in order, again after a failure, never twice at the end, and not while paused."""

from __future__ import annotations

import re
import signal
import subprocess
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from libs.jobs import operating
from tests.integration.jobs import worker
from tests.integration.jobs.queue import Queue

pytestmark = pytest.mark.xdist_group("jobs")


def test_job_that_succeeded_stays_to_be_counted(queue: Queue) -> None:
    queue.defer(worker.NOTE, "a")
    queue.run_due()
    assert queue.effects() == ["a"]
    assert queue.states() == {"a": "succeeded"}


def test_urgent_job_overtakes_a_thousand_that_wait(queue: Queue) -> None:
    queue.defer(worker.NOTE, *(f"job {number}" for number in range(1000)))
    queue.defer(worker.URGENT, "urgent")
    queue.start_worker(concurrency=1)
    queue.wait_for(lambda: len(queue.effects()) > 20)
    assert queue.effects()[:4] == ["urgent", "job 0", "job 1", "job 2"]


def test_failing_job_is_parked_after_its_last_try_and_others_go_on(queue: Queue) -> None:
    queue.defer(worker.RAISE, "poison")
    queue.defer(worker.EXIT, "exit")
    queue.defer(worker.NOTE, *(f"good {number}" for number in range(20)))
    started = queue.start_worker(max_attempts=2)
    queue.wait_for(lambda: list(queue.states().values()).count("succeeded") == 20)
    queue.wait_for(lambda: queue.states()["poison"] == queue.states()["exit"] == "failed")
    assert started.process.poll() is None
    assert queue.rows("SELECT DISTINCT attempts FROM procrastinate_jobs WHERE status = 'failed'") == [(2,)]
    lines = [line for line in started.log.splitlines() if re.search("job.*failed", line)]
    assert len([line for line in lines if "test.raise" in line]) == 2
    assert len([line for line in lines if "failed for good" in line]) == 2


def test_job_that_gives_up_is_not_tried_again(queue: Queue) -> None:
    queue.defer(worker.GIVE_UP, "hopeless")
    queue.run_due()
    assert queue.rows("SELECT status::text, attempts FROM procrastinate_jobs") == [("failed", 1)]


def test_job_that_kills_its_worker_is_rescued_and_parked_in_the_end(queue: Queue) -> None:
    queue.defer(worker.DIE, "killer")
    queue.defer(worker.NOTE, "a")
    for attempt in range(3):
        if attempt == 2:
            queue.defer(worker.NOTE, "b")
        started = queue.start_worker(max_attempts=3, concurrency=1)
        queue.wait_for(lambda: started.process.poll() is not None)  # noqa: B023
        assert started.process.returncode == 9
    survivor = queue.start_worker(max_attempts=3, concurrency=1)
    queue.wait_for(lambda: queue.states() == {"killer": "failed", "a": "succeeded", "b": "succeeded"})
    assert re.search("job.*failed", survivor.log)
    assert survivor.process.poll() is None


def test_endless_job_that_kills_its_worker_is_put_back_every_time(queue: Queue) -> None:
    queue.defer(worker.DIE_AND_RETURN, "killer")
    for _ in range(3):
        started = queue.start_worker(max_attempts=1, concurrency=1)
        queue.wait_for(lambda: started.process.poll() is not None)  # noqa: B023
        assert started.process.returncode == 9
    assert queue.rows("SELECT attempts FROM procrastinate_jobs") == [(2,)]


def test_job_that_never_ends_costs_its_worker_and_is_parked(queue: Queue) -> None:
    queue.defer(worker.NEVER_END, "endless")
    queue.defer(worker.NOTE, "a")
    started = queue.start_worker(max_attempts=1, time_limit=0.5)
    queue.wait_for(lambda: started.process.poll() is not None)
    assert started.process.returncode == 1
    assert queue.states() == {"endless": "failed", "a": "succeeded"}
    assert "ran longer than jobs.time_limit" in started.log
    assert queue.rows(
        "SELECT count(*) FROM procrastinate_workers WHERE id IN (SELECT worker_id FROM procrastinate_jobs)"
    ) == [(0,)]


def test_worker_killed_in_the_middle_of_a_job_loses_it_to_another(queue: Queue, tmp_path: Path) -> None:
    queue.defer(worker.HOLD, "long", until=str(tmp_path / "may end"))
    first = queue.start_worker()
    queue.wait_for(lambda: queue.effects() == ["long begins"])
    first.kill()
    (tmp_path / "may end").touch()
    queue.start_worker()
    queue.wait_for(lambda: queue.states() == {"long": "succeeded"})
    assert queue.effects() == ["long begins", "long"]


def test_worker_that_stood_still_has_no_say_about_the_job_it_lost(queue: Queue, tmp_path: Path) -> None:
    queue.defer(worker.HOLD, "long", until=str(tmp_path / "may end"))
    first = queue.start_worker()
    queue.wait_for(lambda: queue.effects() == ["long begins"])
    first.tell(signal.SIGSTOP)
    (tmp_path / "may end").touch()
    second = queue.start_worker()
    queue.wait_for(lambda: queue.states() == {"long": "succeeded"})
    first.tell(signal.SIGCONT)
    queue.wait_for(lambda: "ended too late" in first.log)
    assert queue.effects() == ["long begins", "long"]
    assert queue.states() == {"long": "succeeded"}
    assert queue.rows("SELECT pid = %s FROM effects WHERE name = 'long'", second.process.pid) == [(True,)]
    assert queue.rows("SELECT attempts FROM procrastinate_jobs") == [(2,)]


def test_two_workers_do_nearly_twice_the_work_of_one(queue: Queue) -> None:
    """One worker with one place does at most a second of jobs in a second; taking and ending jobs is on top of that."""
    workers = [queue.start_worker(concurrency=1) for _ in range(2)]
    queue.defer(worker.SLEEP, *(f"job {number}" for number in range(8)), seconds=1.5)
    queue.wait_for(lambda: set(queue.states().values()) == {"succeeded"})
    spans = queue.rows(
        "SELECT begins.pid, begins.begun, ends.begun FROM effects AS begins"
        " JOIN effects AS ends ON begins.name = ends.name || ' begins'"
    )
    assert {pid for pid, _, _ in spans} == {started.process.pid for started in workers}
    worked = sum((end - start for _, start, end in spans), timedelta())
    taken = max(end for _, _, end in spans) - min(start for _, start, _ in spans)
    assert worked / taken >= 1.7


def test_stopped_worker_lets_its_jobs_end(queue: Queue, tmp_path: Path) -> None:
    queue.defer(worker.HOLD, "long", until=str(tmp_path / "may end"))
    started = queue.start_worker()
    queue.wait_for(lambda: queue.effects() == ["long begins"])
    started.tell(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        started.process.wait(1)
    (tmp_path / "may end").touch()
    assert started.process.wait(60) == 0
    assert queue.states() == {"long": "succeeded"}
    assert queue.rows("SELECT count(*) FROM procrastinate_workers") == [(0,)]


def test_stopped_worker_puts_back_what_does_not_end_in_time(queue: Queue) -> None:
    queue.defer(worker.SLEEP, "long", seconds=60)
    started = queue.start_worker(grace=0.5)
    queue.wait_for(lambda: queue.effects() == ["long begins"])
    started.tell(signal.SIGTERM)
    assert started.process.wait(60) == 0
    assert queue.rows("SELECT status::text, attempts, worker_id FROM procrastinate_jobs") == [("todo", 0, None)]
    assert queue.rows("SELECT count(*) FROM procrastinate_workers") == [(0,)]


def test_paused_queue_keeps_its_jobs_until_it_is_resumed(queue: Queue, tmp_path: Path) -> None:
    with psycopg.connect(queue.url, autocommit=True) as connection:
        queue.start_worker(concurrency=1)
        queue.defer(worker.HOLD, "under way", until=str(tmp_path / "may end"))
        queue.wait_for(lambda: queue.effects() == ["under way begins"])
        assert operating.pause(connection, "mailers")
        assert operating.pause(connection, "processing")
        assert not operating.pause(connection, "processing")
        (tmp_path / "may end").touch()
        queue.defer(worker.MAIL, "letter")
        queue.defer(worker.NOTE, "other")
        queue.wait_for(lambda: queue.states()["other"] == "succeeded")
        assert queue.states() == {"under way": "succeeded", "letter": "todo", "other": "succeeded"}
        assert operating.resume(connection, "mailers")
        assert not operating.resume(connection, "mailers")
        queue.wait_for(lambda: queue.states()["letter"] == "succeeded")


def test_periodic_job_runs_once_for_each_time_however_many_workers(queue: Queue) -> None:
    for _ in range(2):
        queue.start_worker(ticking=True)
    queue.wait_for(lambda: len(queue.rows("SELECT 1 FROM procrastinate_jobs WHERE task_name = 'test.tick'")) > 3)
    counts = queue.rows("SELECT count(*), count(DISTINCT args->>'timestamp') FROM procrastinate_jobs")
    assert counts[0][0] == counts[0][1]


def test_dead_workers_periodic_job_is_not_put_back_beside_the_next_one(queue: Queue) -> None:
    def insert(status: str) -> None:
        queue.rows(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, queueing_lock, status, args)"
            " VALUES ('default', 'test.note', 'test.note', %s::procrastinate_job_status, '{\"name\": \"periodic\"}')",
            status,
        )

    insert("doing")
    insert("doing")
    insert("todo")
    queue.start_worker()
    queue.wait_for(lambda: queue.effects() == ["periodic"])
    queue.wait_for(
        lambda: queue.rows("SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')") == [(0,)]
    )
    assert ("succeeded",) in queue.rows("SELECT status::text FROM procrastinate_jobs")
