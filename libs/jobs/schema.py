"""The tables of the queue, as statements for migrations."""

from __future__ import annotations

import procrastinate

# Two indexes belong to counting and finding: the first holds what is not over, and stays as small as the backlog,
# however many jobs are kept; the second finds what ended in a span of time. The others keep fetching and leaving
# fast: a lock is looked up for each candidate, and a worker that leaves is taken out of the jobs it worked on.
_OPERATION = """
    CREATE TABLE paused_queues (
        queue text PRIMARY KEY,
        paused_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE INDEX idx_jobs_open ON procrastinate_jobs (queue_name, status, scheduled_at, id)
        WHERE status IN ('todo', 'doing', 'failed');
    CREATE INDEX idx_jobs_lock ON procrastinate_jobs (lock, status, id)
        WHERE lock IS NOT NULL AND status IN ('todo', 'doing');
    CREATE INDEX idx_jobs_worker_id ON procrastinate_jobs (worker_id) WHERE worker_id IS NOT NULL;
    CREATE INDEX idx_events_at ON procrastinate_events (at, type) WHERE type IN ('succeeded', 'cancelled', 'aborted',
        'failed', 'deferred_for_retry');
"""


def schema() -> str:
    """What makes the tables of the queue."""
    return procrastinate.App(connector=procrastinate.SyncPsycopgConnector()).schema_manager.get_schema()


def operation() -> str:
    """What makes it possible to operate the queue: to pause it, and to count and find jobs in a long history."""
    return _OPERATION
