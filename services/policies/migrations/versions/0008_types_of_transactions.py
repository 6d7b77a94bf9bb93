"""Vouching for the types of the transactions of before."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Look at every row; no call waits for it."""
    op.execute("ALTER TABLE policy_transactions VALIDATE CONSTRAINT policy_transactions_type_check")
