"""How far the premium of each policy is earned."""

from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Make the table: one row a policy, which follows the newest run."""
    op.execute("""
        -- `sequence` is the transaction whose picture was earned, `ends_on` the day on which all of that is earned.
        CREATE TABLE earnings (
            policy_id uuid PRIMARY KEY REFERENCES billing_accounts,
            sequence integer NOT NULL,
            earned_until date NOT NULL,
            ends_on date
        );
    """)
