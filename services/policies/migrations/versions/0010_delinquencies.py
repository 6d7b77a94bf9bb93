"""What payments says of policies on which something is past due."""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Make the table; one row a policy, which follows the newest version."""
    op.execute("""
        CREATE TABLE delinquencies (
            policy_id uuid PRIMARY KEY REFERENCES policies,
            delinquency_id uuid NOT NULL,
            version bigint NOT NULL CHECK (version > 0),
            state text NOT NULL CHECK (state IN ('past_due', 'in_grace', 'lapsing', 'lapsed', 'settled', 'suspended')),
            past_due bigint NOT NULL CHECK (past_due >= 0),
            currency char(3) NOT NULL,
            since_on date,
            grace_ends_on date,
            recorded_at timestamptz NOT NULL
        );
    """)
