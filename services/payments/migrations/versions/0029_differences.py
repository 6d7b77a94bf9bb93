"""Where policies, billing and the ledger do not agree."""

from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    """Make the table: one row for each thing of a policy, deleted when it is mended."""
    op.execute("""
        CREATE TABLE reconciliation_differences (
            policy_id uuid NOT NULL,
            kind text NOT NULL CHECK (kind IN ('not_applied', 'not_issued', 'not_charged', 'not_booked')),
            item text NOT NULL,
            expected bigint NOT NULL,
            actual bigint NOT NULL,
            first_seen_at timestamptz NOT NULL,
            last_seen_at timestamptz NOT NULL,
            PRIMARY KEY (policy_id, kind, item)
        );
    """)
