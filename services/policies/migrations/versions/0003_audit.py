"""The audit log."""

from alembic import op

from libs.db import frozen

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make its table, which takes additions only."""
    op.execute(frozen.AUDIT_EVENTS)
