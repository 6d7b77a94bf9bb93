"""Queues that can be paused, and indexes that keep a long history of jobs cheap."""

from alembic import op

from libs.db import frozen

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make what operating the queue needs."""
    op.execute(frozen.QUEUE_OPERATION)
