"""What released migrations of several services are made of. Nothing here ever changes; new things are added below.

A revision is run by every database that is made from now on, as it was run by those that are older. So it may not ask
today's code what to do: revisions import `alembic`, `sqlalchemy`, the standard library, `libs.db.migrations` for how
an index is made, and this module.

The tables of the queue are procrastinate's, and are made of the migrations in its wheel: from its very first one up to
one that a revision names. Its `schema.sql` makes the same tables, but always those of the version that is installed;
the order of columns is the only difference. Every later wheel has the earlier migrations too, so that a revision does
the same under each; a digest holds it to that. A version of procrastinate with new migrations comes with a new revision
in each service, which goes on behind the name that the last one ended with. `pyproject.toml` keeps such a version out
until then.
"""

from __future__ import annotations

import hashlib
from importlib import metadata, resources
from typing import Final

# Every database has it, and some providers refuse the statement all the same.
_PLPGSQL: Final = "CREATE EXTENSION IF NOT EXISTS plpgsql WITH SCHEMA pg_catalog;"


class OtherProcrastinate(RuntimeError):
    """The installed procrastinate does not have the migrations that a revision was written for."""


def procrastinate_3_10() -> str:
    """The tables of procrastinate 3.10, from nothing."""
    return procrastinate(
        after="",
        up_to="03.04.00_50_post_add_retry_failed_job_procedure.sql",
        digest="aa547ddb30de271d8b64f5b0063e38a265ab0f2c610d8837eedb8cd4c5095342",
    )


def procrastinate(*, after: str, up_to: str, digest: str) -> str:
    """The statements of procrastinate's own migrations behind the file `after`, up to the file `up_to` and with it.

    `digest` is the SHA-256 of them all: of the files as they are, joined by ends of lines.
    """
    folder = resources.files("procrastinate.sql") / "migrations"
    names = sorted(file.name for file in folder.iterdir() if file.name.endswith(".sql"))
    statements = "\n".join((folder / name).read_text(encoding="utf-8") for name in names if after < name <= up_to)
    if hashlib.sha256(statements.encode()).hexdigest() != digest:
        raise OtherProcrastinate(
            f"procrastinate {metadata.version('procrastinate')} does not have the migrations up to {up_to} as they"
            " were; install the version that pyproject.toml asks for"
        )
    return statements.replace(_PLPGSQL, "")


# Two indexes belong to counting and finding: the first holds what is not over, and stays as small as the backlog,
# however many jobs are kept; the second finds what ended in a span of time. The others keep fetching and leaving
# fast: a lock is looked up for each candidate, and a worker that leaves is taken out of the jobs it worked on.
QUEUE_OPERATION: Final = """
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
"""What operating the queue needs: to pause it, and to count and find jobs in a long history."""

IDEMPOTENCY_KEYS: Final = """
    CREATE TABLE idempotency_keys (
        subject text NOT NULL,
        method text NOT NULL,
        key text NOT NULL,
        fingerprint bytea NOT NULL,
        reply bytea,
        status bytea,
        created_at timestamptz DEFAULT now() NOT NULL,
        PRIMARY KEY (subject, method, key)
    );
"""
"""The keys that calls were made with, and what they were answered."""

IDEMPOTENCY_KEYS_BY_AGE: Final = ("idx_idempotency_keys_created_at", "idempotency_keys (created_at)")
"""The index that old keys are found by: its name, and what it is on."""

AUDIT_EVENTS: Final = """
    CREATE TABLE audit_events (
        id uuid PRIMARY KEY,
        at timestamptz NOT NULL,
        action text NOT NULL CHECK (action <> ''),
        actor text NOT NULL CHECK (actor <> ''),
        resource text NOT NULL,
        before jsonb,
        after jsonb,
        details jsonb NOT NULL,
        client_address text NOT NULL,
        trace_id text NOT NULL
    );
    CREATE INDEX idx_audit_events_actor ON audit_events (actor, id DESC);
    CREATE INDEX idx_audit_events_resource ON audit_events (resource, id DESC);
    CREATE INDEX idx_audit_events_action ON audit_events (action, id DESC);

    CREATE FUNCTION refuse_change_of_audit() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
    END $$;
    CREATE TRIGGER audit_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit();
    -- The role that migrates owns the table, and is refused by its rights before the trigger is asked.
    REVOKE UPDATE, DELETE, TRUNCATE ON audit_events FROM PUBLIC, CURRENT_USER;
"""
"""The audit log, which takes additions only."""

NIGHTLY_RUNS: Final = """
    CREATE TABLE nightly_runs (
        id uuid PRIMARY KEY,
        name text NOT NULL CHECK (name <> ''),
        occasion text NOT NULL CHECK (occasion <> ''),
        due_at timestamptz NOT NULL,
        queue text NOT NULL,
        arguments jsonb NOT NULL,
        watermark uuid NOT NULL,
        retried uuid NOT NULL,
        listed boolean NOT NULL DEFAULT false,
        expected bigint NOT NULL,
        done bigint NOT NULL DEFAULT 0 CHECK (done >= 0),
        parked bigint NOT NULL DEFAULT 0 CHECK (parked >= 0),
        holder uuid,
        held_until timestamptz,
        started_at timestamptz NOT NULL DEFAULT now(),
        moved_at timestamptz NOT NULL DEFAULT now(),
        ended_at timestamptz,
        CONSTRAINT nightly_runs_unique UNIQUE (name, occasion)
    );
    CREATE TABLE parked_items (
        name text NOT NULL,
        item_id uuid NOT NULL,
        run_id uuid NOT NULL REFERENCES nightly_runs,
        reason text NOT NULL CHECK (reason <> ''),
        tries integer NOT NULL DEFAULT 1 CHECK (tries > 0),
        parked_at timestamptz NOT NULL DEFAULT now(),
        tried_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (name, item_id)
    );
"""
"""How far nightly runs are, and what they could not do."""
