"""Tokens with which first premiums are collected, kept until the bill is open, and then forgotten."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the table. A row of it goes away, which an argument of a job does not."""
    op.execute("""
        CREATE TABLE payment_methods (
            policy_id uuid PRIMARY KEY REFERENCES policies,
            token text NOT NULL
        );
    """)
