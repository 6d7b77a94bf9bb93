"""Marks of losses, and a note beside what changes a policy."""

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Make them. No row is rewritten: a column with a constant default is only noted."""
    op.execute("""
        ALTER TABLE policy_transactions ADD COLUMN note text NOT NULL DEFAULT '';

        -- What is claimed under a policy, as far as its changes have to know. Claims writes it, in its own transaction.
        CREATE TABLE loss_marks (
            policy_id uuid NOT NULL REFERENCES policies,
            claim_id uuid NOT NULL,
            object_id text NOT NULL,
            coverage_code text NOT NULL,
            loss_at timestamptz NOT NULL,
            state text NOT NULL CHECK (state IN ('registered', 'closed', 'denied', 'withdrawn')),
            is_paid boolean NOT NULL,
            PRIMARY KEY (policy_id, claim_id, object_id, coverage_code)
        );
    """)
