"""Analyses of what a version of a product would do to the prices of stored quotes."""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Make their table."""
    op.execute("""
        CREATE TABLE rate_changes (
            id uuid PRIMARY KEY,
            product_code text NOT NULL,
            version integer NOT NULL,
            only_bound boolean NOT NULL,
            author_id uuid NOT NULL,
            created_at timestamptz NOT NULL,
            currency char(3) NOT NULL,
            total bigint NOT NULL CHECK (total >= 0),
            last_id uuid,
            done bigint NOT NULL CHECK (done >= 0),
            done_id uuid,
            finished_at timestamptz,
            impact jsonb NOT NULL
        );
    """)
