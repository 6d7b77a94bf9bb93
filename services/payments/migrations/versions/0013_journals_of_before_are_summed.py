"""Forgetting how far the journals of before were summed: all of them are."""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Drop the note."""
    op.execute("DROP TABLE ledger_days_progress")
