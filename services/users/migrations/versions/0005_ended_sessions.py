"""Finding the log-ins that were ended, whose access tokens are refused."""

from libs.db import migrations

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the index. Most log-ins are never ended, and are not in it."""
    migrations.create_index("idx_sessions_revoked_at", "sessions (revoked_at) WHERE revoked_at IS NOT NULL")
