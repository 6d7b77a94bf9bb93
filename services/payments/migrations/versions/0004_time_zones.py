"""The time zone of a billing: its days begin and end there."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column. No row is written for it, so that its lock is gone at once; every read of an invoice waits."""
    op.execute("ALTER TABLE billings ADD COLUMN time_zone text NOT NULL DEFAULT 'UTC'")
